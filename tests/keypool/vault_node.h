/* SPDX-License-Identifier: Apache-2.0 */
/* A process of the simulated world with a real vault on a disk that forgets, paired with one peer. It is a
 * violation if it hangs up on its KME. */
#pragma once

#include "keypool/vault/vault.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

struct vault_node {
    struct node node;
    const char *peer;
    struct disk_sim *disk; /* owned */
    uint64_t witness;
    struct vault *vault; /* NULL while it is down */
};

struct vault_node *vault_node_add(
    struct world *w, const char *site, const char *peer, uint64_t seed);
