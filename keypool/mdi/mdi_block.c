/* SPDX-License-Identifier: Apache-2.0 */
/* One block: from its first event to its key, or to the sentence why there is none. */
#include "keypool/mdi/mdi_intake.h"
#include "keypool/mdi/mdi_internal.h"

#include "common/util.h"
#include "proto/post.h"
#include "proto/post.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define MIB ((uint64_t)1024 * 1024)

static uint64_t now_ms(const struct mdi_block *b)
{
    return b->peer->source->source.now_ms;
}

/* ---- life --------------------------------------------------------------------------------------- */

struct mdi_block *mdi_block_find(const struct mdi_peer *p, const uint8_t *id)
{
    for (size_t i = 0; i < p->n_blocks; i++)
        if (memcmp(p->blocks[i]->id, id, MDI_ID_BYTES) == 0)
            return p->blocks[i];
    return NULL;
}

bool mdi_block_has_ended(const struct mdi_peer *p, const uint8_t *id)
{
    for (size_t i = 0; i < MIN(p->n_ended, (size_t)MDI_ENDED); i++)
        if (memcmp(p->ended[i], id, MDI_ID_BYTES) == 0)
            return true;
    return false;
}

void mdi_block_remember(struct mdi_peer *p, const uint8_t *id)
{
    if (!mdi_block_has_ended(p, id))
        memcpy(p->ended[p->n_ended++ % MDI_ENDED], id, MDI_ID_BYTES);
}

static void claim(struct mdi_block *b, uint64_t bytes)
{
    b->peer->source->memory += bytes - b->memory;
    b->memory = bytes;
}

void mdi_block_free(struct mdi_block *b)
{
    claim(b, 0);
    post_record_free(b->record);
    post_block_free(b->post);
    secret_deinit(&b->pads);
    free(b->early);
    free(b);
}

/* It is no block of the link any more. */
static void leave(struct mdi_block *b)
{
    struct mdi_peer *p = b->peer;
    size_t i = 0;
    while (p->blocks[i] != b)
        i++;
    p->n_blocks--;
    memmove(&p->blocks[i], &p->blocks[i + 1], (p->n_blocks - i) * sizeof(struct mdi_block *));
    mdi_block_remember(p, b->id);
    mdi_block_free(b);
}

static int begin_next(struct mdi_peer *p, struct update *u);

/* What waits for the end of a block. */
static int go_on(struct mdi_peer *p, struct update *u)
{
    int r = begin_next(p, u);
    if (r == 0)
        r = mdi_peer_renew_key(p, u);
    return r < 0 ? r : mdi_simulator_grant(p, u);
}

static int tell_owner(struct mdi_peer *p, const struct source_void *v, struct update *u)
{
    return p->source->source.on_void(p->source->source.owner, v, u);
}

/* ---- void before there is a machine ------------------------------------------------------------- */

static int say_void(struct mdi_block *b, const char *reason, struct update *u)
{
    size_t len = strnlen(reason, MDI_REASON_MAX);
    const struct mdi_message m = {
        .kind = MDI_VOID, .block = b->id, .data = (uint8_t *)reason, .len = len};
    return mdi_peer_say(b->peer, &m, u);
}

int mdi_block_void_quietly(struct mdi_block *b, const char *reason, struct update *u)
{
    struct mdi_peer *p = b->peer;
    const struct source_void v = {.peer = p->name, .reason = reason};
    int r = b->state == MDI_INTAKE ? mdi_simulator_stop(p->source, b, reason, u) : 0;
    leave(b);
    if (r == 0)
        r = tell_owner(p, &v, u);
    return r < 0 ? r : go_on(p, u);
}

int mdi_block_void(struct mdi_block *b, const char *reason, struct update *u)
{
    const struct post_event abandon = {.kind = POST_EVENT_ABANDON, .text = reason};
    if (b->state == MDI_POSTING)
        return mdi_block_feed(b, &abandon, u);
    int r = say_void(b, reason, u);
    return r < 0 ? r : mdi_block_void_quietly(b, reason, u);
}

