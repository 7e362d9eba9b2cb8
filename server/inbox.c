/* SPDX-License-Identifier: Apache-2.0 */
/* What each message of a client means (server/core.h). Late messages, for rounds and attempts that are
 * over, are normal and dropped; what no honest client can send closes the connection. */
#include "server/core.h"

#include "common/util.h"

#include <errno.h>
#include <inttypes.h>

#define MODEL_GETS_MAX 4 /* per session and model */

/* One message and who said it. */
struct said {
    struct session *session;
    size_t site;
    const struct event *event;
    const ProtobufCMessage *message;
};

static int drop_stale(struct aggregator *a)
{
    a->counters.stale_frames++;
    return 0;
}

static bool is_this_round(const struct aggregator *a, ProtobufCBinaryData run, uint64_t round)
{
    return a->run.is_active && a->round.phase != PHASE_IDLE && round == a->round.number &&
           run.len == FED_RUN_BYTES && memcmp(run.data, a->run.id, FED_RUN_BYTES) == 0;
}

/* ---- levels ---------------------------------------------------------------------------------- */

int inbox_levels(struct aggregator *a, size_t site, Fed__Level *const *levels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int peer = site_find(a, levels[i]->peer);
        if (peer < 0)
            continue; /* enrolled at the client, not here */
        int r = levels_report(&a->levels, &a->highs, site, (size_t)peer, levels[i]);
        if (r != 0)
            return r < 0 ? r : INBOX_E_INVALID;
    }
    a->round.is_changed = true;
    return 0;
}

static int take_levels(struct aggregator *a, const struct said *s, Fed__Level *const *levels,
    size_t n, struct update *u)
{
    int r = inbox_levels(a, s->site, levels, n);
    if (r <= 0)
        return r;
    r = session_violation(a, s->session, s->event->now_ms, u, "impossible key levels");
    return r < 0 ? r : INBOX_E_INVALID;
}

static int on_levels(struct aggregator *a, const struct said *s, struct update *u)
{
    const Fed__Levels *m = (const Fed__Levels *)s->message;
    int r = take_levels(a, s, m->levels, m->n_levels, u);
    return r < 0 ? r : 0;
}

/* ---- answers to OPEN ------------------------------------------------------------------------- */

static int on_model_get(struct aggregator *a, const struct said *s, struct update *u)
{
    const Fed__ModelGet *m = (const Fed__ModelGet *)s->message;
    if (m->model_hash.len != SHA256_BYTES || !a->model.weights ||
        memcmp(m->model_hash.data, a->model.hash, SHA256_BYTES) != 0)
        return drop_stale(a);
    if (s->session->model_gets++ >= MODEL_GETS_MAX)
        return session_violation(
            a, s->session, s->event->now_ms, u, "asks for the same model again and again");
    return model_send(&a->model, s->session->conn, u);
}

static void answer(struct aggregator *a, const struct said *s, enum answer answer)
{
    struct candidate *c = &a->round.candidates[s->site];
    if (c->answer == ANSWER_OUT)
        return;
    c->answer = answer;
    memcpy(c->nonce, s->session->nonce, FED_NONCE_BYTES);
    a->round.is_changed = true;
}

static int on_ready(struct aggregator *a, const struct said *s, struct update *u)
{
    const Fed__Ready *m = (const Fed__Ready *)s->message;
    int r = take_levels(a, s, m->levels, m->n_levels, u);
    if (r != 0)
        return r < 0 ? r : 0;
    if (!is_this_round(a, m->run, m->round))
        return drop_stale(a);
    if (m->open_hash.len != SHA256_BYTES ||
        memcmp(m->open_hash.data, a->round.open_hash, SHA256_BYTES) != 0) {
        update_note(u, NOTE_WARNING, "%s: READY for another OPEN of round %" PRIu64,
            site_name(a, s->site), m->round);
        return drop_stale(a);
    }
    if (m->samples == 0 || m->samples > VIEW_SAMPLES_MAX)
        return session_violation(
            a, s->session, s->event->now_ms, u, "%" PRIu64 " samples", m->samples);
    a->round.candidates[s->site].samples = m->samples;
    answer(a, s, ANSWER_READY);
    return 0;
}

