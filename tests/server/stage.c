/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/server/stage.h"

#include "common/gf128.h"
#include "common/quantiser.h"
#include "common/util.h"
#include "common/words.h"
#include "proto/ctl.h"
#include "proto/ctl.pb-c.h"
#include "proto/view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
/* cmocka needs these first */
#include <setjmp.h>
#include <cmocka.h>

#define CTL_CONN 1000000

const char *const stage_roster[STAGE_SITES] = {
    "alice", "bob", "charlie", "david", "erin", "frank", "grace", "heidi"};

/* ---- telling --------------------------------------------------------------------------------- */

static const char *who(const struct stage *s, uint32_t conn)
{
    for (size_t i = 0; i < s->config.sites; i++)
        if (s->clients[i].conn == conn)
            return stage_roster[i];
    return conn == CTL_CONN ? "operator" : "newcomer";
}

__attribute__((format(printf, 3, 4))) static void say(
    char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(out, size, format, args);
    va_end(args);
}

static void *unpack(const ProtobufCMessageDescriptor *d, const struct blob *body)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, body->len, body->data);
    assert_non_null(m);
    return m;
}

#define UNPACK(type, descriptor) type *m = unpack(&descriptor, body)
#define FREE(m)                  protobuf_c_message_free_unpacked(&(m)->base, NULL)

static void tell_commit(struct stage *s, const struct blob *body, char *out, size_t size)
{
    UNPACK(Fed__Commit, fed__commit__descriptor);
    blob_unref(s->view);
    s->view = blob_new(m->view.len);
    memcpy(s->view->data, m->view.data, m->view.len);
    s->attempt = m->attempt;
    struct arena *arena = arena_new(4096);
    View__View *view;
    struct err e = {0};
    assert_int_equal(view_decode(m->view.data, m->view.len, arena, &view, &e), 0);
    say(out, size, "COMMIT %" PRIu64 " of", m->attempt);
    for (size_t i = 0; i < view->n_members; i++)
        say(out + strlen(out), size - strlen(out), " %s", view->members[i]->site);
    say(out + strlen(out), size - strlen(out), ", T %u, from", view->components[0]->tolerance);
    for (size_t i = 0; i < view->n_edges; i++)
        say(out + strlen(out), size - strlen(out), " %" PRIu64, view->edges[i]->start);
    arena_free(arena);
    FREE(m);
}

static void tell_result(const struct blob *body, char *out, size_t size)
{
    UNPACK(Fed__Result, fed__result__descriptor);
    say(out, size, "RESULT %" PRIu64 " of attempt %" PRIu64 ", K %u", m->round, m->attempt,
        m->participants);
    FREE(m);
}

static void tell_end(uint16_t type, const struct blob *body, char *out, size_t size)
{
    if (type == FED_ABORT) {
        UNPACK(Fed__Abort, fed__abort__descriptor);
        say(out, size, "ABORT %" PRIu64 ": %s", m->attempt, m->reason);
        FREE(m);
    } else if (type == FED_SKIP) {
        UNPACK(Fed__Skip, fed__skip__descriptor);
        say(out, size, "SKIP %" PRIu64 " (%" PRIu64 "): %s", m->round, m->attempt, m->reason);
        FREE(m);
    } else {
        UNPACK(Fed__RunEnd, fed__run_end__descriptor);
        say(out, size, "RUN_END: %s", m->reason);
        FREE(m);
    }
}

static void tell_small(struct stage *s, uint16_t type, struct blob *body, char *out, size_t size)
{
    if (type == FED_OPEN) {
        blob_unref(s->open);
        s->open = blob_ref(body);
        UNPACK(Fed__Open, fed__open__descriptor);
        say(out, size, "OPEN %" PRIu64, m->round);
        FREE(m);
    } else if (type == FED_RELAY) {
        UNPACK(Fed__Relay, fed__relay__descriptor);
        say(out, size, "RELAY from %s", m->tag->peer);
        FREE(m);
    } else {
        UNPACK(Fed__Go, fed__go__descriptor);
        say(out, size, "GO %" PRIu64 " from %u", m->attempt, m->from_chunk);
        FREE(m);
    }
}

static void take_reply(struct stage *s, const struct blob *body)
{
    UNPACK(Ctl__Reply, ctl__reply__descriptor);
    free(s->reply);
    s->reply = NULL;
    if (m->code == 0)
        s->reply = strdup(m->result);
    else
        assert_true(asprintf(&s->reply, "%d: %s", m->code, m->reason) > 0);
    FREE(m);
}

