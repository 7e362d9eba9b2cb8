/* SPDX-License-Identifier: Apache-2.0 */
/* The first part of the conversation: announcement, bases, Y bits. */
#include "keypool/post/post_machine.h"

#include <inttypes.h>
#include <string.h>

/* ---- announcement and bases --------------------------------------------------------------------- */

int post_announce(struct post_block *b, struct post_update *u)
{
    uint8_t parameters[SHA256_BYTES];
    post_parameters(&b->config, parameters);
    Post__Announce m = POST__ANNOUNCE__INIT;
    m.high = b->config.side == POST_HIGH;
    m.block = (ProtobufCBinaryData){POST_BLOCK_ID_BYTES, b->config.block};
    m.parameters = (ProtobufCBinaryData){sizeof(parameters), parameters};
    m.events = b->result.n;
    m.digest = (ProtobufCBinaryData){sizeof(b->announced), b->announced};
    b->state = STATE_ANNOUNCE;
    return post_say(b, u, POST_ANNOUNCE, &m.base);
}

static int send_bases(struct post_block *b, struct post_update *u)
{
    uint64_t total = bytes_of(b->result.n);
    Post__Bases m = POST__BASES__INIT;
    m.from = b->vector_at;
    m.bits.len = post_chunk_next(b, total);
    m.bits.data = b->work->record->basis.data + b->vector_at;
    b->vector_at += m.bits.len;
    return post_say(b, u, POST_BASES, &m.base);
}

static bool is_equal(ProtobufCBinaryData a, const uint8_t *b, size_t len)
{
    return a.len == len && memcmp(a.data, b, len) == 0;
}

int post_hear_announce(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Announce *m = (const Post__Announce *)message;
    uint8_t parameters[SHA256_BYTES];
    post_parameters(&b->config, parameters);
    if (m->high == (b->config.side == POST_HIGH))
        return void_block(b, u, "both ends say that they are the same end");
    if (!is_equal(m->block, b->config.block, POST_BLOCK_ID_BYTES))
        return void_block(b, u, "the other end speaks of another block");
    if (!is_equal(m->parameters, parameters, sizeof(parameters)))
        return void_block(b, u, "the two ends do not have the same block parameters");
    if (m->events != b->result.n)
        return void_block(b, u,
            "the announcements differ: %" PRIu64 " events here, %" PRIu64 " at the other end",
            b->result.n, m->events);
    if (!is_equal(m->digest, b->announced, sizeof(b->announced)))
        return void_block(b, u, "the announcements differ: other positions or detectors");
    if (b->result.n == 0)
        return void_block(b, u, "too few events: none");
    b->state = STATE_BASES;
    b->vector_at = 0;
    return send_bases(b, u);
}

/* ---- Y bits ------------------------------------------------------------------------------------- */

static int send_disclose(struct post_block *b, struct post_update *u)
{
    Post__Disclose m = POST__DISCLOSE__INIT;
    m.from = b->vector_at;
    m.bits.len = post_chunk_next(b, bytes_of(b->result.n_y));
    m.bits.data = b->work->y.data + b->vector_at;
    b->vector_at += m.bits.len;
    return post_say(b, u, POST_DISCLOSE, &m.base);
}

static int after_sift(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    struct post_result *r = &b->result;
    if (b->work->at < r->n)
        return send_bases(b, u);
    r->n_x = b->work->n_x;
    r->n_y = b->work->n_y;
    r->n_mismatched = b->work->n_mismatched;
    if (r->n_x < CASCADE_N_MIN)
        return void_block(b, u, "too few events: %" PRIu64 " with both ends in X", r->n_x);
    if (!post_gains_agree(&b->config, r, &r->reason))
        return post_end_void(b, u, POST_VOIDED);
    b->state = STATE_DISCLOSE;
    b->vector_at = 0;
    return send_disclose(b, u);
}

int post_hear_bases(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Bases *m = (const Post__Bases *)message;
    int r = post_chunk_take(b, b->work->at / 8, bytes_of(b->result.n), m->from, m->bits);
    return r != 0 ? settle(b, u, r) : post_start(b, u, post_sift, after_sift);
}

static int after_compare(
    struct post_block *b, const struct post_event *event, struct post_update *u)
{
    struct post_result *r = &b->result;
    if (b->work->y_at < r->n_y)
        return send_disclose(b, u);
    r->m_y = b->work->m_y;
    if (!post_errors_allow(&b->config, r, &r->reason))
        return post_end_void(b, u, POST_VOIDED);
    if (b->config.side == POST_LOW)
        return post_wish_plan(b, u);
    b->state = STATE_PLAN;
    return 0;
}

int post_hear_disclose(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Disclose *m = (const Post__Disclose *)message;
    int r = post_chunk_take(b, b->work->y_at / 8, bytes_of(b->result.n_y), m->from, m->bits);
    return r != 0 ? settle(b, u, r) : post_start(b, u, post_compare, after_compare);
}
