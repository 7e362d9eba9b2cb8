/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the vault: levels, reservations, pads. */
#include "client/core.h"

#include "common/util.h"

#include <errno.h>
#include <sysexits.h>

#define POLL_MS ((uint64_t)2000) /* between looks at the levels while nothing else asks for them */

bool client_pool_is_up(const struct participant *p)
{
    return p->pool.session.is_welcome;
}

/* ---- session ---------------------------------------------------------------------------------- */

static int send_hello(struct participant *p, struct update *u)
{
    Vault__Hello hello = VAULT__HELLO__INIT;
    char role[] = "client";
    hello.version = VAULT_VERSION;
    hello.role = role;
    hello.site = (char *)p->config.site;
    return link_send(u, p->pool.session.conn, VAULT_HELLO, &hello.base);
}

int client_pool_opened(struct participant *p, uint32_t conn, struct update *u)
{
    if (p->pool.session.conn) {
        int r =
            update_close(u, p->pool.session.conn, "a newer connection to the key pool took over");
        r = r == 0 ? client_pool_closed(p, u) : r;
        if (r < 0)
            return r;
    }
    p->pool.session = (struct session){.conn = conn};
    link_init(&p->pool.session.link, &vault_exchange, LINK_INITIATOR, p->now_ms);
    return send_hello(p, u);
}

int client_pool_closed(struct participant *p, struct update *u)
{
    if (!p->pool.session.is_welcome)
        update_note(u, NOTE_WARNING, "the key pool did not welcome this client: its log says why");
    p->pool.session = (struct session){0};
    p->pool.asked = p->pool.answered = p->pool.needed = 0;
    return client_attempt_on_vault_lost(p, u);
}

static int drop(struct participant *p, const char *why, struct update *u)
{
    update_note(u, NOTE_WARNING, "the connection to the key pool is closed: %s", why);
    int r = update_close(u, p->pool.session.conn, "%s", why);
    return r == 0 ? client_pool_closed(p, u) : r;
}

/* ---- levels ----------------------------------------------------------------------------------- */

static int ask_levels(struct participant *p, struct update *u)
{
    Vault__LevelsGet get = VAULT__LEVELS_GET__INIT;
    p->pool.asked++;
    p->pool.poll_at_ms = p->now_ms + POLL_MS;
    return link_send(u, p->pool.session.conn, VAULT_LEVELS_GET, &get.base);
}

int client_pool_need_levels(struct participant *p, struct update *u)
{
    int r = ask_levels(p, u);
    p->pool.needed = p->pool.asked;
    return r;
}

/* What the phase was waiting for. */
static int continue_phase(struct participant *p, struct update *u)
{
    if (p->pool.answered < p->pool.needed)
        return 0;
    switch (p->round.phase) {
    case PHASE_LEVELING:
        return client_round_send_ready(p, u);
    case PHASE_CHECKING:
        return client_attempt_check_cursors(p, u);
    case PHASE_REFUSING:
        return client_attempt_send_refusal(p, u);
    default:
        return 0;
    }
}

int client_pool_tell_levels(struct participant *p, struct update *u)
{
    Fed__Levels m = FED__LEVELS__INIT;
    struct levels_message levels;
    int r = client_levels_message(&levels, &p->pool.levels);
    if (r < 0)
        return r;
    m.levels = levels.list;
    m.n_levels = p->pool.levels.n;
    r = client_upstream_send(p, u, FED_LEVELS, &m.base);
    client_levels_message_free(&levels);
    return r == 0 ? client_levels_copy(&p->pool.told, &p->pool.levels) : r;
}

static int report_levels(struct participant *p, struct update *u)
{
    if (!p->server.is_welcome || !client_levels_differ(&p->pool.told, &p->pool.levels))
        return 0;
    return client_pool_tell_levels(p, u);
}

static int on_levels(struct participant *p, const Vault__Levels *m, struct update *u, struct err *e)
{
    int r = client_levels_set(&p->pool.levels, m, p->config.peers, p->config.n_peers, e);
    if (r != 0)
        return r;
    if (p->pool.answered < p->pool.asked)
        p->pool.answered++;
    r = continue_phase(p, u);
    return r == 0 ? report_levels(p, u) : r;
}

/* ---- messages --------------------------------------------------------------------------------- */

static void note_strangers(struct participant *p, const Vault__Welcome *m, struct update *u)
{
    for (size_t i = 0; i < p->config.n_peers; i++) {
        bool is_paired = false;
        for (size_t k = 0; k < m->n_peers; k++)
            is_paired = is_paired || strcmp(m->peers[k], p->config.peers[i]) == 0;
        if (!is_paired)
            update_note(u, NOTE_WARNING, "the key pool is not paired with %s", p->config.peers[i]);
    }
}

