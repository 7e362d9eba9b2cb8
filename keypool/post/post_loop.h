/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a block in one process: the machines of post_block, their jobs run where they come up, their
 * messages carried over a channel with a delay. For benchmarks and for reproducing the paper's table;
 * SIMULATED, never part of a daemon: random bits and pads come from a seed.
 *
 * Time is virtual. Each end is one worker: what it does takes the CPU time that was measured, a message
 * arrives half a round trip after it was said, and waiting costs nothing. The channel has no other
 * limits. The owner gives the clock.
 */
#pragma once

#include "common/rng.h"
#include "keypool/post/post_block.h"

/* CPU time is booked under what it is spent on. */
enum post_loop_stage {
    POST_LOOP_SIFT,    /* bases and Y bits */
    POST_LOOP_CORRECT, /* Cascade */
    POST_LOOP_VERIFY,
    POST_LOOP_AMPLIFY,
    POST_LOOP_TALK, /* messages: packing, reading, hashing */
    POST_LOOP_STAGES,
};
const char *post_loop_stage_name(enum post_loop_stage stage);

struct post_loop_config {
    struct post_config post; /* `side` is not used */
    double round_trip_s;
    double (*cpu_s)(void); /* the clock: CPU time of this thread */
    uint8_t seed[RNG_SEED_BYTES];
    /* May be NULL: a stage has begun. */
    void (*progress)(void *ctx, enum post_loop_stage stage);
    void *ctx;
};

struct post_loop_times {
    double cpu_s[2][POST_LOOP_STAGES]; /* by side */
    double block_s;                    /* virtual, from the start to the later end's key */
    double correct_s;                  /* of it, from the first job of Cascade to the last */
    uint64_t messages, bytes;
};

struct post_loop;

/* Takes both records, also on error. Errors as post_block_new. */
int post_loop_new(struct post_loop **out, const struct post_loop_config *config,
    struct post_record *records[2], struct err *e) must_check;
/* Safe on NULL. */
void post_loop_free(struct post_loop *l);
/* Until nothing moves any more. 0, or -errno. */
int post_loop_run(struct post_loop *l) must_check;

struct post_result *post_loop_result(struct post_loop *l, enum post_side side);
const struct post_loop_times *post_loop_times(const struct post_loop *l);
/* Both ends have a key, and the keys are the same: LOW's polynomial hash of its key under a one-time pad is
 * what HIGH computes of its own, as the vaults confirm blocks. */
bool post_loop_keys_agree(struct post_loop *l);
