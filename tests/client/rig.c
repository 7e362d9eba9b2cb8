/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/rig.h"

#include "common/sha256.h"
#include "common/util.h"
#include "common/words.h"
#include "proto/ctl.h"
#include "proto/ctl.pb-c.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

const char *const rig_sites[RIG_SITES] = {"alice", "bob", "charlie", "david"};

/* ---- story ------------------------------------------------------------------------------------ */

static void tell(struct rig *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct rig *r, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    size_t had = strlen(r->story);
    r->story = realloc(r->story, had + strlen(line) + 2);
    strcat(strcat(r->story, line), "\n");
}

void rig_forget(struct rig *r)
{
    free(r->story);
    r->story = calloc(1, 1);
}

void rig_expect(struct rig *r, const char *story)
{
    assert_string_equal(r->story, story);
    rig_forget(r);
}

bool rig_phase(const struct rig *r, const char *phase)
{
    const char *now = participant_query(r->p).phase;
    if (strcmp(now, phase) != 0)
        fprintf(stderr, "phase %s, expected %s\n", now, phase);
    return strcmp(now, phase) == 0;
}

static const char *code_name(uint32_t code)
{
    static const char *const names[] = {"OK", "STALE", "NO_KEY", "VAULT", "POLICY", "VIEW",
        "TRAINING", "TAG", "DEADLINE", "LOST_CLIENT", "SPENT", "DRAIN"};
    return code < ARRAY_SIZE(names) ? names[code] : "?";
}

/* ---- what the participant says to the server -------------------------------------------------- */

static void keep_chunk(struct rig *r, const Fed__Chunk *m)
{
    assert_true(m->index < RIG_CHUNKS && m->data.len <= sizeof(r->chunks[0]));
    memcpy(r->chunks[m->index], m->data.data, m->data.len);
    r->chunk_len[m->index] = m->data.len;
    r->chunks_seen++;
    tell(r, "server: CHUNK %d of %d", (int)m->index, (int)m->attempt);
}

static void keep_tags(struct rig *r, const Fed__Confirm *m)
{
    char names[128] = "";
    for (size_t i = 0; i < m->n_tags; i++) {
        strcat(strcat(names, " "), m->tags[i]->peer);
        for (size_t s = 0; s < RIG_SITES; s++)
            if (strcmp(rig_sites[s], m->tags[i]->peer) == 0)
                memcpy(r->tags[s], m->tags[i]->tag.data, 16);
    }
    tell(r, "server: CONFIRM %d to%s", (int)m->attempt, names);
}

static void tell_hello(struct rig *r, const Fed__Hello *m)
{
    tell(r, "server: HELLO round %d, attempt %d, outbox %d%s, %d levels", (int)m->round,
        (int)m->last_attempt, (int)m->outbox_attempt, m->model_hash.len ? ", model" : "",
        (int)m->n_levels);
}

static void tell_message(struct rig *r, uint16_t type, const void *m)
{
    const Fed__Ready *ready = m;
    const Fed__Decline *decline = m;
    const Fed__Reject *reject = m;
    switch (type) {
    case FED_HELLO:
        tell_hello(r, m);
        break;
    case FED_LEVELS:
        tell(r, "server: LEVELS");
        break;
    case FED_MODEL_GET:
        tell(r, "server: MODEL_GET");
        break;
    case FED_READY:
        assert_memory_equal(ready->open_hash.data, r->open_hash, 32);
        tell(r, "server: READY %d n=%d, %d levels", (int)ready->round, (int)ready->samples,
            (int)ready->n_levels);
        break;
    case FED_DECLINE:
        tell(r, "server: DECLINE %d %s: %s", (int)decline->round, code_name(decline->code),
            decline->reason);
        break;
    case FED_REJECT:
        tell(r, "server: REJECT %d %s: %s", (int)reject->attempt, code_name(reject->code),
            reject->reason);
        break;
    case FED_CONFIRM:
        keep_tags(r, m);
        break;
    case FED_LOCKED:
        r->locked = ((const Fed__Locked *)m)->attempt;
        tell(r, "server: LOCKED %d", (int)r->locked);
        break;
    case FED_CHUNK:
        keep_chunk(r, m);
        break;
    case FED_DONE:
        tell(r, "server: DONE %d", (int)((const Fed__Done *)m)->attempt);
        break;
    case FED_LOST:
        tell(r, "server: LOST %d", (int)((const Fed__Lost *)m)->attempt);
        break;
    default:
        tell(r, "server: frame type %u", type);
    }
}

