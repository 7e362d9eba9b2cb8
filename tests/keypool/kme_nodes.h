/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of the simulated world (tests/sim/world.h) with the real cores of the KME and the simulator. */
#pragma once

#include "keypool/kme/kme.h"
#include "keypool/post/post_block.h"
#include "keypool/qkd/sim_topology.h"
#include "keypool/qkd/simulator.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

struct kme_node;

struct sim_node {
    struct node node;
    struct simulator *simulator; /* NULL while it is down */
    bool is_raw;                 /* level event, else rate */
    struct sim_attack attack;    /* raw: what is done to the link, from its next start on */
};

/* What becomes of a message that the other KME's source sent. */
enum fate { FATE_PASSES, FATE_LOST, FATE_TWICE, FATE_LATE /* after the next one */ };
typedef enum fate kme_tamper(void *arg, const struct kme_node *to, uint8_t *data, size_t len);

struct kme_node {
    struct node node;
    const char *peer;
    struct disk_sim *disk;          /* owned; NULL: the source is the simulator */
    const struct post_config *post; /* NULL: of finished key */
    uint64_t key_tags;              /* under one hash key, with `post` */
    uint64_t memory_bytes;          /* with `post` */
    kme_tamper *tamper;             /* NULL, or may change messages of the other source */
    void *tamper_arg;
    uint8_t *late; /* owned: a message that comes after the next */
    size_t late_len;
    struct kme *kme; /* NULL while it is down */
};

/* qfl-qkdsim for alice and bob: blocks of half a second, some 4.5 kB of key, 20 kB at once. A new seed at
 * each start. */
struct sim_node *sim_node_add(struct world *w);
/* The same with raw events of a tenth of a second, which give key with an eps of 1e-2. */
struct sim_node *sim_node_add_raw(struct world *w, const struct sim_attack *attack);
/* qfl-kme; with `disk` (taken) its source is the file that record_keys wrote there. */
struct kme_node *kme_node_add(
    struct world *w, const char *site, const char *peer, struct disk_sim *disk);
/* The same with raw events as its source, post-processed by these options. */
struct kme_node *kme_node_add_mdi(
    struct world *w, const char *site, const char *peer, const struct post_config *post);
/* A disk with recorded keys of alice and bob: 20,000 blocks of 64 bytes, the same whatever the seed. */
struct disk_sim *record_keys(uint64_t seed);
