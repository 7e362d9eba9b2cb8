/* SPDX-License-Identifier: Apache-2.0 */
/* One block of raw clicks on its way to the two ends of a link: levels `event` and `pulse`.
 *
 * Both ends are told that it begins, then chunk by chunk what Eve announces with their own bases and
 * bits, then how many events there were. A chunk is drawn when its pulses have passed and both ends
 * have credit (QKD_EVENTS_AHEAD), straight into frames: between chunks the block holds nothing but its
 * generator. What Eve does holds for the whole block. SIMULATED.
 */
#pragma once

#include "keypool/qkd/sim_draw.h"
#include "keypool/qkd/sim_frames.h"

struct sim_block;

/* Room for one chunk of any link; used within one call only. */
struct sim_chunk;
/* NULL if there is no memory. */
struct sim_chunk *sim_chunk_new(void) must_check;
void sim_chunk_free(struct sim_chunk *c);

struct sim_block_plan {
    const struct sim_link *link; /* outlives the block; its `running` attack is what Eve does */
    const uint8_t *id;           /* SOURCE_BLOCK_ID_BYTES; copied */
    const uint8_t *seed;         /* RNG_SEED_BYTES; of her lies */
    struct sim_draw *draw;       /* taken, also on error */
    uint64_t pulses;
    double seconds;
};

/* Tells both ends that it begins. -ENOMEM. */
int sim_block_new(
    struct sim_block **out, const struct sim_block_plan *plan, struct update *u) must_check;
/* Safe on NULL. */
void sim_block_free(struct sim_block *b);

/* The next chunk, or the end of the block; may only be called if sim_block_can_go_on. Adds to *work
 * the time that it took, in events. -ENOMEM. */
int sim_block_go_on(
    struct sim_block *b, struct sim_chunk *scratch, struct update *u, uint64_t *work) must_check;
/* The block is void: tells those ends whose bit is set in `ends` (1, 2). -ENOMEM. */
int sim_block_call_off(
    const struct sim_block *b, unsigned ends, const char *reason, struct update *u) must_check;

enum sim_block_condition {
    SIM_BLOCK_E_CREDIT = 1, /* more events taken than told, or fewer than said before */
};
/* An end has taken so many events. */
int sim_block_got(struct sim_block *b, int end, uint64_t events) must_check;

/* Part of its pulses, 0 to 1, that must have passed before it goes on. */
double sim_block_next(const struct sim_block *b);
/* Do both ends have credit? */
bool sim_block_can_go_on(const struct sim_block *b);
bool sim_block_is_complete(const struct sim_block *b);
bool sim_block_is(const struct sim_block *b, const uint8_t *id, size_t len);
/* What was drawn so far: true counts, Eve's lies left out. */
struct keyrate_counts sim_block_counts(const struct sim_block *b);
