/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation about one block.
 *
 *     LOW and HIGH   ANNOUNCE; BASES chunk by chunk, each sent when the other's before it was sifted;
 *                    DISCLOSE likewise
 *     LOW            PLAN
 *     HIGH, LOW      ASK (one step in one or more messages), ANSWER; again and again; CORRECTED
 *     LOW, HIGH      SEED, NEXT; ...; the last SEED without NEXT
 *     LOW            TAG
 *     HIGH           TAG, when that of LOW was right
 *     LOW            DONE, when that of HIGH was right
 *
 * Every message but TAG, DONE and VOID goes into the transcript hash of its direction. One message
 * that comes while a job or a wish is out waits; an honest other end is never further ahead. */
#include "keypool/post/post_machine.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#define ARENA_KEEP 4096

/* ---- updates ------------------------------------------------------------------------------------ */

void post_update_deinit(struct post_update *u)
{
    for (size_t i = 0; i < u->n; i++)
        blob_unref(u->messages[i]);
    free(u->messages);
    if (u->job)
        u->job->free(u->job);
    *u = (struct post_update){0};
}

static bool is_tagged(uint8_t type)
{
    return type != POST_TAG && type != POST_DONE && type != POST_VOID;
}

static void hash_message(
    struct post_block *b, enum post_side speaker, const uint8_t *data, size_t len)
{
    if (!is_tagged(data[0]))
        return;
    gf128_u64(&b->transcript[speaker], b->said[speaker]++);
    gf128_part(&b->transcript[speaker], data, len);
}

int post_say(struct post_block *b, struct post_update *u, enum post_type type,
    const ProtobufCMessage *message)
{
    struct blob **list = realloc(u->messages, (u->n + 1) * sizeof(struct blob *));
    if (!list)
        return -ENOMEM;
    u->messages = list;
    struct blob *blob = blob_new(1 + protobuf_c_message_get_packed_size(message));
    if (!blob)
        return -ENOMEM;
    blob->data[0] = (uint8_t)type;
    protobuf_c_message_pack(message, blob->data + 1);
    u->messages[u->n++] = blob;
    hash_message(b, b->config.side, blob->data, blob->len);
    return 0;
}

/* ---- the end ------------------------------------------------------------------------------------ */

static void end(struct post_block *b, enum post_outcome outcome)
{
    b->state = STATE_END;
    b->result.outcome = outcome;
    b->then = NULL;
    b->want = (struct post_want){0};
    post_work_free(b->work);
    b->work = NULL;
    for (unsigned side = 0; side < 2; side++)
        gf128_deinit(&b->transcript[side]);
}

/* What a peer has written, for a log: no control characters. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

/* The block is void; the other end is told the sentence in result.reason. */
int post_end_void(struct post_block *b, struct post_update *u, enum post_outcome outcome)
{
    char reason[POST_REASON_MAX];
    size_t len = strnlen(b->result.reason.text, sizeof(reason) - 1);
    memcpy(reason, b->result.reason.text, len);
    reason[len] = '\0';
    Post__Void m = POST__VOID__INIT;
    m.reason = reason;
    m.alarm = outcome == POST_ALARM;
    m.errors = b->result.no_key;
    m.qber = b->result.qber;
    end(b, outcome);
    return post_say(b, u, POST_VOID, &m.base);
}

int post_finish(struct post_block *b)
{
    b->result.key = secret_move(&b->work->key);
    end(b, POST_KEY);
    return 0;
}

/* ---- jobs and wishes ---------------------------------------------------------------------------- */

static void job_run(struct job *job)
{
    struct post_job *j = (struct post_job *)job;
    j->result = j->todo(j->work);
}

static void job_free(struct job *job)
{
    struct post_job *j = (struct post_job *)job;
    post_work_free(j->work);
    free(j);
}

int post_start(
    struct post_block *b, struct post_update *u, int (*todo)(struct post_work *w), then_fn *then)
{
    struct post_job *j = calloc(1, sizeof(*j));
    if (!j)
        return -ENOMEM;
    *j = (struct post_job){{job_run, job_free}, steal(&b->work), todo, 0};
    b->then = then;
    u->job = &j->base;
    return 0;
}

int post_wish(struct post_block *b, struct post_update *u, struct post_want want, then_fn *then)
{
    b->want = want;
    b->then = then;
    u->want = want;
    return 0;
}

static int refused_by_job(struct post_block *b, struct post_update *u)
{
    if (b->work->has_too_many_errors) {
        b->result.no_key = true;
        b->result.qber = b->result.rate.e_y;
    }
    return void_block(b, u, "%s", b->work->why.text);
}

static int on_job(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    struct post_job *j = (struct post_job *)event->job;
    if (b->state == STATE_END) {
        job_free(&j->base);
        return 0;
    }
    assert(!b->work && b->then);
    b->work = steal(&j->work);
    int result = j->result;
    free(j);
    then_fn *then = steal(&b->then);
    if (result < 0)
        return result;
    return result > 0 ? refused_by_job(b, u) : then(b, event, u);
}

