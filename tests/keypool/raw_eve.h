/* SPDX-License-Identifier: Apache-2.0 */
/* A process of the simulated world that sends raw events of alice and bob as qfl-qkdsim does at level
 * `event`, and lies as a test tells it to. */
#pragma once

#include "keypool/post/post_block.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

struct raw_eve {
    struct node node; /* first */
    /* For a test to set at any time; they hold for blocks begun later. */
    const char *level; /* of its welcome */
    uint32_t clicks;   /* of a block */
    double mu;
    double e_x, e_y;     /* errors */
    uint64_t acquire_ms; /* that a block takes */
    uint32_t batch;      /* events of one message */
    uint64_t pulses;     /* 0: as many as fit the clicks */
    /* NULL, or bends what one end (0: alice) hears of event i. */
    void (*bend)(struct post_click *click, unsigned end, uint32_t i);
    int end_bias; /* added to the number that BLOCK_END says */
    /* What has happened. */
    uint32_t begun, stopped;
    char reason[2][256];     /* of the last STOP of each end */
    struct eve_parts *parts; /* owned */
};

/* Options that give key from its blocks. */
struct post_config raw_eve_post(void);
struct raw_eve *raw_eve_add(struct world *w);