/* ---- begin -------------------------------------------------------------------------------------- */

/* The claim for the whole of its life is made now: nobody waits for memory in the middle. */
static int check_memory(const struct source_mdi *s, uint64_t needed, struct err *why)
{
    if (needed <= s->config.memory_bytes - MIN(s->memory, s->config.memory_bytes))
        return 0;
    return err_set(why, 1,
        "no memory for another block: it may need %" PRIu64 " MiB, %" PRIu64 " of %" PRIu64
        " MiB are in use (block_memory_mb)",
        needed / MIB + 1, s->memory / MIB, s->config.memory_bytes / MIB);
}

static int check_begin(
    const struct mdi_peer *p, const uint8_t *id, uint64_t needed, struct err *why)
{
    if (!p->channel_up)
        return err_set(why, 1, "the other end cannot be reached");
    if (!mdi_peer_has_keys(p))
        return err_set(why, 1, "there are no hash keys yet");
    if (mdi_block_has_ended(p, id))
        return err_set(why, 1, "the other end has given it up already");
    return check_memory(p->source, needed, why);
}

static struct mdi_block *block_new(
    struct mdi_peer *p, const uint8_t *id, const struct post_config *config)
{
    struct mdi_block *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->peer = p;
    memcpy(b->id, id, MDI_ID_BYTES);
    b->config = *config;
    b->position = MDI_NO_POSITION;
    b->begun_ms = p->source->source.now_ms;
    p->blocks[p->n_blocks++] = b;
    return b;
}

static int open_record(struct mdi_block *b, uint64_t clicks_max)
{
    const struct mdi_peer *p = b->peer;
    const uint8_t *own = p->key_bytes.data;
    const uint8_t *theirs = own + POST_TAG_BYTES;
    bool is_low = p->side == POST_LOW;
    const struct post_record_config config = {.side = p->side,
        .pulses = (uint64_t)b->config.keyrate.pulses,
        .clicks_max = clicks_max,
        .keys = {is_low ? own : theirs, is_low ? theirs : own}};
    int r = secret_init(&b->pads, MDI_PADS_MAX * POST_TAG_BYTES);
    return r < 0 ? r : post_record_new(&b->record, &config);
}

/* The other end was faster: its first message is here already. */
static void take_stray(struct mdi_block *b)
{
    struct mdi_peer *p = b->peer;
    if (!p->stray || memcmp(p->stray_id, b->id, MDI_ID_BYTES) != 0)
        return;
    b->early = steal(&p->stray);
    b->early_len = p->stray_len;
}

int mdi_block_begin(struct mdi_peer *p, const uint8_t *id, const struct post_config *config,
    struct mdi_block **out, struct update *u)
{
    struct err why = {{0}};
    uint64_t clicks = mdi_intake_limit((uint64_t)config->keyrate.pulses, config->mu, p->gain);
    uint64_t needed = post_block_memory(config, clicks);
    int refused = check_begin(p, id, needed, &why);
    struct mdi_block *b = block_new(p, id, config);
    *out = NULL;
    if (!b)
        return -ENOMEM;
    take_stray(b);
    if (refused)
        return mdi_block_void(b, why.text, u);
    claim(b, needed);
    int r = open_record(b, clicks);
    *out = r < 0 ? NULL : b;
    return r;
}

/* ---- the machine -------------------------------------------------------------------------------- */

struct mdi_job {
    struct job base;
    struct job *inner; /* owned */
    const struct source_mdi *source;
    uint64_t serial;
};

static void job_run(struct job *job)
{
    struct job *inner = ((struct mdi_job *)job)->inner;
    inner->run(inner);
}

static void job_free(struct job *job)
{
    struct mdi_job *j = (struct mdi_job *)job;
    j->inner->free(j->inner);
    free(j);
}

