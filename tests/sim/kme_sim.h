/* SPDX-License-Identifier: Apache-2.0 */
/* A KME as its vault sees it: attaches to the vault, ingests blocks of key, carries vault-to-vault
 * messages to the KMEs of other sites.
 *
 * It relays like a process that may lose its link at any moment: a message is forgotten, kept and
 * delivered late after the link is up again (so out of order), or delivered a second time then. While
 * a link is up it keeps the order.
 */
#pragma once

#include "tests/sim/world.h"

#define KME_SIM_BLOCK_ID_BYTES 16

/* `peers`: the other sites, sorted; kept until free. Links to them and to the vault are made by
 * net_dial; the smaller site name dials. */
struct node *kme_sim_new(const char *site, const char *const *peers, size_t n_peers);

/* The source has finished a block. Lost if the process is down. Refused (nothing happens) while the
 * vault has no room for it. */
void kme_sim_block(struct node *n, const char *peer, const uint8_t id[KME_SIM_BLOCK_ID_BYTES],
    const uint8_t *key, size_t len);
/* Bytes that the vault has said it would still take for this pair; 0 while it is away. */
uint64_t kme_sim_room(const struct node *n, const char *peer);
/* The peer's vault can be reached. */
bool kme_sim_is_linked(const struct node *n, const char *peer);
