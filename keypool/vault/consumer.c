/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of clients and of the KME. */
#include "common/util.h"
#include "keypool/vault/condition.h"
#include "keypool/vault/core.h"
#include "keypool/vault/draw.h"

#include <errno.h>
#include <inttypes.h>

#define CLIENT_FRAME_MAX ((size_t)64 * 1024)
#define FRAME_HEAD       16 /* around a body */

enum consumer_condition { CONSUMER_E_CLOSE = 1 };

/* ---- hello ----------------------------------------------------------------------------------- */

static int send_welcome(const struct vault *v, uint32_t conn, struct update *u)
{
    const struct ledger *l = &v->store.ledger;
    auto_free char **peers = calloc(l->n + 1, sizeof(*peers));
    if (!peers)
        return -ENOMEM;
    for (size_t i = 0; i < l->n; i++)
        peers[i] = l->peers[i]->site;
    Vault__Welcome m = VAULT__WELCOME__INIT;
    m.version = VAULT_VERSION;
    m.site = (char *)l->site;
    m.n_peers = l->n;
    m.peers = peers;
    return link_send(u, conn, VAULT_WELCOME, &m.base);
}

/* A consumer of another site hears whose key pool this is, so that it can name the mistake, and no more:
 * whoever reaches the socket has passed the check of its uid. */
static int refuse_site(
    const struct vault *v, uint32_t conn, const char *site, struct update *u, struct err *e)
{
    Vault__Welcome m = VAULT__WELCOME__INIT;
    m.version = VAULT_VERSION;
    m.site = (char *)v->store.ledger.site;
    int r = link_send(u, conn, VAULT_WELCOME, &m.base);
    return r < 0 ? r
                 : err_set(e, CONSUMER_E_CLOSE, "this is the key pool of site %s, not of %s",
                       m.site, site);
}

/* The newest KME is the KME: an older connection is a process that died without telling us. */
static int adopt_kme(struct vault *v, uint32_t conn, struct update *u)
{
    uint32_t old = v->kme;
    v->kme = conn;
    v->n_up = 0;
    for (size_t i = 0; i < v->store.ledger.n; i++) {
        struct ledger_peer *p = v->store.ledger.peers[i];
        p->session->is_room_told = false;
        int r = p->session->link_up ? pool_link(v, p, false, u) : 0;
        if (r < 0)
            return r;
    }
    return old ? update_close(u, old, "another KME has connected") : 0;
}

static int on_hello(
    struct vault *v, struct consumer *c, const Vault__Hello *m, struct update *u, struct err *e)
{
    if (m->version != VAULT_VERSION)
        return err_set(e, CONSUMER_E_CLOSE, "version %" PRIu32 " is not spoken here, %d is",
            m->version, VAULT_VERSION);
    if (strcmp(m->role, role_name(c->role)) != 0)
        return err_set(e, CONSUMER_E_CLOSE, "this socket is for a %s, not for a %s",
            role_name(c->role), m->role);
    if (strcmp(m->site, v->store.ledger.site) != 0)
        return refuse_site(v, c->conn, m->site, u, e);
    c->is_welcome = true;
    size_t limit =
        c->role == ROLE_KME ? exchange_body_max(&vault_exchange, LINK_INITIATOR) : CLIENT_FRAME_MAX;
    int r = update_limit(u, c->conn, limit + FRAME_HEAD);
    if (r == 0)
        r = send_welcome(v, c->conn, u);
    return r == 0 && c->role == ROLE_KME ? adopt_kme(v, c->conn, u) : r;
}

/* ---- levels ---------------------------------------------------------------------------------- */

static void fill_level(const struct ledger_stream *s, Vault__Stream *m)
{
    vault__stream__init(m);
    m->peer = s->peer->site;
    m->purpose = (char *)ledger_purpose_name(s->purpose);
    m->stream = (ProtobufCBinaryData){VAULT_STREAM_BYTES, (uint8_t *)s->id};
    m->cursor = s->cursor;
    m->end = s->end;
    m->peer_cursor = s->heard;
    m->in_step = s->peer->session->streams[s->purpose].in_step;
    m->reserved = s->reserved;
    m->used = s->used;
    m->skipped = s->skipped;
    m->voided = s->voided;
    m->expired = s->expired;
    m->source = (char *)s->source;
    m->simulated = s->simulated;
    m->blocks = s->blocks;
    m->void_blocks = s->void_blocks;
}

