/* SPDX-License-Identifier: Apache-2.0 */
/* What a client gets that (re)connects (server/core.h): its place, the end of what it holds an outbox
 * for, and its part of what is under way. */
#include "server/core.h"

#include "common/util.h"

#include <errno.h>

/* A client whose vault has seen more attempts than this beyond ours is not of this federation. */
#define ATTEMPTS_AHEAD_MAX ((uint64_t)1 << 32)

/* ---- the outbox of a finished attempt -------------------------------------------------------- */

/* SKIP names the round that the client says the outbox is of. */
static int tell_skip(
    const struct session *session, const Fed__Hello *hello, const char *reason, struct update *u)
{
    Fed__Skip m = FED__SKIP__INIT;
    m.run = hello->run;
    m.round = hello->round;
    m.attempt = hello->outbox_attempt;
    m.reason = (char *)reason;
    return link_send(u, session->conn, FED_SKIP, &m.base);
}

/* An outbox that nothing waits for is answered, so that the client deletes it. An attempt that is not
 * known may have been released: the journal may be a restored one. */
static int settle_outbox(
    struct aggregator *a, const struct session *session, const Fed__Hello *hello, struct update *u)
{
    enum store_outcome outcome;
    uint64_t attempt = hello->outbox_attempt;
    int r = a->store->ops->outcome(a->store, attempt, &outcome);
    if (r == -ENOENT)
        return tell_skip(session, hello, "no such attempt is known", u);
    if (r < 0)
        return r;
    if (outcome == STORE_ABORTED)
        return send_abort(session->conn, attempt, FED_LOST_CLIENT, "the attempt was aborted", u);
    if (outcome == STORE_SKIPPED)
        return tell_skip(session, hello, "the round was skipped", u);
    r = release_again(a, attempt, session->conn, u);
    return r > 0 ? tell_skip(session, hello, "summed; the result is not kept", u) : r;
}

/* It was away when its attempt was aborted. */
static int settle_aborted(struct aggregator *a, const struct session *session, struct update *u)
{
    const struct attempt *old = a->aborted.attempt;
    if (!old || old->view->round < a->round.number || attempt_find(old, session->site) < 0)
        return 0;
    return send_abort(session->conn, old->number, a->aborted.code, a->aborted.reason.text, u);
}

/* ---- its part of what is under way ----------------------------------------------------------- */

static int resume_commit(struct aggregator *a, uint32_t member, bool is_same, uint64_t outbox,
    uint64_t now_ms, struct update *u)
{
    struct attempt *attempt = a->round.attempt;
    struct attempt_member *m = &attempt->members[member];
    if (m->is_confirmed && outbox == attempt->number) {
        m->is_locked = true;
        return 0;
    }
    if (!is_same)
        return inbox_lost(a, member, now_ms, u);
    /* Also if it has confirmed: it may have given the attempt up since, and says so now. */
    int r = send_commit(a, m->site, u);
    for (uint32_t from = 0; r == 0 && from < attempt->k; from++)
        r = attempt->members[from].is_confirmed ? send_relay(a, from, member, u) : 0;
    return r;
}

static int resume_member(struct aggregator *a, uint32_t member, bool is_same, uint64_t outbox,
    uint64_t now_ms, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    if (round_is_committed(&a->round))
        return resume_commit(a, member, is_same, outbox, now_ms, u);
    if (outbox != attempt->number)
        return inbox_lost(a, member, now_ms, u);
    if (a->round.phase == PHASE_GO)
        return send_go(a, member, u);
    struct session *session = site_session(a, attempt->members[member].site);
    return published_send(&a->published, session->conn, u);
}

static bool is_inviting(const struct aggregator *a)
{
    return a->round.phase == PHASE_OPEN || a->round.phase == PHASE_KEYS ||
           round_is_committed(&a->round);
}

/* OPEN for whoever is not READY; an attempt that fails may need it. */
static int invite(
    struct aggregator *a, const struct session *session, uint64_t now_ms, struct update *u)
{
    enum answer answer = a->round.candidates[session->site].answer;
    if (!is_inviting(a) || answer == ANSWER_READY || answer == ANSWER_OUT)
        return 0;
    round_extend(a, session->site, now_ms);
    return send_open(a, session->site, u);
}