/* Empty text for what is not told. */
static void tell_message(struct stage *s, const struct effect *e, char *out, size_t size)
{
    switch (e->type) {
    case LINK_PING:
        say(out, size, "PING");
        break;
    case FED_MODEL_CHUNK:
        s->model_chunks++;
        break;
    case FED_RESULT_CHUNK:
        s->result_chunks++;
        break;
    case FED_COMMIT:
        tell_commit(s, e->body, out, size);
        break;
    case FED_RESULT:
        tell_result(e->body, out, size);
        break;
    case FED_ABORT:
    case FED_SKIP:
    case FED_RUN_END:
        tell_end(e->type, e->body, out, size);
        break;
    case FED_OPEN:
    case FED_RELAY:
    case FED_GO:
        tell_small(s, e->type, e->body, out, size);
        break;
    default:
        break;
    }
}

static void append(struct buf *b, const char *text)
{
    assert_int_equal(buf_append(b, text, strlen(text)), 0);
}

/* Joins consecutive equal messages: "alice bob <- OPEN 1". */
struct teller {
    char sites[256];
    char message[1024];
};

static void flush(struct stage *s, struct teller *t)
{
    if (t->message[0]) {
        append(&s->told, t->sites);
        append(&s->told, "<- ");
        append(&s->told, t->message);
        append(&s->told, "\n");
    }
    *t = (struct teller){0};
}

static void tell_send(struct stage *s, const struct effect *e, struct teller *t)
{
    if (e->conn == CTL_CONN) {
        take_reply(s, e->body);
        return;
    }
    if (s->on_message)
        for (int i = 0; i < (int)s->config.sites; i++)
            if (s->clients[i].conn == e->conn)
                s->on_message(s, i, e->type, e->body);
    char message[1024] = "";
    tell_message(s, e, message, sizeof(message));
    if (!message[0])
        return;
    if (strcmp(message, t->message) != 0)
        flush(s, t);
    strcpy(t->message, message);
    strcat(t->sites, who(s, e->conn));
    strcat(t->sites, " ");
}

static void forget(struct stage *s, uint32_t conn)
{
    for (size_t i = 0; i < s->config.sites; i++)
        if (s->clients[i].conn == conn)
            s->clients[i].conn = 0;
}

static void tell(struct stage *s, const struct effect *e, struct teller *t)
{
    char line[1200];
    if (e->kind == EFFECT_SEND) {
        tell_send(s, e, t);
        return;
    }
    flush(s, t);
    if (e->kind == EFFECT_CLOSE) {
        say(line, sizeof(line), "%s closed: %s\n", who(s, e->conn), e->text);
        forget(s, e->conn);
        append(&s->told, line);
    } else if (e->kind == EFFECT_STOP) {
        s->stopped = true;
        say(line, sizeof(line), "stop %d: %s\n", e->code, e->text);
        append(&s->told, line);
    } else if (e->kind == EFFECT_NOTE && e->level == NOTE_ALARM) {
        say(line, sizeof(line), "! %s\n", e->text);
        append(&s->told, line);
    }
}

const char *stage_told(struct stage *s)
{
    buf_deinit(&s->said);
    s->said = s->told;
    s->told = (struct buf){0};
    assert_int_equal(buf_append(&s->said, "", 1), 0);
    return (const char *)s->said.data;
}

void stage_event(struct stage *s, struct event event)
{
    if (s->is_dead)
        return;
    event.now_ms = s->now_ms;
    struct update u = {0};
    int r = aggregator_step(s->a, &event, &u);
    s->is_dead = r < 0;
    if (s->is_dead) {
        assert_true(s->may_die);
        update_deinit(&u);
        return;
    }
    struct teller t = {0};
    for (size_t i = 0; i < u.n; i++)
        tell(s, &u.effects[i], &t);
    flush(s, &t);
    update_deinit(&u);
    /* a deadline that has passed would make the host spin */
    assert_true(aggregator_deadline_ms(s->a) > s->now_ms);
}

/* ---- the stage ------------------------------------------------------------------------------- */