static int on_granted(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    if (b->state == STATE_END)
        return 0;
    bool is_random = event->kind == POST_EVENT_RANDOM;
    assert(b->then && is_random == (b->want.kind == POST_WANT_RANDOM));
    then_fn *then = steal(&b->then);
    if (!is_random && !event->pad.data)
        return void_block(b, u, "no pad for a tag: %s", event->pad.text);
    return then(b, event, u);
}

/* ---- vectors, chunk by chunk -------------------------------------------------------------------- */

/* The bytes of the next own chunk of a vector of `total` bytes. */
size_t post_chunk_next(const struct post_block *b, uint64_t total)
{
    return (size_t)MIN(total - b->vector_at, (uint64_t)b->config.chunk_bytes);
}

/* Must be the very next chunk: then it is put where the job finds it. */
int post_chunk_take(
    struct post_block *b, uint64_t at, uint64_t total, uint64_t from, ProtobufCBinaryData bits)
{
    if (from != at || bits.len == 0 || bits.len != MIN(total - at, (uint64_t)b->config.chunk_bytes))
        return err_set(&b->result.reason, 1,
            "the other end's vector goes on at byte %" PRIu64 " with %zu bytes, where %" PRIu64
            " of %" PRIu64 " were there",
            from, bits.len, at, total);
    b->work->in.len = 0;
    return buf_append(&b->work->in, bits.data, bits.len);
}

/* ---- messages ----------------------------------------------------------------------------------- */

static const struct {
    uint8_t type;
    enum post_state state;
    int (*hear)(struct post_block *b, const ProtobufCMessage *message, struct post_update *u);
} turns[] = {
    {POST_ANNOUNCE, STATE_ANNOUNCE, post_hear_announce},
    {POST_BASES, STATE_BASES, post_hear_bases},
    {POST_DISCLOSE, STATE_DISCLOSE, post_hear_disclose},
    {POST_PLAN, STATE_PLAN, post_hear_plan},
    {POST_ASK, STATE_ASK, post_hear_ask},
    {POST_ANSWER, STATE_ANSWER, post_hear_answer},
    {POST_CORRECTED, STATE_ASK, post_hear_corrected},
    {POST_SEED, STATE_SEED, post_hear_seed},
    {POST_NEXT, STATE_NEXT, post_hear_next},
    {POST_TAG, STATE_TAG, post_hear_tag},
    {POST_DONE, STATE_DONE, post_hear_done},
};

static const struct exchange_rule *rule_of(const struct post_block *b, uint8_t type)
{
    unsigned from = 1u << (other_of(b) == POST_LOW ? LINK_INITIATOR : LINK_RESPONDER);
    for (size_t i = 0; i < post_exchange.n; i++)
        if (post_exchange.rules[i].type == type && (post_exchange.rules[i].from & from))
            return &post_exchange.rules[i];
    return NULL;
}

static int hear_void(struct post_block *b, const Post__Void *m)
{
    char text[POST_REASON_MAX];
    size_t len = strnlen(m->reason, sizeof(text) - 1);
    memcpy(text, m->reason, len);
    text[len] = '\0';
    clean(text);
    err_set(&b->result.reason, 1, "the other end: %s", len ? text : "void, it does not say why");
    b->result.no_key = m->errors;
    b->result.qber = m->qber >= 0 && m->qber <= 1 ? m->qber : 0;
    end(b, m->alarm ? POST_ALARM : POST_VOIDED);
    return 0;
}

static int dispatch(
    struct post_block *b, uint8_t type, const ProtobufCMessage *m, struct post_update *u)
{
    if (type == POST_VOID)
        return hear_void(b, (const Post__Void *)m);
    for (size_t i = 0; i < ARRAY_SIZE(turns); i++)
        if (turns[i].type == type && turns[i].state == b->state)
            return turns[i].hear(b, m, u);
    return void_block(
        b, u, "the other end talks out of turn: message %u in state %d", type, (int)b->state);
}

static int hear(struct post_block *b, uint8_t *data, size_t len, struct post_update *u)
{
    const struct exchange_rule *rule = len > 0 ? rule_of(b, data[0]) : NULL;
    if (!rule)
        return void_block(b, u, "the other end sent a message of no kind of its own");
    if (len - 1 > rule->max_bytes)
        return void_block(b, u, "the other end sent a message of %zu bytes", len);
    ProtobufCMessage *m;
    hash_message(b, other_of(b), data, len);
    int r = codec_unpack_in_place(rule->descriptor, data + 1, len - 1, b->arena, &m);
    if (r > 0)
        r = void_block(b, u, "the other end sent a malformed message %u", data[0]);
    else if (r == 0)
        r = dispatch(b, data[0], m, u);
    arena_reset(b->arena, true);
    return r;
}

