/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of a block and the parts of its conversation. Internal to keypool/post. */
#pragma once

#include "keypool/post/post_internal.h"

#include "proto/codec.h"
#include "proto/post.h"
#include "proto/post.pb-c.h"

enum post_state {
    STATE_NEW,
    STATE_ANNOUNCE,
    STATE_BASES,
    STATE_DISCLOSE,
    STATE_PLAN,   /* HIGH */
    STATE_ASK,    /* LOW */
    STATE_ANSWER, /* HIGH */
    STATE_SEED,   /* HIGH */
    STATE_NEXT,   /* LOW */
    STATE_TAG,
    STATE_DONE, /* HIGH */
    STATE_END,
};

typedef int then_fn(struct post_block *b, const struct post_event *event, struct post_update *u);

struct post_block {
    struct post_config config;
    enum post_state state;
    struct post_work *work; /* owned; NULL while a job has it */
    struct gf128 transcript[2];
    uint64_t said[2]; /* messages of each direction */
    uint8_t announced[SHA256_BYTES];
    uint64_t vector_at; /* bytes sent of the vector that is under way */
    size_t step_limit;
    bool mid_step; /* more of the other's step is to come */
    then_fn *then; /* what to do when the job, the random bytes or the pad are there */
    struct post_want want;
    uint8_t theirs[POST_TAG_BYTES]; /* the tag to compare with */
    uint8_t *ahead;                 /* owned: a message that came early */
    size_t ahead_len;
    struct arena *arena;
    struct post_result result;
};

static inline enum post_side other_of(const struct post_block *b)
{
    return b->config.side == POST_LOW ? POST_HIGH : POST_LOW;
}

/* Packs a message for the other end into the update and into the transcript. */
int post_say(struct post_block *b, struct post_update *u, enum post_type type,
    const ProtobufCMessage *message) must_check;

/* The end without key: the other end is told the sentence in result.reason. */
int post_end_void(
    struct post_block *b, struct post_update *u, enum post_outcome outcome) must_check;
#define void_block(b, u, ...)                                                                      \
    (err_set(&(b)->result.reason, 1, __VA_ARGS__), post_end_void(b, u, POST_VOIDED))
/* The end with the key that the work holds. */
int post_finish(struct post_block *b) must_check;
/* > 0 of a check that has written its sentence ends the block. */
static inline int settle(struct post_block *b, struct post_update *u, int r)
{
    return r > 0 ? post_end_void(b, u, POST_VOIDED) : r;
}

/* The job has the work until `then`. */
int post_start(struct post_block *b, struct post_update *u, int (*todo)(struct post_work *w),
    then_fn *then) must_check;
int post_wish(
    struct post_block *b, struct post_update *u, struct post_want want, then_fn *then) must_check;

/* Bytes of the next own chunk of a vector of `total` bytes. */
size_t post_chunk_next(const struct post_block *b, uint64_t total);
/* Must be the very next chunk of the other's vector, of which `at` bytes are there: then it is put where
 * the job finds it. > 0 with a sentence. */
int post_chunk_take(struct post_block *b, uint64_t at, uint64_t total, uint64_t from,
    ProtobufCBinaryData bits) must_check;

/* ---- the parts: what comes first, and what is heard --------------------------------------------- */

typedef int hear_fn(struct post_block *b, const ProtobufCMessage *message, struct post_update *u);

int post_announce(struct post_block *b, struct post_update *u) must_check;
hear_fn post_hear_announce, post_hear_bases, post_hear_disclose;
/* LOW, after the Y bits. */
int post_wish_plan(struct post_block *b, struct post_update *u) must_check;
hear_fn post_hear_plan, post_hear_ask, post_hear_answer;
/* HIGH, when nothing is left to ask. */
int post_wish_verification(struct post_block *b, struct post_update *u) must_check;
hear_fn post_hear_corrected, post_hear_next, post_hear_seed, post_hear_tag, post_hear_done;