static int on_levels_get(const struct vault *v, uint32_t conn, struct update *u)
{
    size_t n = v->store.ledger.n * LEDGER_STREAMS;
    auto_free Vault__Stream *streams = calloc(n + 1, sizeof(*streams));
    auto_free Vault__Stream **pointers = calloc(n + 1, sizeof(*pointers));
    if (!streams || !pointers)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        fill_level(
            &v->store.ledger.peers[i / LEDGER_STREAMS]->streams[i % LEDGER_STREAMS], &streams[i]);
        pointers[i] = &streams[i];
    }
    Vault__Levels m = VAULT__LEVELS__INIT;
    m.n_streams = n;
    m.streams = pointers;
    return link_send(u, conn, VAULT_LEVELS, &m.base);
}

/* ---- reserve, take, release ------------------------------------------------------------------ */

/* Peers whose streams are concerned hear of the new cursors. */
static int tell_peers(struct vault *v, const struct reservation *r, struct update *u)
{
    for (size_t i = 0; i < v->store.ledger.n; i++) {
        const struct ledger_peer *p = v->store.ledger.peers[i];
        bool is_concerned = false;
        for (size_t k = 0; k < r->n; k++)
            is_concerned = is_concerned || (r->ranges[k].stream && r->ranges[k].stream->peer == p);
        int res = is_concerned ? pool_send_cursors(v, p, u) : 0;
        if (res < 0)
            return res;
    }
    return 0;
}

static int close_reservation(struct vault *v, struct consumer *c, struct update *u)
{
    if (!c->reservation.ranges)
        return 0;
    int r = tell_peers(v, &c->reservation, u);
    reservation_close(&c->reservation);
    vault_touch(v);
    return r;
}

static int send_reserved(
    uint32_t conn, uint64_t attempt, int code, const struct err *e, struct update *u)
{
    Vault__Reserved m = VAULT__RESERVED__INIT;
    m.attempt = attempt;
    m.code = (uint32_t)code;
    m.reason = code ? (char *)e->text : (char *)"";
    return link_send(u, conn, VAULT_RESERVED, &m.base);
}

/* A consumer has one reservation: a new one ends the last. */
static int on_reserve(
    struct vault *v, struct consumer *c, const Vault__Reserve *m, struct update *u)
{
    struct err why = {{0}};
    const struct reservation_rules rules = {c->role, v->allow_simulated};
    int r = close_reservation(v, c, u);
    if (r < 0)
        return r;
    int code = reservation_open(&c->reservation, &v->store, &rules, m, &why);
    if (code < 0)
        return code;
    if (code > 0) {
        v->counters.refusals++;
        update_note(u, code == VAULT_REUSE ? NOTE_ALARM : NOTE_INFO,
            "attempt %" PRIu64 " refused: %s", m->attempt, why.text);
    } else {
        v->counters.reservations++;
        vault_touch(v);
    }
    r = send_reserved(c->conn, m->attempt, code, &why, u);
    return r == 0 && code == 0 ? tell_peers(v, &c->reservation, u) : r;
}

static int send_pad(const struct vault *v, uint32_t conn, const Vault__Take *m, struct update *u)
{
    Vault__Pad pad = VAULT__PAD__INIT;
    pad.attempt = m->attempt;
    pad.range = m->range;
    pad.offset = m->offset;
    pad.data = (ProtobufCBinaryData){m->length, v->window.data};
    return link_send_secret(u, conn, VAULT_PAD, &pad.base);
}

static int on_take(
    struct vault *v, struct consumer *c, const Vault__Take *m, struct update *u, struct err *e)
{
    int r = reservation_take(&c->reservation, &v->store, m, v->window.data, e);
    if (r < 0)
        return r;
    vault_touch(v);
    if (r == RESERVATION_E_DAMAGED)
        update_note(u, NOTE_ALARM, "%s", e->text);
    if (r > 0)
        return CONSUMER_E_CLOSE;
    v->counters.takes++;
    v->counters.taken_bytes += m->length;
    r = send_pad(v, c->conn, m, u);
    secret_wipe(v->window.data, m->length);
    return r;
}

static int on_release(
    struct vault *v, struct consumer *c, const Vault__Release *m, struct update *u)
{
    return m->attempt == c->reservation.attempt ? close_reservation(v, c, u) : 0;
}

/* ---- the KME --------------------------------------------------------------------------------- */

static int on_carry(struct vault *v, const Vault__Carry *m, struct update *u)
{
    struct ledger_peer *p = ledger_find_peer(&v->store.ledger, m->peer);
    if (!p) {
        update_note(u, NOTE_WARNING, "a message from %s, which is not paired", m->peer);
        return 0;
    }
    return pool_message(v, p, m->data.data, m->data.len, u);
}

static size_t find_up(const struct vault *v, const char *site)
{
    size_t at = 0;
    while (at < v->n_up && strcmp(v->up[at], site) != 0)
        at++;
    return at;
}

