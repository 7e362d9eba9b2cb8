/* SPDX-License-Identifier: Apache-2.0 */
/* Error correction by Cascade with back-tracking, between two ends, many parities a round trip.
 *
 * One end (the reference) holds the right bits and only answers questions about parities; the other
 * (the corrector) finds and flips its wrong bits. Pass 0 cuts the frame into blocks of about 1/E bits
 * in natural order, pass 1 into blocks four times as long under one shared permutation. Every odd
 * block is halved until its wrong bit is found; each flipped bit changes the parity of its block in
 * the other pass, whose deepest known part is searched next. What survives both passes is found by
 * parities of random subsets: first of 16 segments side by side, then of the whole frame.
 *
 * All questions of one step go out together, so that round trips, not bits, are few; late in a frame,
 * when searches are few, each asks for several levels of halving at once. Each answered
 * bit is one bit leaked; both ends count the same number. Neither end trusts the other: questions and
 * answers are checked, and the work is bounded.
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define CASCADE_N_MIN  64
#define CASCADE_N_MAX  ((uint32_t)1 << 24)
#define CASCADE_PASSES 2
#define CASCADE_SEED   32

/* What both ends must agree on. */
struct cascade_plan {
    uint32_t n;                 /* bits of a frame */
    uint32_t k[CASCADE_PASSES]; /* units of a block: bits in pass 0, words of 64 lanes in pass 1 */
    uint8_t seed[CASCADE_SEED]; /* of the permutation and the subsets; public, but not before the
                                   bits are fixed */
};

/* Block lengths for an expected error rate (0 < rate < 1/2). */
void cascade_plan_init(
    struct cascade_plan *p, uint32_t n, double rate, const uint8_t seed[CASCADE_SEED]);

/* The permutation of pass 1 and the subsets: 25 bytes a word, shared by all frames of one plan. */
struct cascade_shuffle;
struct cascade_shuffle *cascade_shuffle_new(const struct cascade_plan *p) must_check;
void cascade_shuffle_free(struct cascade_shuffle *s);

enum cascade_condition {
    CASCADE_DONE = 1,   /* nothing left to ask: verify by a universal hash */
    CASCADE_E_PROTOCOL, /* the peer's message cannot be right: void the block */
    CASCADE_E_GIVE_UP,  /* more parities than the frame is worth: void the block */
};

/* ---- the end that answers ---- */

struct cascade_reference;
/* `bits` (n bits, least significant of byte 0 first) are copied; `shuffle` is kept until free. */
struct cascade_reference *cascade_reference_new(const struct cascade_plan *p,
    const struct cascade_shuffle *shuffle, const uint8_t *bits) must_check;
/* Wipes. Safe on NULL. */
void cascade_reference_free(struct cascade_reference *r);
/* As if new, with other bits: saves the memory's making. */
void cascade_reference_restart(struct cascade_reference *r, const uint8_t *bits);
/* Appends the answer to one message of the corrector. */
int cascade_reference_answer(struct cascade_reference *r, const uint8_t *question, size_t len,
    struct buf *answer) must_check;
uint64_t cascade_reference_leak_bits(const struct cascade_reference *r);

/* ---- the end that corrects ---- */

struct cascade_corrector;
struct cascade_corrector *cascade_corrector_new(const struct cascade_plan *p,
    const struct cascade_shuffle *shuffle, const uint8_t *bits) must_check;
void cascade_corrector_free(struct cascade_corrector *c);
void cascade_corrector_restart(struct cascade_corrector *c, const uint8_t *bits);
/* Takes the answer to the last question (empty the first time) and appends the next question. */
int cascade_corrector_step(struct cascade_corrector *c, const uint8_t *answer, size_t len,
    struct buf *question) must_check;
/* The bits as corrected so far, n bits. */
const uint8_t *cascade_corrector_bits(const struct cascade_corrector *c);
uint64_t cascade_corrector_leak_bits(const struct cascade_corrector *c);
/* Bits flipped: after CASCADE_DONE the number of errors that the frame had. */
uint64_t cascade_corrector_flips(const struct cascade_corrector *c);