static const ProtobufCMessageDescriptor *descriptor(const struct exchange *x, uint16_t type)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->rules[i].type == type)
            return x->rules[i].descriptor;
    return NULL;
}

static void to_server(struct rig *r, uint16_t type, const struct blob *body)
{
    struct arena *a = arena_new(4096);
    ProtobufCMessage *m = NULL;
    if (type < 16) {
        tell(r, "server: %s", type == LINK_PING ? "PING" : "PONG");
    } else {
        assert_int_equal(
            codec_unpack(descriptor(&fed_exchange, type), body->data, body->len, a, &m), 0);
        tell_message(r, type, m);
    }
    arena_free(a);
}

/* ---- what it says to the vault and to qflctl -------------------------------------------------- */

static void tell_request(struct rig *r, uint16_t type, const struct blob *body)
{
    struct arena *a = arena_new(4096);
    ProtobufCMessage *m = NULL;
    char ranges[256] = "";
    assert_int_equal(
        codec_unpack(descriptor(&vault_exchange, type), body->data, body->len, a, &m), 0);
    if (type == VAULT_RELEASE)
        tell(r, "vault: RELEASE %d", (int)((Vault__Release *)m)->attempt);
    if (type == VAULT_RESERVE) {
        const Vault__Reserve *reserve = (Vault__Reserve *)m;
        for (size_t i = 0; i < reserve->n_ranges; i++)
            sprintf(ranges + strlen(ranges), " %d+%d", (int)reserve->ranges[i]->start,
                (int)reserve->ranges[i]->length);
        tell(r, "vault: RESERVE %d%s", (int)reserve->attempt, ranges);
    }
    arena_free(a);
}

static void to_vault(struct rig *r, uint16_t type, const struct blob *body)
{
    struct blob *answer = NULL;
    tell_request(r, type, body);
    uint16_t answer_type = fake_vault_answer(&r->vault, type, body->data, body->len, &answer);
    if (!answer_type)
        return;
    r->queue = realloc(r->queue, (r->queued + 1) * sizeof(*r->queue));
    r->queue[r->queued++] = (struct rig_frame){r->pool, answer_type, answer};
}

static void to_ctl(struct rig *r, const struct blob *body)
{
    struct arena *a = arena_new(4096);
    ProtobufCMessage *m = NULL;
    assert_int_equal(codec_unpack(&ctl__reply__descriptor, body->data, body->len, a, &m), 0);
    const Ctl__Reply *reply = (Ctl__Reply *)m;
    free(r->reply);
    r->reply = strdup(reply->code ? reply->reason : reply->result);
    r->reply_code = reply->code;
    arena_free(a);
}

/* ---- steps ------------------------------------------------------------------------------------ */

static void carry_out(struct rig *r, struct effect *e)
{
    switch (e->kind) {
    case EFFECT_SEND:
        if (e->conn == r->server)
            to_server(r, e->type, e->body);
        else if (e->conn == r->pool)
            to_vault(r, e->type, e->body);
        else if (e->conn == r->ctl)
            to_ctl(r, e->body);
        break;
    case EFFECT_CLOSE:
        tell(r, "closed %s: %s",
            e->conn == r->server ? "server"
            : e->conn == r->pool ? "vault"
                                 : "?",
            e->text);
        break;
    case EFFECT_JOB:
        assert_null(r->job);
        r->job = steal(&e->job);
        break;
    case EFFECT_NOTE:
        if (e->level == NOTE_ALARM)
            tell(r, "alarm: %s", e->text);
        break;
    case EFFECT_STOP:
        tell(r, "stop %d: %s", e->code, e->text);
        break;
    case EFFECT_LIMIT:
        break;
    }
}

static void step_one(struct rig *r, struct event *event)
{
    struct update u = {0};
    event->now_ms = r->now_ms;
    if (r->result < 0) {
        if (event->kind == EVENT_JOB)
            event->job->free(event->job);
        return;
    }
    r->result = participant_step(r->p, event, &u);
    for (size_t i = 0; i < u.n && r->result == 0; i++)
        carry_out(r, &u.effects[i]);
    update_deinit(&u);
}

static void settle(struct rig *r)
{
    while (r->result == 0 && ((r->job && !r->is_job_slow) || (r->queued && !r->is_vault_slow))) {
        if (r->job && !r->is_job_slow)
            rig_finish_job(r);
        if (r->queued && !r->is_vault_slow)
            rig_answer(r, 1);
    }
}

