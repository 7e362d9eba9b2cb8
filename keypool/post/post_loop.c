/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/post_loop.h"

#include "common/util.h"
#include "keypool/post/post_internal.h"

#include <errno.h>

struct message {
    struct message *next; /* owned */
    struct blob *blob;    /* owned */
    double at_s;          /* when it arrives */
};

/* One end, and what is on its way to it. */
struct end {
    struct post_block *block;
    struct message *head, **tail;
    double free_s; /* when it has done what it was given */
};

struct post_loop {
    struct post_loop_config config;
    struct end end[2];
    struct rng *rng;
    uint64_t pads[2];
    int stage; /* the latest that was reported */
    double correct_from_s;
    struct post_loop_times times;
};

const char *post_loop_stage_name(enum post_loop_stage stage)
{
    static const char *const names[] = {
        "sifting", "error correction", "verification", "amplification", "messages"};
    return names[stage];
}

int post_loop_new(struct post_loop **out, const struct post_loop_config *config,
    struct post_record *records[2], struct err *e)
{
    struct post_loop *l = calloc(1, sizeof(*l));
    int r = l ? 0 : -ENOMEM;
    for (unsigned side = 0; side < 2; side++) {
        struct post_config c = config->post;
        c.side = side;
        if (r == 0)
            r = post_block_new(&l->end[side].block, &c, records[side], e);
        else
            post_record_free(records[side]);
        if (l)
            l->end[side].tail = &l->end[side].head;
    }
    if (r == 0 && !(l->rng = rng_new(config->seed)))
        r = -ENOMEM;
    if (r < 0) {
        post_loop_free(l);
        return r;
    }
    l->config = *config;
    l->stage = -1;
    l->correct_from_s = -1;
    *out = l;
    return 0;
}

static struct message *take_message(struct end *end)
{
    struct message *m = end->head;
    if (m && !(end->head = m->next))
        end->tail = &end->head;
    return m;
}

static void message_free(struct message *m)
{
    blob_unref(m->blob);
    free(m);
}

void post_loop_free(struct post_loop *l)
{
    if (!l)
        return;
    for (unsigned side = 0; side < 2; side++) {
        struct message *m;
        while ((m = take_message(&l->end[side])))
            message_free(m);
        post_block_free(l->end[side].block);
    }
    rng_free(l->rng);
    free(l);
}

/* ---- the owner of an end ------------------------------------------------------------------------ */

static int give(struct post_loop *l, enum post_side side, const struct post_event *event);

/* What was done since *from_s is booked, and lets the end's time go on. */
static void book(
    struct post_loop *l, enum post_side side, enum post_loop_stage stage, double *from_s)
{
    double now_s = l->config.cpu_s();
    l->times.cpu_s[side][stage] += now_s - *from_s;
    l->end[side].free_s += now_s - *from_s;
    *from_s = now_s;
}

static int send_messages(struct post_loop *l, enum post_side from, struct post_update *u)
{
    struct end *to = &l->end[!from];
    for (size_t i = 0; i < u->n; i++) {
        struct message *m = calloc(1, sizeof(*m));
        if (!m)
            return -ENOMEM;
        m->blob = blob_ref(u->messages[i]);
        m->at_s = l->end[from].free_s + l->config.round_trip_s / 2;
        *to->tail = m;
        to->tail = &m->next;
        l->times.messages++;
        l->times.bytes += m->blob->len;
    }
    return 0;
}

static enum post_loop_stage stage_of(const struct job *job)
{
    const struct post_job *j = (const struct post_job *)job;
    if (j->todo == post_sift || j->todo == post_compare)
        return POST_LOOP_SIFT;
    if (j->todo == post_verify)
        return POST_LOOP_VERIFY;
    return j->todo == post_amplify ? POST_LOOP_AMPLIFY : POST_LOOP_CORRECT;
}

static int run_job(struct post_loop *l, enum post_side side, struct job *job)
{
    enum post_loop_stage stage = stage_of(job);
    if (l->config.progress && l->stage != (int)stage)
        l->config.progress(l->config.ctx, stage);
    l->stage = (int)stage;
    if (stage == POST_LOOP_CORRECT && l->correct_from_s < 0)
        l->correct_from_s = l->end[side].free_s;
    double from_s = l->config.cpu_s();
    job->run(job);
    book(l, side, stage, &from_s);
    if (stage == POST_LOOP_CORRECT)
        l->times.correct_s = l->end[side].free_s - l->correct_from_s;
    const struct post_event event = {.kind = POST_EVENT_JOB, .job = job};
    return give(l, side, &event);
}