static int start_job(struct mdi_block *b, struct job *inner, struct update *u)
{
    struct source_mdi *s = b->peer->source;
    struct mdi_job *j = calloc(1, sizeof(*j));
    if (!j) {
        inner->free(inner);
        return -ENOMEM;
    }
    *j = (struct mdi_job){{job_run, job_free}, inner, s, ++s->last_number};
    b->job = j->serial;
    return update_job(u, &j->base);
}

static struct mdi_block *find_job(const struct source_mdi *s, uint64_t serial)
{
    for (size_t i = 0; i < s->n_peers; i++)
        for (size_t k = 0; k < s->peers[i].n_blocks; k++)
            if (s->peers[i].blocks[k]->job == serial)
                return s->peers[i].blocks[k];
    return NULL;
}

int mdi_block_job(struct source_mdi *s, struct job *job, struct update *u)
{
    struct mdi_job *j = (struct mdi_job *)job;
    if (job->run != job_run || j->source != s)
        return SOURCE_E_NOT_MINE;
    struct mdi_block *b = find_job(s, j->serial);
    if (!b) {
        job_free(job);
        return 0;
    }
    const struct post_event event = {.kind = POST_EVENT_JOB, .job = j->inner};
    free(j);
    b->job = 0;
    b->progress_ms = now_ms(b);
    return mdi_block_feed(b, &event, u);
}

static int say_post(struct mdi_block *b, const struct blob *message, struct update *u)
{
    const struct mdi_message m = {
        .kind = MDI_POST, .block = b->id, .data = (uint8_t *)message->data, .len = message->len};
    return mdi_peer_say(b->peer, &m, u);
}

static int give_random(struct mdi_block *b, size_t len, struct update *u)
{
    const struct source_mdi_config *c = &b->peer->source->config;
    auto_free uint8_t *bytes = malloc(len ? len : 1);
    int r = bytes ? c->random(c->random_arg, bytes, len) : -ENOMEM;
    const struct post_event event = {.kind = POST_EVENT_RANDOM, .random = {bytes}};
    return r < 0 ? r : mdi_block_feed(b, &event, u);
}

/* ---- the end ------------------------------------------------------------------------------------ */

static double seconds(uint64_t ms)
{
    return (double)ms / 1000;
}

static void describe(const struct mdi_block *b, const struct post_result *r)
{
    struct mdi_peer *p = b->peer;
    p->has_report = true;
    p->report = (struct source_report){.n = r->n,
        .n_x = r->n_x,
        .n_y = r->n_y,
        .leak_bits = r->leak_bits,
        .key_bits = r->outcome == POST_KEY ? (uint64_t)r->rate.key_bits : 0,
        .e_x = r->leak_bits > 0 ? r->rate.e_x : -1,
        .e_y = r->n_y > 0 ? r->rate.e_y : -1,
        .e_p = r->rate.e_p_upper > 0 ? r->rate.e_p_upper : -1,
        .f_ec = r->f_ec,
        .gain_xx = r->gain_xx,
        .gain_yy = r->gain_yy,
        .gain_mismatched = r->gain_mismatched,
        .block_s = b->config.keyrate.seconds,
        .acquisition_s = seconds(b->acquired_ms - b->begun_ms),
        .sifting_s = seconds(b->spent_ms[POST_STAGE_SIFTING]),
        .correction_s = seconds(b->spent_ms[POST_STAGE_CORRECTION]),
        .amplification_s = seconds(b->spent_ms[POST_STAGE_AMPLIFICATION])};
    if (r->outcome != POST_KEY)
        return;
    p->e_x = r->rate.e_x;
    p->e_y = r->rate.e_y;
    p->gain = (double)r->n / b->config.keyrate.pulses;
}

static int give_key(struct mdi_peer *p, const struct source_block *block, struct update *u)
{
    update_note(u, NOTE_INFO,
        "%s: a block of %g s gave %zu bytes of key: E_x %.2f %%, E_y %.2f %%, f_EC %.3f, %.1f "
        "kbit/s",
        p->name, block->seconds, block->len, 100 * p->report.e_x, 100 * p->report.e_y,
        p->report.f_ec, block->rate_kbps);
    return p->source->source.on_block(p->source->source.owner, block, u);
}