static void record(struct rig *r, int what)
{
    if (r->record)
        fputc(what, r->record);
}

static void record_u16(struct rig *r, size_t v)
{
    record(r, (int)(v >> 8 & 255));
    record(r, (int)(v & 255));
}

/* For the corpus of tests/fuzz. */
static void record_frame(
    struct rig *r, uint32_t conn, uint16_t type, const uint8_t *body, size_t len)
{
    record(r, conn == r->server ? 0 : conn == r->pool ? 1 : 2);
    record_u16(r, type);
    record_u16(r, len);
    for (size_t i = 0; i < len; i++)
        record(r, body[i]);
}

static void step(struct rig *r, struct event event)
{
    step_one(r, &event);
    settle(r);
}

void rig_finish_job(struct rig *r)
{
    struct event event = {.kind = EVENT_JOB, .job = steal(&r->job)};
    assert_non_null(event.job);
    record(r, 8);
    event.job->run(event.job);
    step(r, event);
}

/* No key byte may stay in a frame that the participant has seen. */
static void check_wiped(const struct event *event)
{
    for (size_t i = 0; i < event->frame.len; i++)
        assert_int_equal(event->frame.body[i], 0);
}

void rig_frame(struct rig *r, uint32_t conn, uint16_t type, const void *body, size_t len)
{
    struct event event = {.kind = EVENT_FRAME, .conn = conn};
    record_frame(r, conn, type, body, len);
    event.frame.type = type;
    event.frame.body = malloc(len + 1);
    event.frame.len = len;
    if (len > 0)
        memcpy(event.frame.body, body, len);
    bool was_alive = r->result == 0;
    step_one(r, &event);
    if (was_alive && conn == r->pool && type == VAULT_PAD)
        check_wiped(&event);
    free(event.frame.body);
    settle(r);
}

void rig_answer(struct rig *r, size_t n)
{
    for (size_t i = 0; i < n && r->queued > 0; i++) {
        struct rig_frame f = r->queue[0];
        memmove(r->queue, r->queue + 1, --r->queued * sizeof(f));
        if (f.conn == r->pool)
            rig_frame(r, f.conn, f.type, f.body->data, f.body->len);
        blob_unref(f.body);
    }
}

void rig_wait(struct rig *r, uint64_t ms)
{
    uint64_t until = r->now_ms + ms;
    while (r->result == 0 && participant_deadline_ms(r->p) <= until) {
        uint64_t at = MAX(r->now_ms, participant_deadline_ms(r->p));
        record(r, 9);
        record_u16(r, at - r->now_ms);
        r->now_ms = at;
        step(r, (struct event){.kind = EVENT_TICK});
    }
    r->now_ms = until;
    step(r, (struct event){.kind = EVENT_TICK});
}

/* ---- connections ------------------------------------------------------------------------------ */

static uint32_t connect_to(struct rig *r, uint32_t *conn, enum role role, const char *site)
{
    struct event event = {.kind = EVENT_OPENED, .conn = ++r->conns};
    event.opened.role = role;
    event.opened.site = site;
    *conn = r->conns;
    record(r, role == ROLE_SERVER ? 3 : role == ROLE_VAULT ? 4 : 5);
    step(r, event);
    return *conn;
}

void rig_connect_server(struct rig *r)
{
    Fed__Welcome m = FED__WELCOME__INIT;
    char federation[] = "test";
    connect_to(r, &r->server, ROLE_SERVER, "aggregator");
    m.version = FED_VERSION;
    m.federation = federation;
    rig_say(r, FED_WELCOME, &m.base);
}

void rig_connect_vault(struct rig *r)
{
    connect_to(r, &r->pool, ROLE_VAULT, r->site);
}

static void lose(struct rig *r, uint32_t *conn)
{
    struct event event = {.kind = EVENT_CLOSED, .conn = *conn};
    record(r, conn == &r->server ? 6 : 7);
    *conn = 0;
    step(r, event);
}

void rig_lose_server(struct rig *r)
{
    lose(r, &r->server);
}

static void drop_queue(struct rig *r)
{
    for (size_t i = 0; i < r->queued; i++)
        blob_unref(r->queue[i].body);
    r->queued = 0;
}

void rig_lose_vault(struct rig *r)
{
    drop_queue(r);
    lose(r, &r->pool);
}

/* ---- life and death --------------------------------------------------------------------------- */

