/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of the simulated world (tests/sim/world.h) with the real cores of the KME and the simulator. */
#pragma once

#include "keypool/kme/kme.h"
#include "keypool/qkd/simulator.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

struct sim_node {
    struct node node;
    struct simulator *simulator; /* NULL while it is down */
};

struct kme_node {
    struct node node;
    const char *peer;
    struct disk_sim *disk; /* owned; NULL: the source is the simulator */
    struct kme *kme;       /* NULL while it is down */
};

/* qfl-qkdsim for alice and bob: blocks of half a second, some 4.5 kB of key, 20 kB at once. A new seed at
 * each start. */
struct sim_node *sim_node_add(struct world *w);
/* qfl-kme; with `disk` (taken) its source is the file that record_keys wrote there. */
struct kme_node *kme_node_add(
    struct world *w, const char *site, const char *peer, struct disk_sim *disk);
/* A disk with recorded keys of alice and bob: 20,000 blocks of 64 bytes, the same whatever the seed. */
struct disk_sim *record_keys(uint64_t seed);