/* Whole bytes of key only. */
static int end_with_key(struct mdi_block *b, struct post_result *r, struct update *u)
{
    struct mdi_peer *p = b->peer;
    cleanup(secret_deinit) struct secret key = secret_move(&r->key);
    struct source_block block = {.peer = p->name,
        .key = key.data,
        .len = (size_t)(r->rate.key_bits / 8),
        .simulated = true,
        .rate_kbps = r->rate.rate_kbps,
        .qber = r->rate.e_x,
        .seconds = b->config.keyrate.seconds};
    const struct source_void too_short = {
        .peer = p->name, .kind = SOURCE_VOID_ERRORS, .reason = "not even one byte of key is left"};
    memcpy(block.id, b->id, sizeof(block.id));
    leave(b);
    return block.len > 0 ? give_key(p, &block, u) : tell_owner(p, &too_short, u);
}

static int end_without_key(struct mdi_block *b, const struct post_result *r, struct update *u)
{
    struct mdi_peer *p = b->peer;
    struct err reason = r->reason;
    const struct source_void v = {.peer = p->name,
        .kind = r->outcome == POST_ALARM ? SOURCE_VOID_ALARM
                : r->no_key              ? SOURCE_VOID_ERRORS
                                         : SOURCE_VOID_OTHER,
        .reason = reason.text,
        .qber = r->qber};
    leave(b);
    return tell_owner(p, &v, u);
}

static int end(struct mdi_block *b, struct update *u)
{
    struct mdi_peer *p = b->peer;
    struct post_result *result = post_block_result(b->post);
    describe(b, result);
    int r =
        result->outcome == POST_KEY ? end_with_key(b, result, u) : end_without_key(b, result, u);
    return r < 0 ? r : go_on(p, u);
}

/* ---- one event after the other ------------------------------------------------------------------ */

static void count_time(struct mdi_block *b, enum post_stage stage)
{
    b->spent_ms[stage] += now_ms(b) - b->stage_ms;
    b->stage_ms = now_ms(b);
}

static int carry_out(struct mdi_block *b, struct post_update *pu, struct update *u)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < pu->n; i++)
        r = say_post(b, pu->messages[i], u);
    return r == 0 && pu->job ? start_job(b, steal(&pu->job), u) : r;
}

static int grant_wish(struct mdi_block *b, const struct post_want *want, struct update *u)
{
    switch (want->kind) {
    case POST_WANT_RANDOM:
        return give_random(b, want->len, u);
    case POST_WANT_PAD_SEND:
        return mdi_peer_draw(b->peer, false, 0, &b->ticket, u);
    case POST_WANT_PAD_RECEIVE:
        b->wants_theirs = true;
        b->wanted = want->at;
        return mdi_block_give_theirs(b, u);
    case POST_WANT_NONE:
        break;
    }
    return 0;
}

/* What one block cannot have, memory above all, is no reason to end the daemon. */
static int give_up(struct mdi_block *b, struct update *u)
{
    static const char reason[] = "this end has no memory for it";
    int r = say_void(b, reason, u);
    return r < 0 ? r : mdi_block_void_quietly(b, reason, u);
}

int mdi_block_feed(struct mdi_block *b, const struct post_event *event, struct update *u)
{
    cleanup(post_update_deinit) struct post_update pu = {0};
    enum post_stage stage = post_block_stage(b->post);
    int r = post_block_step(b->post, event, &pu);
    count_time(b, stage);
    if (r < 0)
        return give_up(b, u);
    r = carry_out(b, &pu, u);
    if (r == 0 && post_block_result(b->post)->outcome != POST_OPEN)
        return end(b, u);
    const struct post_want want = pu.want;
    return r < 0 ? r : grant_wish(b, &want, u);
}

/* ---- from events to conversation ---------------------------------------------------------------- */

