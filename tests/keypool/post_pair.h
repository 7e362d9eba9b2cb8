/* SPDX-License-Identifier: Apache-2.0 */
/* The two ends of one block in memory: synthetic records, a channel that a test may bend, jobs run where
 * they come up, pads and random bytes from a seed. */
#pragma once

#include "common/rng.h"
#include "keypool/post/post_block.h"

#define PAIR_PADS 64

struct post_pair;

/* What passes between the ends. */
struct pair_message {
    enum post_side from;
    size_t number; /* of both directions, from 0 */
    uint8_t *data; /* owned by the channel */
    size_t len;
};

struct pair_config {
    struct post_config post; /* side and shares are set by pair_init */
    uint64_t clicks;
    double p_y;
    double e_x, e_y;
    double odd_y; /* part of HIGH's Y choices that Eve leaves out */
    uint8_t salt;
    /* NULL, or may bend what HIGH hears of the announcement. */
    void (*announce)(struct post_click *click, uint64_t i);
    /* NULL, or may change, take (data = NULL after freeing it) or add (pair_push) messages. */
    void (*channel)(struct post_pair *p, struct pair_message *m);
    /* NULL, or sees each job before it is run. */
    void (*job)(struct post_pair *p, enum post_side side, struct job *job);
    void *ctx;
};

struct post_pair {
    struct pair_config config;
    struct post_block *end[2];
    struct pair_message *queue; /* owned */
    size_t queued, taken, cap;
    size_t numbered;
    uint64_t pad_next[2];
    bool pad_used[2][2][PAIR_PADS]; /* by end, by direction */
    struct rng *rng;
    size_t tags[2]; /* pads drawn by each end for sending */
};

/* Small blocks with key: eps 1e-2, half of the choices Y, chunks of 64 bytes, frames of 512 bits. */
struct pair_config pair_small(void);
/* Blocks of 400,000 events. */
struct pair_config pair_large(void);

void pair_init(struct post_pair *p, const struct pair_config *config);
void pair_deinit(struct post_pair *p);
/* Adds a message to the channel; data is copied. */
void pair_push(struct post_pair *p, enum post_side from, const uint8_t *data, size_t len);
/* Gives an event to one end and does all that it wants; its messages go to the channel. */
void pair_event(struct post_pair *p, enum post_side side, const struct post_event *event);
/* Starts both and carries messages until there are none; then both ends that have not ended are
 * abandoned. */
void pair_run(struct post_pair *p);
struct post_result *pair_result(struct post_pair *p, enum post_side side);