static void on_quantised(void *arg, uint64_t round, uint64_t attempt, const int64_t *v, uint32_t n)
{
    struct rig *r = arg;
    (void)round;
    assert_int_equal(n, RIG_PARAMETERS);
    memcpy(r->quantised, v, n * sizeof(*v));
    r->quantised_attempt = attempt;
}

static void init_server(struct rig *r)
{
    fed__open__init(&r->open);
    fed__params__init(&r->params);
    memset(r->run, 'r', sizeof(r->run));
    strcpy(r->task, "colours");
    r->open.run = (ProtobufCBinaryData){16, r->run};
    r->open.previous = (ProtobufCBinaryData){32, r->previous};
    r->open.model_hash = (ProtobufCBinaryData){32, r->model_hash};
    r->open.rounds = 9;
    r->open.params = &r->params;
    r->params.task = r->task;
    r->params.parameters = RIG_PARAMETERS;
    r->params.q = 8;
    r->params.clip = 0.25;
    r->params.chunk_words = RIG_CHUNK;
    for (size_t i = 0; i < RIG_PARAMETERS; i++)
        r->model[i] = 0.01 * (double)i;
    sha256(r->model_hash, r->model, sizeof(r->model));
}

static void init_config(struct rig *r)
{
    r->config = (struct participant_config){
        .federation = "test",
        .site = r->site,
        .peers = r->peers,
        .n_peers = ARRAY_SIZE(r->peers),
        .policy = {.k_min = 3,
            .t_min = 1,
            .any_run = true,
            .task = "colours",
            .q_min = 6,
            .q_max = 32,
            .clip_max = 1},
        .trainer = &r->trainer.trainer,
        .nonce = "nonce",
        .on_quantised = on_quantised,
        .on_quantised_arg = r,
    };
    strcpy((char *)r->config.seed, r->site);
}

void rig_init_site(struct rig *r, uint64_t seed, const char *site)
{
    *r = (struct rig){.now_ms = 1000, .disk = disk_sim_new(seed), .site = site};
    r->trainer = fake_trainer(RIG_PARAMETERS, 10);
    for (size_t i = 0, n = 0; i < RIG_SITES; i++)
        if (strcmp(rig_sites[i], site) != 0)
            r->peers[n++] = rig_sites[i];
    init_config(r);
    fake_vault_init(&r->vault, site, r->peers, ARRAY_SIZE(r->peers));
    init_server(r);
    rig_forget(r);
    rig_start(r);
    assert_non_null(r->p);
}

void rig_init(struct rig *r, uint64_t seed)
{
    rig_init_site(r, seed, "bob");
}

void rig_start(struct rig *r)
{
    r->p = NULL;
    r->err = (struct err){0};
    r->result = participant_new(&r->p, &r->config, disk_sim_disk(r->disk), r->now_ms, &r->err);
}

static void stop(struct rig *r)
{
    if (r->job)
        r->job->free(r->job);
    r->job = NULL;
    drop_queue(r);
    participant_free(r->p);
    r->p = NULL;
    r->server = r->pool = r->ctl = 0;
    r->vault.is_reserved = false;
}

void rig_restart(struct rig *r)
{
    stop(r);
    disk_sim_kill(r->disk);
    rig_start(r);
}

void rig_crash(struct rig *r)
{
    stop(r);
    disk_sim_crash(r->disk);
    rig_start(r);
}

void rig_deinit(struct rig *r)
{
    stop(r);
    free(r->queue);
    free(r->story);
    free(r->reply);
    blob_unref(r->view);
    disk_sim_free(r->disk);
}

int rig_setup(void **state)
{
    struct rig *r = malloc(sizeof(*r));
    rig_init(r, 1);
    rig_connect_vault(r);
    rig_connect_server(r);
    rig_forget(r);
    *state = r;
    return 0;
}

int rig_teardown(void **state)
{
    rig_deinit(*state);
    free(*state);
    return 0;
}

/* ---- the server ------------------------------------------------------------------------------- */

void rig_say(struct rig *r, uint16_t type, const ProtobufCMessage *m)
{
    struct blob *body = codec_pack(m);
    assert_int_not_equal(r->server, 0);
    if (type == FED_OPEN)
        sha256(r->open_hash, body->data, body->len);
    rig_frame(r, r->server, type, body->data, body->len);
    blob_unref(body);
}

void rig_open(struct rig *r, uint64_t round)
{
    r->open.round = round;
    rig_say(r, FED_OPEN, &r->open.base);
}