static int begin_post(struct mdi_block *b, struct update *u)
{
    struct err why = {{0}};
    claim(b, post_block_memory(&b->config, post_record_clicks(b->record)));
    b->stage_ms = b->progress_ms = now_ms(b);
    b->config.e_x_expected = b->peer->e_x;
    b->config.e_y_before = b->peer->e_y;
    int r = post_block_new(&b->post, &b->config, steal(&b->record), &why);
    if (r < 0)
        return mdi_block_void(b, r == -EINVAL ? why.text : "this end has no memory for it", u);
    b->state = MDI_POSTING;
    auto_free uint8_t *early = steal(&b->early);
    struct mdi_peer *p = b->peer;
    uint8_t id[MDI_ID_BYTES];
    memcpy(id, b->id, sizeof(id));
    const struct post_event start = {.kind = POST_EVENT_START};
    size_t len = b->early_len;
    r = mdi_block_feed(b, &start, u);
    b = mdi_block_find(p, id); /* it may have ended at once */
    return r == 0 && early && b ? mdi_block_hear(b, early, len, u) : r;
}

static int begin_next(struct mdi_peer *p, struct update *u)
{
    if (p->n_blocks == 0 || p->blocks[0]->state != MDI_READY)
        return 0;
    return begin_post(p->blocks[0], u);
}

int mdi_block_acquired(struct mdi_block *b, struct update *u)
{
    struct mdi_peer *p = b->peer;
    b->state = MDI_READY;
    b->acquired_ms = now_ms(b);
    p->acquisition_ms = b->acquired_ms - b->begun_ms;
    p->n_acquired++;
    return begin_next(p, u);
}

/* ---- what the other end says -------------------------------------------------------------------- */

/* It has given the block up while this end still receives events. */
static int hear_void_early(struct mdi_block *b, uint8_t *data, size_t len, struct update *u)
{
    struct arena *arena = b->peer->source->arena;
    ProtobufCMessage *m;
    char text[MDI_TEXT_MAX + 32];
    int r = codec_unpack_in_place(&post__void__descriptor, data + 1, len - 1, arena, &m);
    if (r < 0)
        return r;
    snprintf(text, sizeof(text), "the other end: %.200s",
        r == 0 ? ((const Post__Void *)m)->reason : "void");
    return mdi_block_void_quietly(b, text, u);
}

static int keep_early(struct mdi_block *b, const uint8_t *data, size_t len, struct update *u)
{
    if (b->early || len > MDI_EARLY_MAX)
        return mdi_block_void(b, "the other end does not wait for its turn", u);
    b->early = malloc(len);
    if (!b->early)
        return -ENOMEM;
    memcpy(b->early, data, len);
    b->early_len = len;
    return 0;
}

int mdi_block_hear(struct mdi_block *b, uint8_t *data, size_t len, struct update *u)
{
    if (b->state != MDI_POSTING && len > 0 && data[0] == POST_VOID && len <= MDI_EARLY_MAX)
        return hear_void_early(b, data, len, u);
    if (b->state != MDI_POSTING)
        return keep_early(b, data, len, u);
    const struct post_event event = {.kind = POST_EVENT_MESSAGE, .message = {data, len}};
    b->progress_ms = now_ms(b);
    return mdi_block_feed(b, &event, u);
}

/* ---- time --------------------------------------------------------------------------------------- */

uint64_t mdi_block_deadline_ms(const struct mdi_block *b)
{
    bool waits = b->state == MDI_POSTING && b->job == 0;
    return waits ? b->progress_ms + b->peer->source->config.silence_ms : NEVER_MS;
}

int mdi_block_tick(struct mdi_block *b, struct update *u)
{
    if (now_ms(b) < mdi_block_deadline_ms(b))
        return 0;
    char text[MDI_TEXT_MAX];
    snprintf(text, sizeof(text), "nothing was heard from the other end for %.0f s",
        seconds(b->peer->source->config.silence_ms));
    return mdi_block_void(b, text, u);
}
