/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of qfl-kme, and the sources that its links name. */
#pragma once

#include "common/daemon.h"
#include "common/disk.h"
#include "common/config_tls.h"
#include "keypool/kme/kme.h"

enum kme_source_type { KME_SOURCE_SIM, KME_SOURCE_FILE, KME_SOURCE_MDI };

struct kme_source_config {
    int type;      /* enum kme_source_type */
    char *address; /* sim, mdi-qkd: of qfl-qkdsim */
    char *site;    /* sim, mdi-qkd: its name; needed only if there are several */
    char *path;    /* file: name in the state folder */
};

/* Post-processing, of all links of type mdi-qkd; all but the last two must be alike at both ends. */
struct kme_post_config {
    double eps;
    int kato; /* enum keyrate_kato */
    double e_y_max;
    double gain_spread;
    uint64_t frame_bits;
    uint64_t window;
    uint64_t block_memory_mb;
    double silence_s;
};

struct kme_peer_config {
    char *peer;
    char *address;
    struct kme_source_config source;
};

struct kme_daemon_config {
    char *federation;
    char *site;
    char *listen;
    struct config_tls tls;
    char *keypool;
    char *state;
    char *control;
    struct config_list links; /* struct kme_peer_config */
    struct kme_post_config post;
    struct daemon_log log;
};

extern const struct config_field kme_fields[];

/* The links with their sources. */
struct kme_network {
    struct kme_link_config *links; /* owned */
    struct source **sources;       /* owned; each of them until kme_network_take */
    size_t n_links;
    size_t n_sources;
};
/* Random bits for amplification, as struct source_mdi_config says. */
typedef int kme_random(void *arg, void *out, size_t len);
/* `disk` is the state folder; NULL if no link needs it. -errno with a sentence. */
int kme_network_init(struct kme_network *n, const struct kme_daemon_config *c, struct disk *disk,
    kme_random *random, struct err *e) must_check;
void kme_network_deinit(struct kme_network *n);
/* Makes the KME, which takes the sources, also on error. -ENOMEM. */
int kme_network_take(struct kme_network *n, const char *site, const uint8_t nonce[KME_NONCE_BYTES],
    struct kme **out) must_check;

bool kme_config_needs_disk(const struct kme_daemon_config *c);
/* The i-th link is the first one that names its simulator. */
bool kme_config_is_first_of_sim(const struct kme_daemon_config *c, size_t i);

/* For struct daemon_program. */
int kme_config_check(const void *config, const char *path, struct err *e);