void rig_send_model(struct rig *r)
{
    for (uint32_t i = 0; i < 2; i++) {
        Fed__ModelChunk m = FED__MODEL_CHUNK__INIT;
        m.model_hash = (ProtobufCBinaryData){32, r->model_hash};
        m.index = i;
        m.count = 2;
        m.data = (ProtobufCBinaryData){
            sizeof(r->model) / 2, (uint8_t *)r->model + i * sizeof(r->model) / 2};
        rig_say(r, FED_MODEL_CHUNK, &m.base);
    }
}

void rig_plan(struct rig *r, uint64_t attempt)
{
    const struct plan_terms terms = {
        .round = r->open.round,
        .attempt = attempt,
        .q = r->params.q,
        .parameters = RIG_PARAMETERS,
        .chunk_words = RIG_CHUNK,
        .clip = r->params.clip,
        .rounding = (enum rounding)r->params.rounding,
    };
    static const uint64_t samples[] = {10, 10, 10, 10};
    uint64_t starts[RIG_SITES * (RIG_SITES - 1) / 2] = {0};
    size_t edge = 0;
    for (size_t low = 0; low < RIG_SITES; low++)
        for (size_t high = low + 1; high < RIG_SITES; high++, edge++) {
            const char *peer =
                strcmp(rig_sites[low], r->site) == 0 ? rig_sites[high] : rig_sites[low];
            bool is_own = peer == rig_sites[high] || strcmp(rig_sites[high], r->site) == 0;
            starts[edge] = is_own ? fake_vault_stream(&r->vault, peer)->cursor : 0;
        }
    plan_init(&r->plan, &terms, rig_sites, samples, RIG_SITES, starts);
    memcpy(r->plan.run, r->run, 16);
    memcpy(r->plan.previous, r->previous, 32);
    memcpy(r->plan.model_hash, r->model_hash, 32);
}

void rig_commit(struct rig *r)
{
    Fed__Commit m = FED__COMMIT__INIT;
    blob_unref(r->view);
    r->view = view_encode(&r->plan.view);
    m.attempt = r->plan.view.attempt;
    m.view = (ProtobufCBinaryData){r->view->len, r->view->data};
    rig_say(r, FED_COMMIT, &m.base);
}

void rig_relay_tag(struct rig *r, const char *from, const uint8_t tag[16])
{
    Fed__Relay m = FED__RELAY__INIT;
    Fed__Tag t = FED__TAG__INIT;
    t.peer = (char *)from;
    t.tag = (ProtobufCBinaryData){16, (uint8_t *)tag};
    m.attempt = r->plan.view.attempt;
    m.tag = &t;
    rig_say(r, FED_RELAY, &m.base);
}

void rig_relay(struct rig *r, const char *from)
{
    int low = view_find(&r->plan.view, from), high = view_find(&r->plan.view, r->site);
    bool is_low = low < high;
    const View__Edge *edge = is_low ? plan_edge(&r->plan, (uint32_t)low, (uint32_t)high)
                                    : plan_edge(&r->plan, (uint32_t)high, (uint32_t)low);
    uint8_t head[VIEW_HEAD_BYTES], tag[16];
    fake_vault_bytes(from, r->site, edge->start, head, sizeof(head));
    view_tag(r->view->data, r->view->len, (uint32_t)low, (uint32_t)high, head,
        head + 16 + (is_low ? 0 : 16), tag);
    rig_relay_tag(r, from, tag);
}

void rig_relay_all(struct rig *r)
{
    for (size_t i = 0; i < r->plan.view.n_members; i++)
        if (strcmp(r->plan.view.members[i]->site, r->site) != 0)
            rig_relay(r, r->plan.view.members[i]->site);
}

void rig_go(struct rig *r, uint64_t attempt, uint32_t from_chunk)
{
    Fed__Go m = FED__GO__INIT;
    m.attempt = attempt;
    m.from_chunk = from_chunk;
    rig_say(r, FED_GO, &m.base);
}

void rig_abort(struct rig *r, uint64_t attempt)
{
    Fed__Abort m = FED__ABORT__INIT;
    char reason[] = "somebody was slow";
    m.attempt = attempt;
    m.code = FED_DEADLINE;
    m.reason = reason;
    rig_say(r, FED_ABORT, &m.base);
}

void rig_skip(struct rig *r, uint64_t round, uint64_t attempt)
{
    Fed__Skip m = FED__SKIP__INIT;
    char reason[] = "an upload is missing";
    m.run = (ProtobufCBinaryData){16, r->run};
    m.round = round;
    m.attempt = attempt;
    m.reason = reason;
    rig_say(r, FED_SKIP, &m.base);
}