void stage_init(struct stage *s, size_t sites)
{
    *s = (struct stage){.store = store_sim_new(1), .now_ms = 1000, .next_conn = 1};
    fed__params__init(&s->params);
    s->params.task = (char *)"test";
    s->params.trainer = (char *)"none";
    s->params.parameters = STAGE_PARAMETERS;
    s->params.q = 8;
    s->params.clip = 1.0;
    s->params.chunk_words = 8;
    s->config = (struct aggregator_config){.federation = "demo",
        .roster = stage_roster,
        .sites = sites,
        .min_clients = 3,
        .rounds = 3,
        .start_auto = true,
        .attempts_max = 5,
        .params = &s->params,
        .model = s->model};
    for (size_t i = 0; i < sites; i++) {
        struct stage_client *c = &s->clients[i];
        c->nonce = (uint8_t)(i + 1);
        c->samples = 100;
        for (size_t j = 0; j < sites; j++) {
            c->end[j] = 100000;
            c->in_step[j] = true;
        }
    }
}

int stage_try_start(struct stage *s)
{
    struct err e = {0};
    int r = aggregator_new(&s->a, &s->config, store_sim_store(s->store), s->now_ms, &e);
    s->is_dead = r < 0;
    s->stopped = false;
    return r;
}

void stage_start(struct stage *s)
{
    assert_int_equal(stage_try_start(s), 0);
}

void stage_kill(struct stage *s)
{
    aggregator_free(s->a);
    s->a = NULL;
    for (size_t i = 0; i < s->config.sites; i++)
        s->clients[i].conn = 0;
    s->now_ms += 100;
}

void stage_deinit(struct stage *s)
{
    aggregator_free(s->a);
    store_sim_free(s->store);
    blob_unref(s->open);
    blob_unref(s->view);
    buf_deinit(&s->told);
    buf_deinit(&s->said);
    free(s->reply);
}

void stage_tick(struct stage *s, uint64_t after_ms)
{
    s->now_ms += after_ms;
    stage_event(s, (struct event){.kind = EVENT_TICK});
}

void stage_wait(struct stage *s)
{
    uint64_t deadline_ms = aggregator_deadline_ms(s->a);
    assert_true(deadline_ms != NEVER_MS);
    s->now_ms = MAX(deadline_ms, s->now_ms);
    stage_event(s, (struct event){.kind = EVENT_TICK});
}

/* ---- messages -------------------------------------------------------------------------------- */

void stage_frame(struct stage *s, int client, uint16_t type, const void *body, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    if (len > 0)
        memcpy(copy, body, len);
    struct event event = {.kind = EVENT_FRAME, .conn = s->clients[client].conn};
    event.frame.type = type;
    event.frame.body = copy;
    event.frame.len = len;
    assert_int_not_equal(event.conn, 0);
    stage_event(s, event);
    free(copy);
}

void stage_say(struct stage *s, int client, uint16_t type, const ProtobufCMessage *message)
{
    struct blob *body = codec_pack(message);
    stage_frame(s, client, type, body->data, body->len);
    blob_unref(body);
}

void stage_pass(struct stage *s, uint64_t ms)
{
    for (uint64_t t = 0; t < ms; t += 1000) {
        for (int i = 0; i < (int)s->config.sites; i++)
            if (s->clients[i].conn)
                stage_frame(s, i, LINK_PONG, NULL, 0);
        stage_tick(s, 1000);
    }
}

/* What a client reports about its pairs; streams are named by both indices. */
struct reported {
    Fed__Level levels[STAGE_SITES];
    Fed__Level *list[STAGE_SITES];
    uint8_t streams[STAGE_SITES][FED_STREAM_BYTES];
    size_t n;
};

static void report(const struct stage *s, int client, struct reported *out)
{
    *out = (struct reported){0};
    const struct stage_client *c = &s->clients[client];
    for (int peer = 0; peer < (int)s->config.sites; peer++) {
        if (peer == client || c->end[peer] == 0)
            continue;
        Fed__Level *level = &out->levels[out->n];
        uint8_t *stream = out->streams[out->n];
        fed__level__init(level);
        stream[0] = (uint8_t)(1 + MIN(client, peer));
        stream[1] = (uint8_t)(1 + MAX(client, peer));
        level->peer = (char *)stage_roster[peer];
        level->stream = (ProtobufCBinaryData){FED_STREAM_BYTES, stream};
        level->cursor = c->cursor[peer];
        level->end = c->end[peer];
        level->in_step = c->in_step[peer];
        out->list[out->n++] = level;
    }
}

