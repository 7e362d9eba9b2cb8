/* SPDX-License-Identifier: Apache-2.0 */
/* qfl-kme's core: fills the site's key pool, together with the KMEs of the other sites.
 *
 * For each link it grants blocks to a key source as long as the vault has room, hands each block to
 * the vault (INGEST), and carries what the two vaults have to say to each other until they have
 * decided; the source learns how it ended. Connections: ROLE_VAULT (exchange vault, this end calls),
 * ROLE_KME (exchange kme; the larger site name dials), ROLE_CTL (verbs status, links, metrics), and
 * those of the sources. One event, one of them; see README.md.
 *
 * What it never does: keep key bytes after the vault has been given them, look into a vault-to-vault
 * message, decide about a block.
 */
#pragma once

#include "keypool/qkd/source.h"

#define KME_NONCE_BYTES 16
/* Larger blocks are handed on in parts, each a block of its own for the vaults. */
#define KME_PART_BYTES ((size_t)4 * 1024 * 1024)

struct kme;

struct kme_link_config {
    const char *peer;
    struct source *source; /* one of the sources */
};

struct kme_config {
    const char *site;
    uint8_t nonce[KME_NONCE_BYTES]; /* random, of this process */
    const struct kme_link_config *links;
    size_t n_links;
    struct source **sources; /* each is taken, also on error */
    size_t n_sources;
};

/* -ENOMEM. */
int kme_new(struct kme **out, const struct kme_config *config) must_check;
void kme_free(struct kme *k);

int kme_step(struct kme *k, const struct event *event, struct update *u) must_check;
uint64_t kme_deadline_ms(const struct kme *k);

/* True if this site calls the peer, false if it is called. */
bool kme_dials(const char *site, const char *peer);

/* ---- queries, for tests ---- */
bool kme_link_is_up(const struct kme *k, const char *peer, struct err *why);
