/* SPDX-License-Identifier: Apache-2.0 */
/* Vault to vault: cursors. Blocks are in blocks.c.
 *
 * Each end tells its cursors when the link comes up (SYNC) and when they move (CURSORS). Whoever is
 * behind jumps, and the gap is burnt: at once when cursors are compared for the first time since the
 * start, after SESSION_AT_REST_MS of rest later on, for a peer that has reserved a moment ago is
 * normal. A peer that has seen more of this end than this end knows of itself is the witness of a
 * rollback: then all key of the pair is burnt.
 */
#include "common/util.h"
#include "keypool/vault/core.h"

#include <errno.h>
#include <inttypes.h>

#define POOL_VERSION 1

/* ---- sending --------------------------------------------------------------------------------- */

struct cursor_list {
    Pool__Cursor cursors[LEDGER_STREAMS];
    Pool__Cursor *pointers[LEDGER_STREAMS];
};

static void fill_cursors(const struct ledger_peer *p, struct cursor_list *list)
{
    for (size_t i = 0; i < LEDGER_STREAMS; i++) {
        const struct ledger_stream *s = &p->streams[i];
        pool__cursor__init(&list->cursors[i]);
        list->cursors[i].stream = (ProtobufCBinaryData){VAULT_STREAM_BYTES, (uint8_t *)s->id};
        list->cursors[i].cursor = s->cursor;
        list->cursors[i].seen = s->heard;
        list->pointers[i] = &list->cursors[i];
    }
}

int pool_send_cursors(struct vault *v, const struct ledger_peer *p, struct update *u)
{
    if (!p->session->is_synced)
        return 0;
    struct cursor_list list;
    fill_cursors(p, &list);
    Pool__Cursors m = POOL__CURSORS__INIT;
    m.n_cursors = LEDGER_STREAMS;
    m.cursors = list.pointers;
    m.next_seq = p->next_seq;
    p->session->told_ms = v->now_ms;
    return vault_carry(v, p, POOL_CURSORS, &m.base, u);
}

/* After session_reset only: the peer forgets our hash key when it gets this. */
static int send_sync(struct vault *v, struct ledger_peer *p, bool is_answer, struct update *u)
{
    struct cursor_list list;
    ProtobufCBinaryData staged[LEDGER_STAGED_MAX];
    fill_cursors(p, &list);
    for (size_t i = 0; i < p->n_staged; i++)
        staged[i] = (ProtobufCBinaryData){ENTRY_ID_BYTES, p->staged[i]->id};
    Pool__Sync m = POOL__SYNC__INIT;
    m.version = POOL_VERSION;
    m.site = v->store.ledger.site;
    m.n_cursors = LEDGER_STREAMS;
    m.cursors = list.pointers;
    m.next_seq = p->next_seq;
    m.n_staged = p->n_staged;
    m.staged = staged;
    m.answer = is_answer;
    m.first_seq = p->decides ? ledger_first_retained(p) : 0;
    return vault_carry(v, p, POOL_SYNC, &m.base, u);
}

int pool_ask_sync(struct vault *v, struct ledger_peer *p, struct update *u)
{
    session_reset(p->session);
    p->session->has_announced = false;
    return send_sync(v, p, false, u);
}

int pool_link(struct vault *v, struct ledger_peer *p, bool up, struct update *u)
{
    session_reset(p->session);
    p->session->link_up = up;
    return up ? pool_ask_sync(v, p, u) : 0;
}

/* ---- comparing cursors ----------------------------------------------------------------------- */

static int jump(struct vault *v, struct ledger_stream *s, const char *why, struct update *u)
{
    uint64_t to = MIN(s->heard, s->end);
    if (to <= s->cursor)
        return 0;
    update_note(u, NOTE_WARNING, "%s %s: %" PRIu64 " bytes from %" PRIu64 " on are burnt: %s",
        s->peer->site, ledger_purpose_name(s->purpose), to - s->cursor, s->cursor, why);
    const struct entry gap = keystore_burn(s, BURN_SKIP, s->cursor, to);
    vault_touch(v);
    return keystore_commit(&v->store, &gap, 1);
}

int pool_compare(struct vault *v, struct ledger_peer *p, struct update *u)
{
    for (size_t i = 0; i < LEDGER_STREAMS; i++) {
        struct ledger_stream *s = &p->streams[i];
        struct session_stream *step = &p->session->streams[i];
        if (step->in_step || p->session->is_broken)
            continue;
        int r = jump(v, s, "the peer was ahead when cursors were compared", u);
        if (r < 0)
            return r;
        step->in_step = s->cursor >= s->heard;
    }
    return 0;
}

