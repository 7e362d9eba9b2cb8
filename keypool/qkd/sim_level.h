/* SPDX-License-Identifier: Apache-2.0 */
/* A level of fidelity of the simulator: what the two users' KMEs are told of one block.
 *
 * `rate` tells them the finished key (post-processing skipped); `event` and `pulse` will tell each end
 * its own bits and bases and what Eve announced. SIMULATED, whatever the level.
 */
#pragma once

#include "keypool/qkd/sim_topology.h"

struct sim_level;

/* Both ends are connected and have room for `max_bytes` of key. */
struct sim_request {
    const struct sim_link *link;
    uint64_t number; /* of the block in this simulator's life: never twice the same */
    double seconds;  /* simulated, of acquisition */
    double pulses;
    uint64_t prefill_bytes; /* not 0: that much key at once, without acquisition */
    uint64_t max_bytes;     /* 0: any length */
};

struct sim_made {
    uint64_t key_bytes; /* 0: the block yielded nothing and nobody was told anything */
    double qber;
};

struct sim_level_ops {
    /* Puts the frames for both ends into the update. */
    int (*make)(struct sim_level *level, const struct sim_request *request, struct update *u,
        struct sim_made *made);
    void (*free)(struct sim_level *level);
};

struct sim_level {
    const struct sim_level_ops *ops;
    const char *name; /* "rate" */
};
