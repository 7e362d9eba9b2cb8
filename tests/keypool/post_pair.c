/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/post_pair.h"

#include "common/util.h"

#include <stdio.h>

#define must(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define PULSES_PER_CLICK 10

struct pair_config pair_small(void)
{
    struct pair_config c = {.post = post_config_default(), .clicks = 4000, .p_y = 0.5};
    c.post.keyrate.eps = 1e-2;
    c.post.mu = 0.001;
    c.post.frame_bits = 512;
    c.post.window = 2;
    c.post.chunk_bytes = 64;
    c.e_x = 0.01;
    c.e_y = 0.01;
    return c;
}

struct pair_config pair_large(void)
{
    struct pair_config c = pair_small();
    c.post.keyrate.eps = 1e-10;
    c.post.frame_bits = 100000;
    c.post.window = 4;
    c.post.chunk_bytes = 16384;
    c.clicks = 400000;
    c.p_y = 0.3;
    return c;
}

static void key_of(uint8_t key[POST_TAG_BYTES], unsigned side)
{
    uint8_t seed[RNG_SEED_BYTES] = {7};
    uint8_t derived[RNG_SEED_BYTES];
    rng_derive(derived, seed, "hash key", side, 0);
    memcpy(key, derived, POST_TAG_BYTES);
}

static struct post_record *record_new(const struct pair_config *c, enum post_side side)
{
    uint8_t keys[2][POST_TAG_BYTES];
    key_of(keys[0], 0);
    key_of(keys[1], 1);
    const struct post_record_config config = {.side = side,
        .pulses = (uint64_t)c->post.keyrate.pulses,
        .clicks_max = c->clicks,
        .keys = {keys[0], keys[1]}};
    struct post_record *r;
    must(post_record_new(&r, &config) == 0);
    return r;
}

/* The two ends' views of one effective event. */
static void draw_click(const struct pair_config *c, struct rng *rng, struct post_click click[2])
{
    click[0].d2 = click[1].d2 = rng_u64(rng) & 1;
    for (unsigned side = 0; side < 2; side++) {
        click[side].y = rng_uniform(rng) < c->p_y;
        click[side].bit = rng_u64(rng) & 1;
    }
    if (click[1].y && rng_uniform(rng) < c->odd_y)
        click[1].y = false;
    bool wrong = rng_uniform(rng) < (click[0].y ? c->e_y : c->e_x);
    if (click[0].y == click[1].y)
        click[1].bit = click[0].bit ^ click[1].d2 ^ wrong;
}

static void draw_records(
    const struct pair_config *c, struct rng *rng, struct post_record *records[2])
{
    for (uint64_t i = 0; i < c->clicks; i++) {
        struct post_click click[2] = {0};
        draw_click(c, rng, click);
        click[0].position = click[1].position = i * PULSES_PER_CLICK + rng_below(rng, 9);
        if (c->announce)
            c->announce(&click[1], i);
        for (unsigned side = 0; side < 2; side++) {
            struct err e = {0};
            int r = click[side].position == UINT64_MAX
                        ? 0
                        : post_record_add(records[side], &click[side], 1, &e);
            must(r == 0);
        }
    }
}

void pair_init(struct post_pair *p, const struct pair_config *config)
{
    *p = (struct post_pair){.config = *config};
    struct pair_config *c = &p->config;
    uint8_t seed[RNG_SEED_BYTES] = {c->salt, 1};
    p->rng = rng_new(seed);
    must(p->rng);
    c->post.keyrate.pulses = (double)(c->clicks * PULSES_PER_CLICK);
    c->post.share_xx = (1 - c->p_y) * (1 - c->p_y);
    c->post.share_yy = c->p_y * c->p_y;
    struct post_record *records[2] = {record_new(c, POST_LOW), record_new(c, POST_HIGH)};
    draw_records(c, p->rng, records);
    for (unsigned side = 0; side < 2; side++) {
        struct err e = {0};
        c->post.side = side;
        must(post_block_new(&p->end[side], &c->post, records[side], &e) == 0);
    }
}