void stage_connect_only(struct stage *s, int client)
{
    s->clients[client].conn = s->next_conn++;
    struct event event = {.kind = EVENT_OPENED, .conn = s->clients[client].conn};
    event.opened.role = ROLE_CLIENT;
    event.opened.site = stage_roster[client];
    stage_event(s, event);
}

static Fed__Open *last_open(const struct stage *s)
{
    return unpack(&fed__open__descriptor, s->open);
}

void stage_hello(struct stage *s, int client)
{
    const struct stage_client *c = &s->clients[client];
    uint8_t nonce[FED_NONCE_BYTES] = {c->nonce};
    struct reported r;
    report(s, client, &r);
    Fed__Hello m = FED__HELLO__INIT;
    m.version = FED_VERSION;
    m.nonce = (ProtobufCBinaryData){sizeof(nonce), nonce};
    m.last_attempt = c->last_attempt;
    m.outbox_attempt = c->outbox;
    Fed__Open *open = c->round > 0 ? last_open(s) : NULL;
    if (open)
        m.run = open->run;
    m.round = c->round;
    m.levels = r.list;
    m.n_levels = r.n;
    stage_say(s, client, FED_HELLO, &m.base);
    if (open)
        fed__open__free_unpacked(open, NULL);
}

void stage_connect(struct stage *s, int client)
{
    stage_connect_only(s, client);
    stage_hello(s, client);
}

void stage_drop(struct stage *s, int client)
{
    struct event event = {.kind = EVENT_CLOSED, .conn = s->clients[client].conn};
    s->clients[client].conn = 0;
    stage_event(s, event);
}

void stage_reincarnate(struct stage *s, int client)
{
    s->clients[client].nonce += 100;
}

void stage_levels(struct stage *s, int client)
{
    struct reported r;
    report(s, client, &r);
    Fed__Levels m = FED__LEVELS__INIT;
    m.levels = r.list;
    m.n_levels = r.n;
    stage_say(s, client, FED_LEVELS, &m.base);
}

void stage_ready(struct stage *s, int client)
{
    struct reported r;
    report(s, client, &r);
    Fed__Open *open = last_open(s);
    uint8_t hash[SHA256_BYTES];
    sha256(hash, s->open->data, s->open->len);
    Fed__Ready m = FED__READY__INIT;
    m.run = open->run;
    m.round = open->round;
    m.open_hash = (ProtobufCBinaryData){sizeof(hash), hash};
    m.samples = s->clients[client].samples;
    m.levels = r.list;
    m.n_levels = r.n;
    stage_say(s, client, FED_READY, &m.base);
    FREE(open);
}

void stage_decline(struct stage *s, int client)
{
    Fed__Open *open = last_open(s);
    Fed__Decline m = FED__DECLINE__INIT;
    m.run = open->run;
    m.round = open->round;
    m.code = FED_POLICY;
    m.reason = (char *)"not today";
    stage_say(s, client, FED_DECLINE, &m.base);
    FREE(open);
}

/* The view of the last COMMIT, and the client's place in it. */
static View__View *last_view(const struct stage *s, struct arena **arena)
{
    *arena = arena_new(4096);
    View__View *view;
    struct err e = {0};
    assert_int_equal(view_decode(s->view->data, s->view->len, *arena, &view, &e), 0);
    return view;
}

static int roster_index(const char *name)
{
    for (int i = 0; i < STAGE_SITES; i++)
        if (strcmp(stage_roster[i], name) == 0)
            return i;
    return -1;
}

/* Burns the ranges and tags every neighbour. */
void stage_confirm(struct stage *s, int client)
{
    struct arena *arena;
    View__View *view = last_view(s, &arena);
    int self = view_find(view, stage_roster[client]);
    Fed__Tag tags[STAGE_SITES];
    Fed__Tag *list[STAGE_SITES];
    uint8_t bytes[STAGE_SITES][GF128_BYTES] = {0};
    Fed__Confirm m = FED__CONFIRM__INIT;
    for (size_t i = 0; i < view->n_edges; i++) {
        const View__Edge *edge = view->edges[i];
        if ((int)edge->low != self && (int)edge->high != self)
            continue;
        const char *peer = view->members[(int)edge->low == self ? edge->high : edge->low]->site;
        s->clients[client].cursor[roster_index(peer)] = edge->start + edge->length;
        Fed__Tag *tag = &tags[m.n_tags];
        fed__tag__init(tag);
        bytes[m.n_tags][0] = (uint8_t)(client + 1);
        tag->peer = (char *)peer;
        tag->tag = (ProtobufCBinaryData){GF128_BYTES, bytes[m.n_tags]};
        list[m.n_tags++] = tag;
    }
    m.attempt = s->attempt;
    m.tags = list;
    s->clients[client].last_attempt = s->attempt;
    stage_say(s, client, FED_CONFIRM, &m.base);
    arena_free(arena);
}