static int on_decline(struct aggregator *a, const struct said *s, struct update *u)
{
    const Fed__Decline *m = (const Fed__Decline *)s->message;
    if (!is_this_round(a, m->run, m->round))
        return drop_stale(a);
    reason_set(&a->round.cause, "%s declined (%s): %s", site_name(a, s->site), code_name(m->code),
        reason_quote(m->reason).text);
    update_note(u, NOTE_WARNING, "round %" PRIu64 ": %s", m->round, a->round.cause.text);
    answer(a, s, ANSWER_DECLINED);
    return 0;
}

/* ---- an attempt ------------------------------------------------------------------------------ */

/* The member that speaks about the current attempt; -1 after dealing with any other attempt. */
static int current_member(
    struct aggregator *a, const struct said *s, uint64_t number, struct update *u, int *result)
{
    *result = 0;
    const struct attempt *attempt = a->round.attempt;
    if (attempt && attempt->number == number) {
        int member = attempt_find(attempt, s->site);
        if (member >= 0)
            return member;
        *result = session_violation(
            a, s->session, s->event->now_ms, u, "speaks in an attempt that it is not part of");
    } else if (number > a->attempt) {
        *result = session_violation(a, s->session, s->event->now_ms, u, "speaks of no attempt");
    } else {
        *result = drop_stale(a);
    }
    return -1;
}

static bool was_before_any_key(uint32_t code)
{
    return code == FED_STALE || code == FED_NO_KEY || code == FED_POLICY || code == FED_VIEW ||
           code == FED_SPENT;
}

/* A client has reported too little key itself, so that selection will do without the pair. */
static bool admits_lack(const struct aggregator *a, const struct attempt *attempt, uint32_t member)
{
    for (size_t i = 0; i < attempt->view->n_edges; i++) {
        const View__Edge *edge = attempt->view->edges[i];
        if (edge->low != member && edge->high != member)
            continue;
        uint32_t other = edge->low == member ? edge->high : edge->low;
        const struct level *level =
            levels_of(&a->levels, attempt->members[member].site, attempt->members[other].site);
        if (!level->in_step || level->end < edge->start + edge->length)
            return true;
    }
    return false;
}

static int reject_current(struct aggregator *a, const struct said *s, uint32_t member,
    const Fed__Reject *m, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    if (!round_is_committed(&a->round))
        return session_violation(
            a, s->session, s->event->now_ms, u, "rejects an attempt after its release");
    struct reason reason;
    reason_set(&reason, "%s rejected it (%s): %s", site_name(a, s->site), code_name(m->code),
        reason_quote(m->reason).text);
    if (m->code == FED_TAG) {
        a->counters.tags_wrong++;
        update_note(u, NOTE_ALARM, "attempt %" PRIu64 ": %s received a wrong tag: peer or relay",
            attempt->number, site_name(a, s->site));
    } else if (m->code != FED_STALE &&
               !(m->code == FED_NO_KEY && admits_lack(a, attempt, member))) {
        round_blame(a, s->site, m->code);
    }
    if (was_before_any_key(m->code))
        commit_refused(a, attempt, member, m);
    return round_abort(a, m->code, &reason, s->event->now_ms, u);
}

static int on_reject(struct aggregator *a, const struct said *s, struct update *u)
{
    const Fed__Reject *m = (const Fed__Reject *)s->message;
    int r = take_levels(a, s, m->levels, m->n_levels, u);
    if (r != 0)
        return r < 0 ? r : 0;
    const struct attempt *old = a->aborted.attempt;
    if (old && old->number == m->attempt) {
        int member = attempt_find(old, s->site);
        if (member >= 0 && was_before_any_key(m->code))
            commit_refused(a, old, (uint32_t)member, m);
        return drop_stale(a);
    }
    int member = current_member(a, s, m->attempt, u, &r);
    return member < 0 ? r : reject_current(a, s, (uint32_t)member, m, u);
}