struct quantiser rig_quantiser(const struct rig *r)
{
    return (struct quantiser){.q = r->params.q,
        .participants = RIG_SITES,
        .parameters = RIG_PARAMETERS,
        .chunk_words = RIG_CHUNK,
        .clip = r->params.clip,
        .rounding = (enum rounding)r->params.rounding};
}

static void fill_sum(const struct quantiser *z, int64_t step, uint8_t *sum)
{
    uint32_t words = quantiser_words(z), at = 0;
    for (uint32_t c = 0; c < quantiser_chunks(z); c++) {
        uint32_t n = quantiser_chunk_words(z, c);
        for (uint32_t k = 0; k < n; k++, at++)
            words_put(sum, at, z->q, k == 0 || k == n - 1 ? z->participants : (uint32_t)step);
    }
    assert_int_equal(at, words);
}

static void make_digest(struct rig *r, const Fed__Result *m, uint8_t digest[32])
{
    uint8_t round[8], attempt[8];
    put_u64le(round, m->round);
    put_u64le(attempt, m->attempt);
    const struct sha256_part parts[] = {{r->previous, 32}, {r->run, 16}, {round, 8}, {attempt, 8},
        {m->base_hash.data, 32}, {m->model_hash.data, 32}};
    sha256_parts(digest, parts, ARRAY_SIZE(parts));
}

void rig_result_bent(struct rig *r, uint64_t round, uint64_t attempt, int64_t step_value,
    void (*bend)(Fed__Result *), long spoil)
{
    struct quantiser z = rig_quantiser(r);
    uint8_t sum[256] = {0}, base[32], hash[32], digest[32];
    fill_sum(&z, step_value, sum);
    memcpy(base, r->model_hash, 32);
    quantiser_apply(&z, sum, r->model);
    sha256(hash, r->model, sizeof(r->model));
    Fed__Result m = FED__RESULT__INIT;
    m.run = (ProtobufCBinaryData){16, r->run};
    m.round = round;
    m.attempt = attempt;
    m.base_hash = (ProtobufCBinaryData){32, base};
    m.model_hash = (ProtobufCBinaryData){32, hash};
    m.digest = (ProtobufCBinaryData){32, digest};
    m.participants = RIG_SITES;
    m.chunks = RIG_CHUNKS;
    make_digest(r, &m, digest);
    if (bend)
        bend(&m);
    if (spoil >= 0)
        sum[spoil] ^= 1;
    rig_say(r, FED_RESULT, &m.base);
    memcpy(r->model_hash, hash, 32);
    memcpy(r->previous, digest, 32);
    for (uint32_t c = 0; c < RIG_CHUNKS && r->server; c++) {
        Fed__ResultChunk chunk = FED__RESULT_CHUNK__INIT;
        chunk.attempt = attempt;
        chunk.index = c;
        chunk.data = (ProtobufCBinaryData){
            quantiser_chunk_bytes(&z, c), sum + quantiser_chunk_offset(&z, c)};
        rig_say(r, FED_RESULT_CHUNK, &chunk.base);
    }
}

void rig_result(struct rig *r, uint64_t round, uint64_t attempt, int64_t step_value)
{
    rig_result_bent(r, round, attempt, step_value, NULL, -1);
}

void rig_ask(struct rig *r, const char *verb, const char *arguments)
{
    Ctl__Request m = CTL__REQUEST__INIT;
    if (!r->ctl)
        connect_to(r, &r->ctl, ROLE_CTL, r->site);
    m.verb = (char *)verb;
    m.arguments = (char *)arguments;
    struct blob *body = codec_pack(&m.base);
    rig_frame(r, r->ctl, CTL_REQUEST, body->data, body->len);
    blob_unref(body);
}

/* ---- short cuts ------------------------------------------------------------------------------- */

void rig_ready(struct rig *r, uint64_t round)
{
    rig_open(r, round);
    if (strcmp(participant_query(r->p).phase, "fetching") == 0)
        rig_send_model(r);
    assert_true(rig_phase(r, "ready"));
    rig_forget(r);
}

void rig_lock(struct rig *r, uint64_t round, uint64_t attempt)
{
    rig_ready(r, round);
    rig_plan(r, attempt);
    rig_commit(r);
    rig_relay_all(r);
    assert_true(rig_phase(r, "locked"));
    rig_forget(r);
}