void stage_reject(struct stage *s, int client, enum fed_code code)
{
    struct reported r;
    report(s, client, &r);
    Fed__Reject m = FED__REJECT__INIT;
    m.attempt = s->attempt;
    m.code = code;
    m.reason = (char *)"because";
    m.levels = r.list;
    m.n_levels = r.n;
    stage_say(s, client, FED_REJECT, &m.base);
}

void stage_locked(struct stage *s, int client)
{
    Fed__Locked m = FED__LOCKED__INIT;
    m.attempt = s->attempt;
    s->clients[client].outbox = s->attempt;
    stage_say(s, client, FED_LOCKED, &m.base);
}

void stage_chunk(
    struct stage *s, int client, uint64_t attempt, uint32_t index, const void *data, size_t len)
{
    Fed__Chunk m = FED__CHUNK__INIT;
    m.attempt = attempt;
    m.index = index;
    m.data = (ProtobufCBinaryData){len, (uint8_t *)data};
    stage_say(s, client, FED_CHUNK, &m.base);
}

/* Chunks of 8, 8, 8 and 4 words; the first and last are canaries. */
void stage_upload(struct stage *s, int client, uint32_t from, uint32_t to, uint8_t value)
{
    for (uint32_t i = from; i < to; i++) {
        size_t words = i == STAGE_CHUNKS - 1 ? 4 : 8;
        uint8_t data[8];
        memset(data, value, sizeof(data));
        data[0] = data[words - 1] = 1;
        stage_chunk(s, client, s->attempt, i, data, words);
    }
}

void stage_done(struct stage *s, int client)
{
    Fed__Done m = FED__DONE__INIT;
    m.attempt = s->attempt;
    s->clients[client].outbox = 0;
    stage_say(s, client, FED_DONE, &m.base);
}

void stage_lost(struct stage *s, int client)
{
    Fed__Lost m = FED__LOST__INIT;
    m.attempt = s->attempt;
    stage_say(s, client, FED_LOST, &m.base);
}

void stage_model_get(struct stage *s, int client)
{
    Fed__Open *open = last_open(s);
    Fed__ModelGet m = FED__MODEL_GET__INIT;
    m.model_hash = open->model_hash;
    stage_say(s, client, FED_MODEL_GET, &m.base);
    FREE(open);
}

const char *stage_ask(struct stage *s, const char *verb, const char *arguments)
{
    struct event opened = {.kind = EVENT_OPENED, .conn = CTL_CONN};
    opened.opened.role = ROLE_CTL;
    opened.opened.site = "ctl";
    stage_event(s, opened);
    Ctl__Request m = CTL__REQUEST__INIT;
    m.verb = (char *)verb;
    m.arguments = (char *)arguments;
    struct blob *body = codec_pack(&m.base);
    struct event event = {.kind = EVENT_FRAME, .conn = CTL_CONN};
    event.frame.type = CTL_REQUEST;
    event.frame.body = body->data;
    event.frame.len = body->len;
    stage_event(s, event);
    blob_unref(body);
    stage_event(s, (struct event){.kind = EVENT_CLOSED, .conn = CTL_CONN});
    return s->reply;
}

/* ---- the usual ways -------------------------------------------------------------------------- */

static void all(struct stage *s, void (*act)(struct stage *s, int client))
{
    for (int i = 0; i < (int)s->config.sites; i++)
        act(s, i);
}

void stage_connect_all(struct stage *s)
{
    all(s, stage_connect);
}

void stage_to_commit(struct stage *s)
{
    stage_connect_all(s);
    all(s, stage_ready);
}

void stage_to_lock(struct stage *s)
{
    stage_to_commit(s);
    all(s, stage_confirm);
}

void stage_to_go(struct stage *s)
{
    stage_to_lock(s);
    all(s, stage_locked);
}

void stage_to_result(struct stage *s)
{
    stage_to_go(s);
    for (int i = 0; i < (int)s->config.sites; i++)
        stage_upload(s, i, 0, STAGE_CHUNKS, (uint8_t)(i + 1));
}

void stage_finish(struct stage *s)
{
    all(s, stage_done);
}