/* While a job or a wish is out, one message waits; word that the block is void does not. */
static int on_message(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    const size_t len = event->message.len;
    if (b->state == STATE_END)
        return 0;
    bool is_void = len > 0 && event->message.data[0] == POST_VOID;
    if (is_void || (!b->then && b->state != STATE_NEW))
        return hear(b, event->message.data, len, u);
    if (b->ahead || len == 0 || len > POST_MESSAGE_MAX)
        return void_block(b, u, "the other end does not wait for its turn");
    b->ahead = malloc(len);
    if (!b->ahead)
        return -ENOMEM;
    memcpy(b->ahead, event->message.data, len);
    b->ahead_len = len;
    return 0;
}

static int hear_ahead(struct post_block *b, struct post_update *u)
{
    if (!b->ahead || b->then || b->state == STATE_END)
        return 0;
    auto_free uint8_t *data = steal(&b->ahead);
    return hear(b, data, b->ahead_len, u);
}

static int on_abandon(struct post_block *b, const char *why, struct post_update *u)
{
    return b->state == STATE_END ? 0 : void_block(b, u, "%s", why);
}

static int on_event(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    switch (event->kind) {
    case POST_EVENT_START:
        assert(b->state == STATE_NEW || b->state == STATE_END);
        return b->state == STATE_NEW ? post_announce(b, u) : 0;
    case POST_EVENT_MESSAGE:
        return on_message(b, event, u);
    case POST_EVENT_JOB:
        return on_job(b, event, u);
    case POST_EVENT_RANDOM:
    case POST_EVENT_PAD:
        return on_granted(b, event, u);
    case POST_EVENT_ABANDON:
        return on_abandon(b, event->text, u);
    }
    return -EINVAL;
}

int post_block_step(struct post_block *b, const struct post_event *event, struct post_update *u)
{
    int r = on_event(b, event, u);
    return r < 0 ? r : hear_ahead(b, u);
}

/* ---- life --------------------------------------------------------------------------------------- */

int post_block_new(struct post_block **out, const struct post_config *config,
    struct post_record *record, struct err *e)
{
    *out = NULL;
    bool is_sane = post_config_is_sane(config, e);
    if (is_sane &&
        (config->side != record->side || config->keyrate.pulses != (double)record->pulses)) {
        err_set(e, 1, "post-processing: the record is not that of this block");
        is_sane = false;
    }
    struct post_block *b = calloc(1, sizeof(*b));
    if (!is_sane || !b) {
        post_record_free(record);
        free(b);
        return is_sane ? -ENOMEM : -EINVAL;
    }
    post_record_seal(record);
    b->config = *config;
    b->result.n = record->n;
    memcpy(b->transcript, record->transcript, sizeof(b->transcript));
    memcpy(b->announced, record->digest, sizeof(b->announced));
    b->arena = arena_new(ARENA_KEEP);
    int r = post_work_new(&b->work, config->side, record);
    if (r == 0 && !b->arena)
        r = -ENOMEM;
    if (r < 0) {
        post_block_free(b);
        return r;
    }
    *out = b;
    return 0;
}

void post_block_free(struct post_block *b)
{
    if (!b)
        return;
    end(b, POST_VOIDED);
    secret_deinit(&b->result.key);
    arena_free(b->arena);
    free(b->ahead);
    secret_wipe(b, sizeof(*b));
    free(b);
}

enum post_stage post_block_stage(const struct post_block *b)
{
    switch (b->state) {
    case STATE_NEW:
    case STATE_ANNOUNCE:
    case STATE_BASES:
    case STATE_DISCLOSE:
        return POST_STAGE_SIFTING;
    case STATE_PLAN:
    case STATE_ASK:
    case STATE_ANSWER:
        return POST_STAGE_CORRECTION;
    default:
        return POST_STAGE_AMPLIFICATION;
    }
}

struct post_result *post_block_result(struct post_block *b)
{
    return &b->result;
}

/* Bytes a bit of a frame in flight: three words for 64 bits, two bits for each node of both trees, of which
 * there are fewer than four a bit, the lists of nodes. */
#define FRAME_BYTES_PER_BIT 2

size_t post_block_memory(const struct post_config *c, uint64_t clicks)
{
    uint64_t record = clicks / 4;
    uint64_t sifted = clicks / 8;
    uint64_t frames = MIN(clicks, (uint64_t)c->frame_bits * c->window);
    uint64_t cascade = frames * FRAME_BYTES_PER_BIT + frames / 2;
    uint64_t amplification = clicks / 8 + clicks;
    uint64_t worst = MAX(record, MAX(cascade, amplification));
    return (size_t)(sifted + worst + 8 * POST_MESSAGE_MAX);
}
