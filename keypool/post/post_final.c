/* SPDX-License-Identifier: Apache-2.0 */
/* The last part of the conversation: verification, length, the matrix, tags. */
#include "keypool/post/post_machine.h"

#include "common/util.h"

#include <inttypes.h>

/* ---- verification and length -------------------------------------------------------------------- */

static int set_length(struct post_block *b, struct post_update *u, uint64_t errors)
{
    struct post_result *r = &b->result;
    r->errors = errors;
    r->leak_bits = b->work->cascade.leak_bits;
    if (!post_length(&b->config, r, &r->reason))
        return 1;
    b->work->key_bits = (uint64_t)r->rate.key_bits;
    post_cascade_deinit(&b->work->cascade);
    return 0;
}

static int send_corrected(
    struct post_block *b, const struct post_event *event, struct post_update *u)
{
    Post__Corrected m = POST__CORRECTED__INIT;
    m.errors = b->result.errors;
    m.leak_bits = b->result.leak_bits;
    m.pad = b->want.at;
    m.tag = (ProtobufCBinaryData){POST_TAG_BYTES, b->work->tag};
    b->state = STATE_SEED;
    return post_say(b, u, POST_CORRECTED, &m.base);
}

static int verify_own(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    memcpy(b->work->pad, event->pad.data, POST_TAG_BYTES);
    b->want.at = event->pad.at;
    return post_start(b, u, post_verify, send_corrected);
}

int post_wish_verification(struct post_block *b, struct post_update *u)
{
    int r = set_length(b, u, b->work->cascade.errors);
    if (r != 0)
        return settle(b, u, r);
    return post_wish(b, u, (struct post_want){POST_WANT_PAD_SEND, 0, 0}, verify_own);
}

static int wish_seed(struct post_block *b, struct post_update *u);

static int after_verify(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    if (!secret_equal(b->work->tag, b->theirs, POST_TAG_BYTES))
        return void_block(b, u, "verification failed: the corrected keys of the two ends differ");
    b->vector_at = 0;
    return wish_seed(b, u);
}

static int verify_theirs(
    struct post_block *b, const struct post_event *event, struct post_update *u)
{
    memcpy(b->work->pad, event->pad.data, POST_TAG_BYTES);
    return post_start(b, u, post_verify, after_verify);
}

int post_hear_corrected(
    struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Corrected *m = (const Post__Corrected *)message;
    if (b->mid_step || m->tag.len != POST_TAG_BYTES || m->errors > b->result.n_x)
        return void_block(b, u, "the other end's end of error correction cannot be");
    if (!post_cascade_close(&b->work->cascade))
        return void_block(b, u, "the other end left out frames of error correction");
    if (m->leak_bits != b->work->cascade.leak_bits)
        return void_block(b, u,
            "the leak of error correction is %" PRIu64 " bits here, %" PRIu64 " at the other end",
            b->work->cascade.leak_bits, m->leak_bits);
    int r = set_length(b, u, m->errors);
    if (r != 0)
        return settle(b, u, r);
    memcpy(b->theirs, m->tag.data, POST_TAG_BYTES);
    return post_wish(b, u, (struct post_want){POST_WANT_PAD_RECEIVE, 0, m->pad}, verify_theirs);
}

/* ---- the matrix of the amplification ------------------------------------------------------------ */

static uint64_t seed_bytes(const struct post_block *b)
{
    return bytes_of(b->result.n_x - 1);
}

static int wish_tag(struct post_block *b, struct post_update *u);

static int send_seed(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    size_t len = post_chunk_next(b, seed_bytes(b));
    struct buf *t = &b->work->t;
    int r = buf_reserve(t, seed_bytes(b) - t->len);
    if (r == 0)
        r = buf_append(t, event->random.data, len);
    if (r < 0)
        return r;
    Post__Seed m = POST__SEED__INIT;
    m.from = b->vector_at;
    m.bits = (ProtobufCBinaryData){len, t->data + b->vector_at};
    b->vector_at += len;
    b->state = STATE_NEXT;
    r = post_say(b, u, POST_SEED, &m.base);
    return r == 0 && b->vector_at == seed_bytes(b) ? wish_tag(b, u) : r;
}

static int wish_seed(struct post_block *b, struct post_update *u)
{
    const struct post_want want = {POST_WANT_RANDOM, post_chunk_next(b, seed_bytes(b)), 0};
    return post_wish(b, u, want, send_seed);
}

int post_hear_next(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Next *m = (const Post__Next *)message;
    if (m->from != b->vector_at)
        return void_block(b, u, "the other end asks for other random bits than the next");
    return wish_seed(b, u);
}

int post_hear_seed(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Seed *m = (const Post__Seed *)message;
    struct buf *t = &b->work->t;
    int r = post_chunk_take(b, t->len, seed_bytes(b), m->from, m->bits);
    if (r == 0)
        r = buf_reserve(t, seed_bytes(b) - t->len);
    if (r == 0)
        r = buf_append(t, m->bits.data, m->bits.len);
    if (r != 0)
        return settle(b, u, r);
    if (t->len == seed_bytes(b)) {
        b->state = STATE_TAG;
        return 0;
    }
    Post__Next next = POST__NEXT__INIT;
    next.from = t->len;
    return post_say(b, u, POST_NEXT, &next.base);
}

/* ---- tags, amplification, end ------------------------------------------------------------------- */

/* HIGH: the key is there, but it is none before LOW has found the tag right. */
static int after_amplify(
    struct post_block *b, const struct post_event *event, struct post_update *u)
{
    if (b->config.side == POST_HIGH)
        return 0;
    Post__Done done = POST__DONE__INIT;
    int r = post_say(b, u, POST_DONE, &done.base);
    return r < 0 ? r : post_finish(b);
}

int post_hear_done(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    return post_finish(b);
}

static int send_tag(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    uint8_t tag[POST_TAG_BYTES];
    gf128_tag(&b->transcript[b->config.side], event->pad.data, tag);
    Post__Tag m = POST__TAG__INIT;
    m.pad = event->pad.at;
    m.tag = (ProtobufCBinaryData){sizeof(tag), tag};
    b->state = b->config.side == POST_LOW ? STATE_TAG : STATE_DONE;
    int r = post_say(b, u, POST_TAG, &m.base);
    if (r < 0 || b->config.side == POST_LOW)
        return r;
    return post_start(b, u, post_amplify, after_amplify);
}

static int wish_tag(struct post_block *b, struct post_update *u)
{
    return post_wish(b, u, (struct post_want){POST_WANT_PAD_SEND, 0, 0}, send_tag);
}

static int check_tag(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    uint8_t tag[POST_TAG_BYTES];
    gf128_tag(&b->transcript[other_of(b)], event->pad.data, tag);
    if (!secret_equal(tag, b->theirs, sizeof(tag))) {
        err_set(&b->result.reason, 1,
            "wrong transcript tag: what was said or announced is not what arrived");
        return post_end_void(b, u, POST_ALARM);
    }
    if (b->config.side == POST_HIGH)
        return wish_tag(b, u);
    return post_start(b, u, post_amplify, after_amplify);
}

int post_hear_tag(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Tag *m = (const Post__Tag *)message;
    if (m->tag.len != POST_TAG_BYTES)
        return void_block(b, u, "the other end's tag is not one");
    memcpy(b->theirs, m->tag.data, POST_TAG_BYTES);
    return post_wish(b, u, (struct post_want){POST_WANT_PAD_RECEIVE, 0, m->pad}, check_tag);
}