void pool_break(struct vault *v, struct ledger_peer *p, const char *why, struct update *u)
{
    p->session->is_broken = true;
    for (size_t i = 0; i < LEDGER_STREAMS; i++)
        p->session->streams[i].in_step = false;
    update_note(u, NOTE_ALARM, "%s: %s; nothing is taken from this pair until it is paired again",
        p->site, why);
}

static int roll_back(struct vault *v, struct ledger_peer *p, const char *why, struct update *u)
{
    if (p->session->is_broken)
        return 0;
    consumer_forget_pair(v, p);
    for (size_t i = 0; i < LEDGER_STREAMS; i++)
        ledger_settle(&p->streams[i], 0, p->streams[i].reserved);
    vault_touch(v);
    pool_break(v, p, why, u);
    return keystore_burn_pair(&v->store, p);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* The peer's word on one of our streams, or NULL. */
static const Pool__Cursor *find_cursor(
    Pool__Cursor *const *cursors, size_t n, const struct ledger_stream *s)
{
    for (size_t i = 0; i < n; i++)
        if (cursors[i]->stream.len == VAULT_STREAM_BYTES &&
            memcmp(cursors[i]->stream.data, s->id, VAULT_STREAM_BYTES) == 0)
            return cursors[i];
    return NULL;
}

static bool has_all_streams(const struct ledger_peer *p, const Pool__Sync *m)
{
    for (size_t i = 0; i < LEDGER_STREAMS; i++)
        if (!find_cursor(m->cursors, m->n_cursors, &p->streams[i]))
            return false;
    return true;
}

static void hear_cursors(
    struct vault *v, struct ledger_peer *p, Pool__Cursor *const *cursors, size_t n)
{
    for (size_t i = 0; i < LEDGER_STREAMS; i++) {
        const Pool__Cursor *c = find_cursor(cursors, n, &p->streams[i]);
        if (c)
            ledger_hear(&p->streams[i], c->cursor);
    }
    vault_touch(v);
}

/* The peer guards itself against its own rollback; here it is only worth a word. */
static void look_for_rollback(const struct ledger_peer *p, const Pool__Sync *m, struct update *u)
{
    for (size_t i = 0; i < LEDGER_STREAMS; i++) {
        const struct ledger_stream *s = &p->streams[i];
        uint64_t cursor = find_cursor(m->cursors, m->n_cursors, s)->cursor;
        if (cursor < s->heard)
            update_note(u, NOTE_ALARM,
                "%s %s: the peer's cursor went back from %" PRIu64 " to %" PRIu64
                ": was its key pool restored from a backup?",
                p->site, ledger_purpose_name(s->purpose), s->heard, cursor);
    }
}

/* A sentence if this end must have known more than its disk tells, else NULL. */
static const char *witness(const struct ledger_peer *p, const Pool__Sync *m)
{
    for (size_t i = 0; i < LEDGER_STREAMS; i++)
        if (find_cursor(m->cursors, m->n_cursors, &p->streams[i])->seen > p->streams[i].cursor)
            return "this key pool is older than what the peer has seen of it: restored from a "
                   "backup? All its key is burnt";
    if (p->decides && m->next_seq > p->next_seq)
        return "the peer holds decisions that this key pool does not know: restored from a "
               "backup? All its key is burnt";
    if (!p->decides && m->first_seq > p->next_seq)
        return "decisions are missing here that were applied before: restored from a backup? "
               "All its key is burnt";
    return NULL;
}

static int on_sync(struct vault *v, struct ledger_peer *p, const Pool__Sync *m, struct update *u)
{
    if (m->version != POOL_VERSION || strcmp(m->site, p->site) != 0 || !has_all_streams(p, m)) {
        update_note(u, NOTE_ALARM,
            "%s: its key pool is of another version, site or pairing (it says version %" PRIu32
            ", site %s)",
            p->site, m->version, m->site);
        return 0;
    }
    session_reset(p->session);
    p->session->is_synced = true;
    p->session->synced_ms = v->now_ms;
    p->session->told_ms = v->now_ms;
    look_for_rollback(p, m, u);
    hear_cursors(v, p, m->cursors, m->n_cursors);
    const char *why = witness(p, m);
    int r = why ? roll_back(v, p, why, u) : 0;
    if (r == 0)
        r = pool_compare(v, p, u);
    if (r == 0 && !m->answer)
        r = send_sync(v, p, true, u);
    return r == 0 ? blocks_on_sync(v, p, m, u) : r;
}

static int on_cursors(
    struct vault *v, struct ledger_peer *p, const Pool__Cursors *m, struct update *u)
{
    hear_cursors(v, p, m->cursors, m->n_cursors);
    if (p->decides && m->next_seq <= p->next_seq)
        ledger_ack(p, m->next_seq);
    return pool_compare(v, p, u);
}

static const struct exchange_rule *find_rule(uint16_t type)
{
    for (size_t i = 0; i < pool_exchange.n; i++)
        if (pool_exchange.rules[i].type == type)
            return &pool_exchange.rules[i];
    return NULL;
}

static int dispatch(struct vault *v, struct ledger_peer *p, uint16_t type,
    const ProtobufCMessage *m, struct update *u)
{
    if (type == POOL_SYNC)
        return on_sync(v, p, (const Pool__Sync *)m, u);
    if (!p->session->is_synced || p->session->is_broken)
        return 0; /* of an earlier link, or of no use */
    switch (type) {
    case POOL_CURSORS:
        return on_cursors(v, p, (const Pool__Cursors *)m, u);
    case POOL_STAGED:
        return blocks_on_staged(v, p, (const Pool__Staged *)m, u);
    default:
        return blocks_on_decision(v, p, (const Pool__Decision *)m, u);
    }
}

int pool_message(
    struct vault *v, struct ledger_peer *p, uint8_t *data, size_t len, struct update *u)
{
    ProtobufCMessage *m = NULL;
    uint16_t type = len >= 2 ? (uint16_t)(data[0] | data[1] << 8) : 0;
    const struct exchange_rule *rule = find_rule(type);
    int r = CODEC_E_MALFORMED;
    if (rule && len - 2 <= rule->max_bytes)
        r = codec_unpack_in_place(rule->descriptor, data + 2, len - 2, v->arena, &m);
    if (r < 0)
        return r;
    if (r > 0) {
        v->counters.violations++;
        update_note(u, NOTE_WARNING, "%s: its key pool sent something that is no message", p->site);
        return 0;
    }
    return dispatch(v, p, type, m, u);
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool is_ahead_at_rest(const struct vault *v, const struct ledger_stream *s)
{
    return s->peer->session->streams[s->purpose].in_step && MIN(s->heard, s->end) > s->cursor &&
           !vault_is_reserved(v, s);
}

static int tick_stream(struct vault *v, struct ledger_stream *s, struct update *u)
{
    uint64_t *since = &s->peer->session->streams[s->purpose].ahead_since_ms;
    if (!is_ahead_at_rest(v, s)) {
        *since = NEVER_MS;
        return 0;
    }
    if (*since == NEVER_MS)
        *since = v->now_ms;
    if (v->now_ms - *since < SESSION_AT_REST_MS)
        return 0;
    *since = NEVER_MS;
    int r = jump(v, s, "the peer has used them, this end has not", u);
    return r == 0 ? pool_send_cursors(v, s->peer, u) : r;
}

/* When the cursors are told again, in case that the peer never heard them. */
static uint64_t repeat_ms(const struct ledger_peer *p)
{
    const struct session *s = p->session;
    return s->link_up && s->is_synced && !s->is_broken ? s->told_ms + SESSION_REPEAT_MS : NEVER_MS;
}

int pool_tick(struct vault *v, struct ledger_peer *p, struct update *u)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < LEDGER_STREAMS; i++)
        r = tick_stream(v, &p->streams[i], u);
    if (r == 0 && v->now_ms >= repeat_ms(p))
        r = pool_send_cursors(v, p, u);
    return r == 0 ? blocks_tick(v, p, u) : r;
}

uint64_t pool_deadline_ms(const struct vault *v, const struct ledger_peer *p)
{
    uint64_t due = MIN(blocks_deadline_ms(v, p), repeat_ms(p));
    for (size_t i = 0; i < LEDGER_STREAMS; i++) {
        uint64_t since = p->session->streams[i].ahead_since_ms;
        if (since != NEVER_MS)
            due = MIN(due, since + SESSION_AT_REST_MS);
    }
    return due;
}