static int on_welcome(
    struct participant *p, const Vault__Welcome *m, struct update *u, struct err *e)
{
    if (m->version != VAULT_VERSION)
        return err_set(e, CORE_E_VIOLATION, "the key pool speaks version %u, this client %d",
            m->version, VAULT_VERSION);
    if (strcmp(m->site, p->config.site) != 0)
        return update_stop(u, EX_CONFIG,
            "the key pool is that of site '%.63s', this client is '%s'", m->site, p->config.site);
    p->pool.session.is_welcome = true;
    note_strangers(p, m, u);
    int r =
        update_limit(u, p->pool.session.conn, exchange_body_max(&vault_exchange, LINK_RESPONDER));
    if (r == 0 && p->pool.owed)
        r = client_pool_release(p, p->pool.owed, u);
    return r == 0 ? client_pool_need_levels(p, u) : r;
}

static int dispatch(struct participant *p, void *m, uint16_t type, struct update *u, struct err *e)
{
    switch (type) {
    case VAULT_WELCOME:
        return on_welcome(p, m, u, e);
    case VAULT_LEVELS:
        return on_levels(p, m, u, e);
    case VAULT_RESERVED:
        return client_attempt_on_reserved(p, m, u);
    case VAULT_PAD:
        return client_attempt_on_pad(p, m, u, e);
    default:
        return 0; /* for the KME */
    }
}

int client_pool_frame(struct participant *p, const struct event *event, struct update *u)
{
    struct err e = {0};
    ProtobufCMessage *message = NULL;
    int r = link_frame(&p->pool.session.link, event, p->arena, u, &message, &e);
    if (r == 0 && message)
        r = dispatch(p, message, event->frame.type, u, &e);
    /* Whatever it was and however it was taken: no key byte stays in the frame. */
    if (event->frame.type == VAULT_PAD)
        secret_wipe(event->frame.body, event->frame.len);
    if (r <= 0)
        return r;
    p->counters.violations++;
    return drop(p, e.text, u);
}

/* ---- requests --------------------------------------------------------------------------------- */

static void fill_range(Vault__Range *range, const struct edge *edge)
{
    vault__range__init(range);
    range->stream = (ProtobufCBinaryData){FED_STREAM_BYTES, (uint8_t *)edge->stream};
    range->start = edge->start;
    range->length = edge->length;
}

int client_pool_reserve(struct participant *p, const struct attempt *a, struct update *u)
{
    Vault__Reserve reserve = VAULT__RESERVE__INIT;
    auto_free Vault__Range *ranges = calloc(a->edges.n, sizeof(Vault__Range));
    auto_free Vault__Range **list = calloc(a->edges.n, sizeof(Vault__Range *));
    if (!ranges || !list)
        return -ENOMEM;
    for (uint32_t i = 0; i < a->edges.n; i++) {
        fill_range(&ranges[i], &a->edges.list[i]);
        list[i] = &ranges[i];
    }
    reserve.run = (ProtobufCBinaryData){FED_RUN_BYTES, p->round.terms.run};
    reserve.attempt = a->number;
    reserve.ranges = list;
    reserve.n_ranges = a->edges.n;
    return link_send(u, p->pool.session.conn, VAULT_RESERVE, &reserve.base);
}

int client_pool_take(
    struct participant *p, uint64_t attempt, struct pads_request request, struct update *u)
{
    Vault__Take take = VAULT__TAKE__INIT;
    take.attempt = attempt;
    take.range = request.range;
    take.offset = request.offset;
    take.length = request.length;
    return link_send(u, p->pool.session.conn, VAULT_TAKE, &take.base);
}

int client_pool_release(struct participant *p, uint64_t attempt, struct update *u)
{
    Vault__Release release = VAULT__RELEASE__INIT;
    p->pool.owed = client_pool_is_up(p) ? 0 : attempt;
    if (p->pool.owed)
        return 0;
    release.attempt = attempt;
    return link_send(u, p->pool.session.conn, VAULT_RELEASE, &release.base);
}

/* ---- time ------------------------------------------------------------------------------------- */

static bool is_polling(const struct participant *p)
{
    return client_pool_is_up(p) && p->server.is_welcome && p->pool.asked == p->pool.answered &&
           p->round.phase <= PHASE_READY;
}

int client_pool_tick(struct participant *p, struct update *u)
{
    struct err e = {0};
    if (!p->pool.session.conn)
        return 0;
    int r = link_tick(&p->pool.session.link, p->now_ms, p->pool.session.conn, u, &e);
    if (r > 0)
        return drop(p, e.text, u);
    if (r == 0 && is_polling(p) && p->now_ms >= p->pool.poll_at_ms)
        r = ask_levels(p, u);
    return r;
}

uint64_t client_pool_deadline_ms(const struct participant *p)
{
    if (!p->pool.session.conn)
        return NEVER_MS;
    uint64_t at = link_deadline_ms(&p->pool.session.link);
    return is_polling(p) ? MIN(at, p->pool.poll_at_ms) : at;
}
