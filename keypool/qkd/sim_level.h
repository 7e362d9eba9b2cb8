/* SPDX-License-Identifier: Apache-2.0 */
/* A level of fidelity of the simulator: what the two users' KMEs are told of one block.
 *
 * `rate` tells them the finished key when the block's time is over (post-processing skipped); `event`
 * and `pulse` tell each end its own bits and bases and what Eve announced, while the light passes.
 * SIMULATED, whatever the level.
 */
#pragma once

#include "keypool/qkd/sim_block.h"

struct sim_level;

/* Both ends are connected and have granted a block; `link->running` is what is done to it. */
struct sim_request {
    const struct sim_link *link;
    uint64_t number; /* of the block in this simulator's life: never twice the same */
    double seconds;  /* simulated, of acquisition */
    double pulses;
    uint64_t prefill_bytes; /* not 0: that much key at once, without acquisition */
    uint64_t max_bytes;     /* of key, that both have room for; 0: any length */
};

struct sim_made {
    uint64_t key_bytes; /* 0: the block yielded nothing and nobody was told anything */
    double qber;
};

struct sim_level_ops {
    /* Finished key: puts the whole block for both ends into the update. NULL: this level has raw
     * clicks. */
    int (*make)(struct sim_level *level, const struct sim_request *request, struct update *u,
        struct sim_made *made);
    /* Raw clicks: a block begins. NULL: this level has finished key. */
    int (*begin)(struct sim_level *level, const struct sim_request *request, struct update *u,
        struct sim_block **out);
    void (*free)(struct sim_level *level);
};

struct sim_level {
    const struct sim_level_ops *ops;
    const char *name; /* "rate", "event", "pulse" */
};
