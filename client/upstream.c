/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the aggregator: hello, welcome, and who handles which message. */
#include "client/core.h"

#include "common/util.h"

#include <errno.h>

#define ALIVE_MS 2000

/* ---- session ---------------------------------------------------------------------------------- */

static int send_hello(struct participant *p, struct update *u)
{
    Fed__Hello hello = FED__HELLO__INIT;
    struct levels_message levels;
    int r = client_levels_message(&levels, &p->pool.levels);
    if (r < 0)
        return r;
    hello.version = FED_VERSION;
    hello.nonce = (ProtobufCBinaryData){FED_NONCE_BYTES, p->config.nonce};
    hello.last_attempt = p->state.attempt;
    hello.outbox_attempt = p->round.outbox.sealed ? p->round.outbox.label.attempt : 0;
    if (p->state.has_run)
        hello.run = (ProtobufCBinaryData){FED_RUN_BYTES, p->state.run};
    hello.round = p->state.round;
    if (p->model.held)
        hello.model_hash = (ProtobufCBinaryData){SHA256_BYTES, p->model.hash};
    hello.levels = levels.list;
    hello.n_levels = MIN(p->pool.levels.n, (size_t)FED_HELLO_LEVELS);
    r = link_send(u, p->server.conn, FED_HELLO, &hello.base);
    client_levels_message_free(&levels);
    return r;
}

int client_upstream_opened(struct participant *p, uint32_t conn, struct update *u)
{
    if (p->server.conn) {
        int r = update_close(u, p->server.conn, "a newer connection to the server took over");
        if (r < 0)
            return r;
        client_upstream_closed(p);
    }
    p->server = (struct session){.conn = conn};
    link_init(&p->server.link, &fed_exchange, LINK_INITIATOR, p->now_ms);
    return send_hello(p, u);
}

void client_upstream_closed(struct participant *p)
{
    p->server = (struct session){0};
    p->round.upload.is_on = false;
    client_result_forget(p);
    /* A result may be missed now: whose digest comes next is not known any more. */
    p->model.has_previous = false;
}

static int drop(struct participant *p, const char *why, struct update *u)
{
    uint32_t conn = p->server.conn;
    update_note(u, NOTE_WARNING, "the connection to the server is closed: %s", why);
    client_upstream_closed(p);
    return update_close(u, conn, "%s", why);
}

int client_upstream_tick(struct participant *p, struct update *u)
{
    struct err e = {0};
    if (!p->server.conn)
        return 0;
    int r = link_tick(&p->server.link, p->now_ms, p->server.conn, u, &e);
    return r > 0 ? drop(p, e.text, u) : r;
}

int client_upstream_send(
    struct participant *p, struct update *u, enum fed_type type, const ProtobufCMessage *message)
{
    return p->server.is_welcome ? link_send(u, p->server.conn, (uint16_t)type, message) : 0;
}

int client_upstream_listening(struct participant *p, uint32_t index, struct update *u)
{
    if (index == 0)
        p->server.alive_ms = p->now_ms;
    if (p->now_ms - p->server.alive_ms < ALIVE_MS)
        return 0;
    p->server.alive_ms = p->now_ms;
    return link_ping(&p->server.link, p->now_ms, p->server.conn, u);
}

static int on_welcome(struct participant *p, const Fed__Welcome *m, struct update *u, struct err *e)
{
    if (m->version != FED_VERSION)
        return err_set(e, CORE_E_VIOLATION, "the server speaks version %u, this client %d",
            m->version, FED_VERSION);
    if (strcmp(m->federation, p->config.federation) != 0)
        return err_set(e, CORE_E_VIOLATION,
            "the server is of federation '%.63s', this client of "
            "'%s'",
            m->federation, p->config.federation);
    p->server.is_welcome = true;
    update_note(u, NOTE_INFO, "connected to the server of federation %s", p->config.federation);
    int r = update_limit(u, p->server.conn, exchange_body_max(&fed_exchange, LINK_RESPONDER));
    if (r == 0)
        r = p->pool.levels.n <= FED_HELLO_LEVELS
                ? client_levels_copy(&p->pool.told, &p->pool.levels)
                : client_pool_tell_levels(p, u);
    return r == 0 ? client_round_resume(p, u) : r;
}

/* ---- messages --------------------------------------------------------------------------------- */

static int dispatch(struct participant *p, const void *m, const struct event *event,
    struct update *u, struct err *e)
{
    switch (event->frame.type) {
    case FED_WELCOME:
        return on_welcome(p, m, u, e);
    case FED_OPEN:
        return client_round_on_open(p, m, event, u, e);
    case FED_MODEL_CHUNK:
        return client_round_on_model_chunk(p, m, u);
    case FED_COMMIT:
        return client_attempt_on_commit(p, m, u);
    case FED_RELAY:
        return client_attempt_on_relay(p, m, u, e);
    case FED_GO:
        return client_release_on_go(p, m, u);
    case FED_ABORT:
        return client_attempt_on_abort(p, m, u);
    case FED_SKIP:
        return client_round_on_skip(p, m, u);
    case FED_RESULT:
        return client_result_on_head(p, m, u, e);
    case FED_RESULT_CHUNK:
        return client_result_on_chunk(p, m, u, e);
    case FED_RUN_END:
        return client_round_on_run_end(p, m, u);
    default:
        return 0;
    }
}

int client_upstream_frame(struct participant *p, const struct event *event, struct update *u)
{
    struct err e = {0};
    ProtobufCMessage *message = NULL;
    int r = link_frame(&p->server.link, event, p->arena, u, &message, &e);
    if (r == 0 && message)
        r = dispatch(p, message, event, u, &e);
    if (r == 0)
        r = client_release_continue(p, u);
    if (r <= 0)
        return r;
    p->counters.violations++;
    return drop(p, e.text, u);
}