void pair_deinit(struct post_pair *p)
{
    for (size_t i = p->taken; i < p->queued; i++)
        free(p->queue[i].data);
    free(p->queue);
    post_block_free(p->end[0]);
    post_block_free(p->end[1]);
    rng_free(p->rng);
}

void pair_push(struct post_pair *p, enum post_side from, const uint8_t *data, size_t len)
{
    if (p->queued == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->queue = realloc(p->queue, p->cap * sizeof(*p->queue));
        must(p->queue);
    }
    struct pair_message *m = &p->queue[p->queued++];
    *m = (struct pair_message){.from = from, .data = malloc(len ? len : 1), .len = len};
    must(m->data);
    memcpy(m->data, data, len);
}

/* ---- the owner of an end ------------------------------------------------------------------------ */

static void grant_pad(struct post_pair *p, enum post_side side, const struct post_want *want)
{
    bool own = want->kind == POST_WANT_PAD_SEND;
    enum post_side direction = own == (side == POST_LOW) ? POST_LOW : POST_HIGH;
    uint64_t at = own ? p->pad_next[direction]++ : want->at;
    p->tags[side] += own;
    uint8_t seed[RNG_SEED_BYTES] = {9};
    uint8_t pad[RNG_SEED_BYTES];
    rng_derive(pad, seed, "pad", direction, at);
    struct post_event event = {.kind = POST_EVENT_PAD};
    event.pad.at = at;
    if (at >= PAIR_PADS || p->pad_used[side][direction][at]) {
        event.pad.text = "it was used before";
    } else {
        p->pad_used[side][direction][at] = true;
        event.pad.data = pad;
    }
    pair_event(p, side, &event);
}

static void grant_random(struct post_pair *p, enum post_side side, size_t len)
{
    uint8_t *bytes = malloc(len);
    must(bytes && len > 0);
    rng_bytes(p->rng, bytes, len);
    const struct post_event event = {.kind = POST_EVENT_RANDOM, .random = {bytes}};
    pair_event(p, side, &event);
    free(bytes);
}

static void run_job(struct post_pair *p, enum post_side side, struct job *job)
{
    if (p->config.job)
        p->config.job(p, side, job);
    job->run(job);
    const struct post_event event = {.kind = POST_EVENT_JOB, .job = job};
    pair_event(p, side, &event);
}

void pair_event(struct post_pair *p, enum post_side side, const struct post_event *event)
{
    struct post_update u = {0};
    must(post_block_step(p->end[side], event, &u) == 0);
    for (size_t i = 0; i < u.n; i++)
        pair_push(p, side, u.messages[i]->data, u.messages[i]->len);
    struct job *job = steal(&u.job);
    struct post_want want = u.want;
    post_update_deinit(&u);
    if (job)
        run_job(p, side, job);
    else if (want.kind == POST_WANT_RANDOM)
        grant_random(p, side, want.len);
    else if (want.kind != POST_WANT_NONE)
        grant_pad(p, side, &want);
}

/* ---- the channel -------------------------------------------------------------------------------- */

static void deliver(struct post_pair *p, struct pair_message m)
{
    m.number = p->numbered++;
    if (p->config.channel)
        p->config.channel(p, &m);
    if (!m.data)
        return;
    const struct post_event event = {.kind = POST_EVENT_MESSAGE, .message = {m.data, m.len}};
    pair_event(p, m.from == POST_LOW ? POST_HIGH : POST_LOW, &event);
    free(m.data);
}

void pair_run(struct post_pair *p)
{
    const struct post_event begin = {.kind = POST_EVENT_START};
    const struct post_event abandon = {.kind = POST_EVENT_ABANDON, .text = "waited long enough"};
    pair_event(p, POST_LOW, &begin);
    pair_event(p, POST_HIGH, &begin);
    while (p->taken < p->queued)
        deliver(p, p->queue[p->taken++]);
    for (unsigned side = 0; side < 2; side++)
        if (pair_result(p, side)->outcome == POST_OPEN)
            pair_event(p, side, &abandon);
    while (p->taken < p->queued)
        deliver(p, p->queue[p->taken++]);
}

struct post_result *pair_result(struct post_pair *p, enum post_side side)
{
    return post_block_result(p->end[side]);
}