/* The process that answered in this round, or another one, which knows nothing of it. */
static bool recognise(struct aggregator *a, const struct session *session)
{
    struct candidate *c = &a->round.candidates[session->site];
    bool is_same = memcmp(c->nonce, session->nonce, FED_NONCE_BYTES) == 0;
    if (!is_same && c->answer != ANSWER_OUT)
        c->answer = ANSWER_NONE;
    a->round.is_changed = true;
    return is_same;
}

static int resume(struct aggregator *a, struct session *session, const Fed__Hello *hello,
    uint64_t now_ms, struct update *u)
{
    uint64_t outbox = hello->outbox_attempt;
    bool is_same = recognise(a, session);
    const struct attempt *attempt = a->round.attempt;
    int member = attempt ? attempt_find(attempt, session->site) : -1;
    int r = 0;
    if (outbox != 0 && (member < 0 || outbox != attempt->number))
        r = settle_outbox(a, session, hello, u);
    if (r == 0 && outbox == 0)
        r = settle_aborted(a, session, u);
    if (r == 0 && member >= 0)
        r = resume_member(a, (uint32_t)member, is_same, outbox, now_ms, u);
    if (r == 0 && a->run.has_ended)
        return send_run_end(a, session->conn, "the run has ended", u);
    return r == 0 && member < 0 ? invite(a, session, now_ms, u) : r;
}

/* ---- HELLO ----------------------------------------------------------------------------------- */

static bool is_of_run(const struct aggregator *a, const Fed__Hello *hello)
{
    return hello->run.len == FED_RUN_BYTES &&
           memcmp(hello->run.data, a->run.id, FED_RUN_BYTES) == 0;
}

int hello_accept(struct aggregator *a, struct session *session, const Fed__Hello *hello,
    uint64_t now_ms, struct update *u)
{
    session->model_gets = 0;
    session->round = is_of_run(a, hello) ? hello->round : 0;
    int r = send_welcome(a, session->conn, u);
    if (r == 0)
        r = update_limit(u, session->conn, exchange_body_max(&fed_exchange, LINK_INITIATOR));
    levels_clear(&a->levels, session->site);
    if (r == 0)
        r = inbox_levels(a, session->site, hello->levels, hello->n_levels);
    if (r > 0)
        return session_violation(a, session, now_ms, u, "impossible key levels");
    if (r < 0)
        return r;
    update_note(u, NOTE_INFO, "%s connected", site_name(a, session->site));
    a->attempt = MAX(a->attempt, MAX(hello->last_attempt, hello->outbox_attempt));
    return resume(a, session, hello, now_ms, u);
}

static bool is_far_ahead(const struct aggregator *a, uint64_t attempt)
{
    return attempt > a->attempt && attempt - a->attempt > ATTEMPTS_AHEAD_MAX;
}

static int check(struct aggregator *a, struct session *session, const Fed__Hello *hello,
    uint64_t now_ms, struct update *u)
{
    const char *problem = NULL;
    if (hello->version != FED_VERSION)
        problem = "speaks another version of the protocol";
    else if (hello->nonce.len != FED_NONCE_BYTES)
        problem = "no instance nonce";
    else if (is_far_ahead(a, hello->last_attempt) || is_far_ahead(a, hello->outbox_attempt))
        problem = "its attempts are far ahead of this server's: another federation's client?";
    if (!problem)
        return 0;
    int r = send_welcome(a, session->conn, u); /* tells our version */
    if (r == 0)
        r = session_violation(a, session, now_ms, u, "%s", problem);
    return r < 0 ? r : 1;
}

int hello_message(struct aggregator *a, struct session *session, const struct event *event,
    const Fed__Hello *hello, struct update *u)
{
    int r = check(a, session, hello, event->now_ms, u);
    if (r != 0)
        return r < 0 ? r : 0;
    r = sessions_hello(&a->sessions, session, hello->nonce.data, event->frame.body,
        event->frame.len, event->now_ms, &a->counters, u);
    if (r == SESSIONS_E_HELD)
        update_note(u, NOTE_WARNING, "%s: another process of this site is connected; asking it",
            site_name(a, session->site));
    return r != 0 ? MIN(r, 0) : hello_accept(a, session, hello, event->now_ms, u);
}