static int add_up(struct vault *v, const char *site)
{
    if (v->n_up == LEDGER_PEERS_MAX || strlen(site) > SITE_NAME_MAX)
        return 0;
    void *up = reallocarray(v->up, v->n_up + 1, sizeof(v->up[0]));
    if (!up)
        return -ENOMEM;
    v->up = up;
    strcpy(v->up[v->n_up++], site);
    return 0;
}

/* A link that comes up again without having gone down is a new one. */
static int on_link_state(struct vault *v, const Vault__LinkState *m, struct update *u)
{
    size_t at = find_up(v, m->peer);
    struct ledger_peer *p = ledger_find_peer(&v->store.ledger, m->peer);
    if (at < v->n_up)
        memmove(v->up[at], v->up[--v->n_up], sizeof(v->up[0]));
    int r = p && p->session->link_up ? pool_link(v, p, false, u) : 0;
    return r == 0 && m->up ? add_up(v, m->peer) : r;
}

static struct session_room room_of(const struct vault *v, const struct ledger_peer *p)
{
    return (struct session_room){.bytes = blocks_room(v, p),
        .auth_tx = ledger_available(&p->streams[VAULT_AUTH_TX]),
        .auth_rx = ledger_available(&p->streams[VAULT_AUTH_RX]),
        .is_low = condition_is_low(p),
        .in_step = condition_is_in_step(p)};
}

static bool is_told(const struct session *s, const struct session_room *room)
{
    const struct session_room *told = &s->room_told;
    return s->is_room_told && told->bytes == room->bytes && told->auth_tx == room->auth_tx &&
           told->auth_rx == room->auth_rx && told->is_low == room->is_low &&
           told->in_step == room->in_step;
}

static int send_room(
    struct vault *v, struct ledger_peer *p, const struct session_room *room, struct update *u)
{
    Vault__Room m = VAULT__ROOM__INIT;
    m.peer = p->site;
    m.bytes = room->bytes;
    m.auth_tx = room->auth_tx;
    m.auth_rx = room->auth_rx;
    m.low = room->is_low;
    m.in_step = room->in_step;
    p->session->room_told = *room;
    p->session->is_room_told = true;
    return link_send(u, v->kme, VAULT_ROOM, &m.base);
}

int consumer_send_rooms(struct vault *v, struct update *u)
{
    for (size_t i = 0; v->kme && i < v->store.ledger.n; i++) {
        struct ledger_peer *p = v->store.ledger.peers[i];
        const struct session_room room = room_of(v, p);
        int r = is_told(p->session, &room) ? 0 : send_room(v, p, &room, u);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int dispatch_kme(
    struct vault *v, struct consumer *c, uint16_t type, ProtobufCMessage *m, struct update *u)
{
    switch (type) {
    case VAULT_INGEST:
        return blocks_ingest(v, c->conn, (const Vault__Ingest *)m, u);
    case VAULT_CARRY:
        return on_carry(v, (const Vault__Carry *)m, u);
    case VAULT_LINK_STATE:
        return on_link_state(v, (const Vault__LinkState *)m, u);
    case VAULT_DRAW:
        return draw_pads(v, c->conn, (const Vault__Draw *)m, u);
    default:
        return CONSUMER_E_CLOSE;
    }
}

static int dispatch(struct vault *v, struct consumer *c, uint16_t type, ProtobufCMessage *m,
    struct update *u, struct err *e)
{
    switch (type) {
    case VAULT_HELLO:
        return on_hello(v, c, (const Vault__Hello *)m, u, e);
    case VAULT_LEVELS_GET:
        return on_levels_get(v, c->conn, u);
    case VAULT_RESERVE:
        return on_reserve(v, c, (const Vault__Reserve *)m, u);
    case VAULT_TAKE:
        return on_take(v, c, (const Vault__Take *)m, u, e);
    case VAULT_RELEASE:
        return on_release(v, c, (const Vault__Release *)m, u);
    default:
        err_set(e, 0, "message type %u is the KME's", type);
        return c->role == ROLE_KME ? dispatch_kme(v, c, type, m, u) : CONSUMER_E_CLOSE;
    }
}

int consumer_frame(
    struct vault *v, struct consumer *c, const struct event *event, struct update *u, struct err *e)
{
    ProtobufCMessage *m;
    int r = link_frame(&c->link, event, v->arena, u, &m, e);
    return r == 0 && m ? dispatch(v, c, event->frame.type, m, u, e) : r;
}

void consumer_leave(struct vault *v, struct consumer *c)
{
    if (c->reservation.ranges)
        vault_touch(v);
    reservation_close(&c->reservation);
    if (c->conn == v->kme) {
        v->kme = 0;
        v->n_up = 0;
    }
}

void consumer_forget_pair(struct vault *v, const struct ledger_peer *p)
{
    for (size_t i = 0; i < v->n_consumers; i++)
        reservation_forget(&v->consumers[i].reservation, p);
}
