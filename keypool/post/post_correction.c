/* SPDX-License-Identifier: Apache-2.0 */
/* The second part of the conversation: error correction. */
#include "keypool/post/post_machine.h"

#include "common/util.h"

#include <math.h>

#define RATE_UNIT    1e9
#define RATE_MAX_PPB 490000000u
#define RATE_MIN     0.001 /* few errors were seen: not none expected */
#define RATE_UNKNOWN 0.01 /* before a first block: too low a guess costs more than too high a one */

/* ---- error correction --------------------------------------------------------------------------- */

static int open_cascade(struct post_block *b, uint32_t rate_ppb, const uint8_t *seed)
{
    struct post_work *w = b->work;
    w->in.len = 0;
    int r = post_cascade_init(
        &w->cascade, w->n_x, b->config.frame_bits, b->config.window, rate_ppb / RATE_UNIT, seed);
    b->step_limit = post_cascade_limit(&w->cascade);
    return r;
}

static uint32_t expected_ppb(const struct post_block *b)
{
    const struct post_config *c = &b->config;
    double grown = c->e_y_before > 0 ? fmax(0, b->result.rate.e_y - c->e_y_before) : 0;
    double rate =
        c->e_x_expected > 0 ? c->e_x_expected + grown : fmax(b->result.rate.e_y, RATE_UNKNOWN);
    return (uint32_t)fmin(fmax(rate, RATE_MIN) * RATE_UNIT, RATE_MAX_PPB);
}

static int send_plan(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    uint8_t seed[CASCADE_SEED];
    memcpy(seed, event->random.data, sizeof(seed));
    Post__Plan m = POST__PLAN__INIT;
    m.seed = (ProtobufCBinaryData){sizeof(seed), seed};
    m.rate_ppb = expected_ppb(b);
    b->state = STATE_ASK;
    int r = open_cascade(b, m.rate_ppb, seed);
    return r < 0 ? r : post_say(b, u, POST_PLAN, &m.base);
}

int post_wish_plan(struct post_block *b, struct post_update *u)
{
    return post_wish(b, u, (struct post_want){POST_WANT_RANDOM, CASCADE_SEED, 0}, send_plan);
}

/* A whole step, in as many messages as it takes. */
static int send_step(struct post_block *b, struct post_update *u, enum post_type type)
{
    const struct buf *out = &b->work->out;
    int r = 0;
    for (size_t at = 0; at < out->len && r == 0; at += b->config.chunk_bytes) {
        size_t len = MIN(out->len - at, (size_t)b->config.chunk_bytes);
        Post__Ask ask = POST__ASK__INIT;
        Post__Answer answer = POST__ANSWER__INIT;
        ask.data = answer.data = (ProtobufCBinaryData){len, out->data + at};
        ask.more = answer.more = at + len < out->len;
        r = post_say(b, u, type, type == POST_ASK ? &ask.base : &answer.base);
    }
    return r;
}

/* One message of a step. 1 when the step is whole, 2 with a sentence if it cannot be one. */
static int take_step(struct post_block *b, ProtobufCBinaryData data, bool more)
{
    struct buf *in = &b->work->in;
    if (!b->mid_step)
        in->len = 0;
    if (data.len == 0 || (more && data.len != b->config.chunk_bytes) ||
        data.len > b->step_limit - in->len)
        return err_set(&b->result.reason, 2,
            "error correction: a step of %zu bytes and then %zu cannot be", in->len, data.len);
    b->mid_step = more;
    int r = buf_append(in, data.data, data.len);
    return r < 0 ? r : !more;
}

static int after_ask(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    if (b->work->out.len == 0)
        return post_wish_verification(b, u);
    b->state = STATE_ANSWER;
    b->result.trips++;
    return send_step(b, u, POST_ASK);
}

int post_hear_plan(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Plan *m = (const Post__Plan *)message;
    if (m->seed.len != CASCADE_SEED || m->rate_ppb == 0 || m->rate_ppb > RATE_MAX_PPB)
        return void_block(b, u, "the other end's plan for error correction cannot be");
    int r = open_cascade(b, m->rate_ppb, m->seed.data);
    return r < 0 ? r : post_start(b, u, post_cascade_ask, after_ask);
}

int post_hear_answer(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Answer *m = (const Post__Answer *)message;
    int r = take_step(b, m->data, m->more);
    if (r < 0 || r == 2)
        return settle(b, u, r);
    return r == 1 ? post_start(b, u, post_cascade_ask, after_ask) : 0;
}

static int after_answer(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    b->result.trips++;
    return send_step(b, u, POST_ANSWER);
}

int post_hear_ask(struct post_block *b, const ProtobufCMessage *message, struct post_update *u)
{
    const Post__Ask *m = (const Post__Ask *)message;
    int r = take_step(b, m->data, m->more);
    if (r < 0 || r == 2)
        return settle(b, u, r);
    return r == 1 ? post_start(b, u, post_cascade_answer, after_answer) : 0;
}