static int grant_random(struct post_loop *l, enum post_side side, size_t len)
{
    auto_free uint8_t *bytes = malloc(len);
    if (!bytes)
        return -ENOMEM;
    rng_bytes(l->rng, bytes, len);
    const struct post_event event = {.kind = POST_EVENT_RANDOM, .random = {bytes}};
    return give(l, side, &event);
}

static int grant_pad(struct post_loop *l, enum post_side side, const struct post_want *want)
{
    bool own = want->kind == POST_WANT_PAD_SEND;
    enum post_side direction = own ? side : (enum post_side) !side;
    uint8_t pad[RNG_SEED_BYTES];
    struct post_event event = {.kind = POST_EVENT_PAD};
    event.pad.at = own ? l->pads[direction]++ : want->at;
    event.pad.data = pad;
    rng_derive(pad, l->config.seed, "pad", direction, event.pad.at);
    return give(l, side, &event);
}

static int give(struct post_loop *l, enum post_side side, const struct post_event *event)
{
    struct post_update u = {0};
    double from_s = l->config.cpu_s();
    int r = post_block_step(l->end[side].block, event, &u);
    book(l, side, POST_LOOP_TALK, &from_s);
    if (r == 0)
        r = send_messages(l, side, &u);
    struct job *job = steal(&u.job);
    struct post_want want = u.want;
    post_update_deinit(&u);
    if (job)
        return r == 0 ? run_job(l, side, job) : (job->free(job), r);
    if (r < 0 || want.kind == POST_WANT_NONE)
        return r;
    return want.kind == POST_WANT_RANDOM ? grant_random(l, side, want.len)
                                         : grant_pad(l, side, &want);
}

/* ---- the channel -------------------------------------------------------------------------------- */

/* The end whose next message arrives first; -1: none is on its way. */
static int next_end(const struct post_loop *l)
{
    const struct message *low = l->end[POST_LOW].head;
    const struct message *high = l->end[POST_HIGH].head;
    if (!low && !high)
        return -1;
    return !low || (high && high->at_s < low->at_s) ? POST_HIGH : POST_LOW;
}

static int deliver(struct post_loop *l, enum post_side side)
{
    struct end *end = &l->end[side];
    struct message *m = take_message(end);
    end->free_s = MAX(end->free_s, m->at_s);
    const struct post_event event = {
        .kind = POST_EVENT_MESSAGE, .message = {m->blob->data, m->blob->len}};
    int r = give(l, side, &event);
    message_free(m);
    return r;
}

int post_loop_run(struct post_loop *l)
{
    const struct post_event start = {.kind = POST_EVENT_START};
    int r = give(l, POST_LOW, &start);
    if (r == 0)
        r = give(l, POST_HIGH, &start);
    int side;
    while (r == 0 && (side = next_end(l)) >= 0)
        r = deliver(l, (enum post_side)side);
    l->times.block_s = MAX(l->end[0].free_s, l->end[1].free_s);
    return r;
}

struct post_result *post_loop_result(struct post_loop *l, enum post_side side)
{
    return post_block_result(l->end[side].block);
}

const struct post_loop_times *post_loop_times(const struct post_loop *l)
{
    return &l->times;
}

bool post_loop_keys_agree(struct post_loop *l)
{
    uint8_t key[RNG_SEED_BYTES];
    uint8_t pad[RNG_SEED_BYTES];
    uint8_t tags[2][POST_TAG_BYTES];
    rng_derive(key, l->config.seed, "comparison", 0, 0);
    rng_derive(pad, l->config.seed, "comparison", 1, 0);
    for (unsigned side = 0; side < 2; side++) {
        const struct post_result *r = post_loop_result(l, side);
        struct gf128 h;
        if (r->outcome != POST_KEY)
            return false;
        gf128_init(&h, key);
        gf128_u64(&h, (uint64_t)r->rate.key_bits);
        gf128_part(&h, r->key.data, r->key.len);
        gf128_tag(&h, pad, tags[side]);
    }
    return secret_equal(tags[0], tags[1], POST_TAG_BYTES);
}