static int on_confirm(struct aggregator *a, const struct said *s, struct update *u)
{
    const Fed__Confirm *m = (const Fed__Confirm *)s->message;
    int r;
    int member = current_member(a, s, m->attempt, u, &r);
    if (member < 0)
        return r;
    struct attempt *attempt = a->round.attempt;
    if (attempt->members[member].is_confirmed || !round_is_committed(&a->round))
        return drop_stale(a); /* the first tags decide */
    r = attempt_confirm(attempt, (uint32_t)member, m);
    if (r > 0)
        return session_violation(
            a, s->session, s->event->now_ms, u, "not exactly one tag for each neighbour");
    if (r < 0)
        return r;
    commit_burnt(a, (uint32_t)member);
    for (uint32_t to = 0; r == 0 && to < attempt->k; to++)
        r = send_relay(a, (uint32_t)member, to, u);
    return r;
}

static int on_locked(struct aggregator *a, const struct said *s, struct update *u)
{
    const Fed__Locked *m = (const Fed__Locked *)s->message;
    int r;
    int member = current_member(a, s, m->attempt, u, &r);
    if (member < 0)
        return r;
    struct attempt_member *at = &a->round.attempt->members[member];
    if (!at->is_confirmed && round_is_committed(&a->round))
        return session_violation(a, s->session, s->event->now_ms, u, "LOCKED before CONFIRM");
    at->is_locked = true;
    return 0;
}

static int on_chunk(struct aggregator *a, const struct said *s, struct update *u)
{
    return release_chunk(a, s->session, s->event, (const Fed__Chunk *)s->message, u);
}

static int on_done(struct aggregator *a, const struct said *s, struct update *u)
{
    const Fed__Done *m = (const Fed__Done *)s->message;
    bool is_current = a->round.attempt && a->round.attempt->number == m->attempt;
    if (m->attempt > a->attempt || (is_current && a->round.phase != PHASE_RESULT))
        return session_violation(a, s->session, s->event->now_ms, u, "DONE before RESULT");
    int member = is_current ? attempt_find(a->round.attempt, s->site) : -1;
    if (member >= 0) /* every client says DONE; only the participants are waited for */
        a->round.attempt->members[member].is_done = true;
    return 0;
}

int inbox_lost(struct aggregator *a, uint32_t member, uint64_t now_ms, struct update *u)
{
    struct attempt *attempt = a->round.attempt;
    struct reason reason;
    reason_set(&reason, "%s has lost its part of attempt %" PRIu64,
        attempt->view->members[member]->site, attempt->number);
    if (round_is_committed(&a->round)) {
        round_blame(a, attempt->members[member].site, FED_LOST_CLIENT);
        return round_abort(a, FED_LOST_CLIENT, &reason, now_ms, u);
    }
    attempt->members[member].is_done = true;
    bool is_uploaded = accumulator_next(&attempt->sum, member) == attempt->sum.chunks;
    return a->round.phase == PHASE_GO && !is_uploaded ? round_skip(a, &reason, now_ms, u) : 0;
}

static int on_lost(struct aggregator *a, const struct said *s, struct update *u)
{
    const Fed__Lost *m = (const Fed__Lost *)s->message;
    int r;
    int member = current_member(a, s, m->attempt, u, &r);
    return member < 0 ? r : inbox_lost(a, (uint32_t)member, s->event->now_ms, u);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static const struct {
    uint16_t type;
    int (*handle)(struct aggregator *a, const struct said *s, struct update *u);
} handlers[] = {
    {FED_CHUNK, on_chunk},
    {FED_LEVELS, on_levels},
    {FED_MODEL_GET, on_model_get},
    {FED_READY, on_ready},
    {FED_DECLINE, on_decline},
    {FED_REJECT, on_reject},
    {FED_CONFIRM, on_confirm},
    {FED_LOCKED, on_locked},
    {FED_DONE, on_done},
    {FED_LOST, on_lost},
};

int inbox_message(struct aggregator *a, struct session *session, const struct event *event,
    const ProtobufCMessage *message, struct update *u)
{
    const struct said s = {session, session->site, event, message};
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++)
        if (handlers[i].type == event->frame.type)
            return handlers[i].handle(a, &s, u);
    return session_violation(a, session, event->now_ms, u, "an unexpected message");
}
