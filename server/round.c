/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of a round (server/core.h): phases, legal transitions, deadlines, abort and skip. */
#include "server/core.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#define TO(phase) (1u << (phase))

/* One row per phase: how long it may take, and what may follow. */
static const struct phase_rule {
    const char *name;
    uint64_t timeout_ms; /* default */
    size_t configured;   /* offset of the configured one in struct aggregator_deadlines */
    unsigned next;
} phases[] = {
#define DEADLINE(field) offsetof(struct aggregator_deadlines, field)
    [PHASE_IDLE] = {"idle", NEVER_MS, SIZE_MAX, TO(PHASE_OPEN) | TO(PHASE_GO)},
    [PHASE_OPEN] = {"open", 600000, DEADLINE(ready_ms),
        TO(PHASE_KEYS) | TO(PHASE_CONFIRM) | TO(PHASE_IDLE)},
    [PHASE_KEYS] = {"keys", 60000, DEADLINE(wait_key_ms), TO(PHASE_CONFIRM) | TO(PHASE_IDLE)},
    [PHASE_CONFIRM] = {"confirm", 10000, DEADLINE(confirm_ms),
        TO(PHASE_LOCK) | TO(PHASE_OPEN) | TO(PHASE_IDLE)},
    [PHASE_LOCK] = {"lock", 10000, DEADLINE(locked_ms),
        TO(PHASE_GO) | TO(PHASE_OPEN) | TO(PHASE_IDLE)},
    [PHASE_GO] = {"upload", 10000, DEADLINE(upload_ms), TO(PHASE_RESULT) | TO(PHASE_IDLE)},
    [PHASE_RESULT] = {"result", 10000, DEADLINE(done_ms), TO(PHASE_IDLE)},
#undef DEADLINE
};

const char *phase_name(enum phase phase)
{
    return phases[phase].name;
}

uint64_t phase_timeout_ms(const struct aggregator *a, enum phase phase)
{
    const struct phase_rule *rule = &phases[phase];
    if (rule->configured == SIZE_MAX)
        return rule->timeout_ms;
    uint64_t configured_ms;
    memcpy(&configured_ms, (const uint8_t *)&a->config.deadlines + rule->configured,
        sizeof(configured_ms));
    return configured_ms ? configured_ms : rule->timeout_ms;
}

void round_enter(struct aggregator *a, enum phase phase, uint64_t now_ms, struct update *u)
{
    struct round *r = &a->round;
    assert(phases[r->phase].next & TO(phase));
    update_note(u, NOTE_DEBUG, "round %" PRIu64 ": %s -> %s", r->number, phase_name(r->phase),
        phase_name(phase));
    uint64_t timeout_ms = phase_timeout_ms(a, phase);
    r->phase = phase;
    r->deadline_ms = timeout_ms == NEVER_MS ? NEVER_MS : now_ms + timeout_ms;
    r->is_changed = true;
}

bool round_is_committed(const struct round *r)
{
    return r->phase == PHASE_CONFIRM || r->phase == PHASE_LOCK;
}

/* ---- the object ------------------------------------------------------------------------------ */

int round_init(struct round *r, size_t sites)
{
    *r = (struct round){
        .deadline_ms = NEVER_MS, .candidates = calloc(sites, sizeof(*r->candidates))};
    return r->candidates ? 0 : -ENOMEM;
}

void round_deinit(struct round *r)
{
    attempt_free(r->attempt);
    blob_unref(r->open);
    free(r->candidates);
    *r = (struct round){0};
}

/* ---- OPEN ------------------------------------------------------------------------------------ */

static struct blob *pack_open(struct aggregator *a, uint64_t number)
{
    Fed__Open m = FED__OPEN__INIT;
    m.run = (ProtobufCBinaryData){FED_RUN_BYTES, a->run.id};
    m.round = number;
    m.model_hash = (ProtobufCBinaryData){SHA256_BYTES, a->model.hash};
    m.previous = (ProtobufCBinaryData){SHA256_BYTES, a->previous};
    m.params = (Fed__Params *)a->config.params;
    m.ready_ms = (uint32_t)MIN(phase_timeout_ms(a, PHASE_OPEN), (uint64_t)UINT32_MAX);
    m.rounds = a->config.rounds;
    return codec_pack(&m.base);
}

static void clear_round(struct aggregator *a)
{
    struct round *r = &a->round;
    memset(r->candidates, 0, a->config.sites * sizeof(*r->candidates));
    r->attempts = 0;
    r->is_retry = false;
    r->has_waited_keys = false;
    r->cause = (struct reason){0};
    a->sessions.left_ms = 0;
}

int round_open(struct aggregator *a, uint64_t number, uint64_t now_ms, struct update *u)
{
    struct round *r = &a->round;
    struct blob *open = pack_open(a, number);
    if (!open)
        return -ENOMEM;
    blob_unref(r->open);
    r->open = open;
    sha256(r->open_hash, open->data, open->len);
    clear_round(a);
    r->number = number;
    r->attempts = a->run.attempts;
    a->run.attempts = 0;
    if (r->attempts > 0)
        reason_set(&r->cause, "the server was restarted");
    r->opened_ms = now_ms;
    round_enter(a, PHASE_OPEN, now_ms, u);
    for (size_t site = 0; site < a->config.sites; site++) {
        int s = send_open(a, site, u);
        if (s < 0)
            return s;
    }
    return 0;
}

/* ---- abort and skip -------------------------------------------------------------------------- */

int round_row(const struct aggregator *a, enum store_outcome outcome, uint64_t now_ms,
    const char *reason, struct store_round *row, char **sites)
{
    const struct attempt *attempt = a->round.attempt;
    *row = (struct store_round){.round = a->round.number,
        .outcome = outcome,
        .wall_ms = now_ms - a->round.opened_ms,
        .reason = reason};
    *sites = attempt ? attempt_sites(attempt) : strdup("");
    if (!*sites)
        return -ENOMEM;
    row->sites = *sites;
    if (!attempt)
        return 0;
    row->attempt = attempt->number;
    row->participants = attempt->k;
    row->tolerance = attempt->tolerance;
    row->upload_bytes = attempt_upload_bytes(attempt);
    row->key_bytes = attempt_key_bytes(attempt);
    return 0;
}

static int close_attempt(
    struct aggregator *a, enum store_outcome outcome, const char *reason, uint64_t now_ms)
{
    struct store_round row;
    auto_free char *sites = NULL;
    int r = round_row(a, outcome, now_ms, reason, &row, &sites);
    return r < 0 ? r : a->store->ops->close_attempt(a->store, &row);
}

void round_blame(struct aggregator *a, size_t site, uint32_t code)
{
    struct candidate *c = &a->round.candidates[site];
    bool is_away = code == FED_DEADLINE && !site_session(a, site);
    bool may_return = code == FED_LOST_CLIENT || code == FED_VAULT || is_away;
    c->answer = may_return ? ANSWER_NONE : ANSWER_OUT;
    a->round.is_changed = true;
}

static int tell_members_abort(
    struct aggregator *a, uint32_t code, const char *reason, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    for (uint32_t i = 0; i < attempt->k; i++) {
        struct session *session = site_session(a, attempt->members[i].site);
        int r = session ? send_abort(session->conn, attempt->number, code, reason, u) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Members that may come back are asked to: who has lost its update trains again, who has lost its key
 * pool says READY when it is back. */
static int invite_again(struct aggregator *a, const struct attempt *attempt, struct update *u)
{
    for (uint32_t i = 0; i < attempt->k; i++) {
        size_t site = attempt->members[i].site;
        int r = a->round.candidates[site].answer == ANSWER_NONE ? send_open(a, site, u) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static void remember_abort(struct aggregator *a, uint32_t code, const struct reason *reason)
{
    attempt_free(a->aborted.attempt);
    a->aborted =
        (struct aborted){.attempt = steal(&a->round.attempt), .code = code, .reason = *reason};
}

/* After an abort: time to train for those who still may, else only for those who left to return. */
static void set_retry_deadline(struct aggregator *a, uint64_t now_ms)
{
    for (size_t i = 0; i < a->config.sites; i++) {
        enum answer answer = a->round.candidates[i].answer;
        if (site_session(a, i) && (answer == ANSWER_NONE || answer == ANSWER_DECLINED))
            return;
    }
    uint64_t timeout_ms = phase_timeout_ms(a, PHASE_OPEN);
    a->round.deadline_ms = now_ms + MIN(timeout_ms, (uint64_t)a->config.wait_ms);
}

void round_extend(struct aggregator *a, size_t site, uint64_t now_ms)
{
    struct candidate *c = &a->round.candidates[site];
    if (a->round.phase != PHASE_OPEN || !a->round.is_retry || c->had_extension)
        return;
    c->had_extension = true;
    a->round.deadline_ms = MAX(a->round.deadline_ms, now_ms + phase_timeout_ms(a, PHASE_OPEN));
}

int round_abort(struct aggregator *a, uint32_t code, const struct reason *reason, uint64_t now_ms,
    struct update *u)
{
    struct round *round = &a->round;
    assert(round_is_committed(round));
    update_note(u, NOTE_WARNING, "round %" PRIu64 ": attempt %" PRIu64 " aborted: %s",
        round->number, round->attempt->number, reason->text);
    a->counters.attempts_aborted++;
    int r = close_attempt(a, STORE_ABORTED, reason->text, now_ms);
    if (r == 0)
        r = tell_members_abort(a, code, reason->text, u);
    if (r < 0)
        return r;
    remember_abort(a, code, reason);
    round->cause = *reason;
    round->is_retry = true;
    round_enter(a, PHASE_OPEN, now_ms, u);
    set_retry_deadline(a, now_ms);
    return invite_again(a, a->aborted.attempt, u);
}

struct skip {
    uint64_t round;
    uint64_t attempt;
    const char *reason;
};

static int tell_skip(struct aggregator *a, struct session *session, void *arg, struct update *u)
{
    const struct skip *skip = arg;
    return send_skip(a, session->conn, skip->round, skip->attempt, skip->reason, u);
}

int round_skip(struct aggregator *a, const struct reason *reason, uint64_t now_ms, struct update *u)
{
    struct round *round = &a->round;
    struct skip skip = {.round = round->number, .reason = reason->text};
    assert(!round_is_committed(round));
    if (round->attempt)
        skip.attempt = round->attempt->number;
    update_note(u, NOTE_WARNING, "round %" PRIu64 " skipped: %s", round->number, reason->text);
    a->counters.rounds_skipped++;
    a->run.rounds_skipped++;
    int r = close_attempt(a, STORE_SKIPPED, reason->text, now_ms);
    if (r == 0)
        r = send_all(a, tell_skip, &skip, u);
    if (r < 0)
        return r;
    attempt_free(steal(&round->attempt));
    run_pass(a, round->number);
    round_enter(a, PHASE_IDLE, now_ms, u);
    return 0;
}

/* ---- what goes on by itself, by phase -------------------------------------------------------- */

static size_t count_answer(const struct aggregator *a, enum answer answer)
{
    size_t n = 0;
    for (size_t i = 0; i < a->config.sites; i++)
        n += a->round.candidates[i].answer == answer;
    return n;
}

/* Every connected client has answered, and nobody is expected back. */
static bool is_answered(const struct aggregator *a)
{
    for (size_t i = 0; i < a->config.sites; i++)
        if (site_session(a, i) && a->round.candidates[i].answer == ANSWER_NONE)
            return false;
    return run_is_gathered(a);
}

static struct reason too_few(const struct aggregator *a, const char *what)
{
    struct reason reason;
    const char *cause = a->round.cause.text;
    reason_set(&reason, "%zu of at least %u clients were %s%s%s", commit_count_ready(a),
        a->config.min_clients, what, *cause ? "; " : "", cause);
    return reason;
}

static int advance_open(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    struct round *r = &a->round;
    bool is_due = now_ms >= r->deadline_ms;
    if (!r->is_changed && !is_due)
        return 0;
    struct reason reason;
    if (r->attempts >= a->config.attempts_max) {
        reason_set(&reason, "%u attempts failed; the last one: %s", r->attempts, r->cause.text);
        return round_skip(a, &reason, now_ms, u);
    }
    if (a->config.sites - count_answer(a, ANSWER_OUT) < a->config.min_clients) {
        reason = too_few(a, "left");
        return round_skip(a, &reason, now_ms, u);
    }
    if (run_reached(a) > 0) {
        reason_set(&reason, "clients have been in round %" PRIu64 " already", run_reached(a));
        return round_skip(a, &reason, now_ms, u);
    }
    bool is_enough = commit_count_ready(a) >= a->config.min_clients;
    if (is_enough && (r->is_retry || is_due || is_answered(a)))
        return commit_try(a, now_ms, u);
    if (!is_due)
        return 0;
    reason = too_few(a, "READY in time");
    return round_skip(a, &reason, now_ms, u);
}

static int advance_keys(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    struct round *r = &a->round;
    if (now_ms >= r->deadline_ms)
        return round_skip(a, &r->cause, now_ms, u);
    if (!r->is_changed || commit_count_ready(a) < a->config.min_clients)
        return 0;
    return commit_try(a, now_ms, u);
}

/* The members that have not done their part by the deadline are the cause. */
static int abort_late(struct aggregator *a, bool (*is_late)(const struct attempt_member *m),
    const char *what, uint64_t now_ms, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    struct reason reason;
    reason_set(&reason, "no %s in time from", what);
    for (uint32_t i = 0; i < attempt->k; i++) {
        if (!is_late(&attempt->members[i]))
            continue;
        struct reason before = reason;
        reason_set(&reason, "%s %s", before.text, attempt->view->members[i]->site);
        round_blame(a, attempt->members[i].site, FED_DEADLINE);
    }
    return round_abort(a, FED_DEADLINE, &reason, now_ms, u);
}

static bool has_not_confirmed(const struct attempt_member *m)
{
    return !m->is_confirmed;
}

static bool has_not_locked(const struct attempt_member *m)
{
    return !m->is_locked;
}

static int advance_confirm(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    if (attempt_is_confirmed(a->round.attempt)) {
        round_enter(a, PHASE_LOCK, now_ms, u);
        return 0;
    }
    if (now_ms < a->round.deadline_ms)
        return 0;
    return abort_late(a, has_not_confirmed, "CONFIRM", now_ms, u);
}

static int advance_lock(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    if (attempt_is_locked(a->round.attempt))
        return release_go(a, now_ms, u);
    if (now_ms < a->round.deadline_ms)
        return 0;
    return abort_late(a, has_not_locked, "LOCKED", now_ms, u);
}

static int advance_go(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    if (accumulator_is_complete(&attempt->sum))
        return release_publish(a, now_ms, u);
    if (now_ms < a->round.deadline_ms)
        return 0;
    struct reason reason;
    reason_set(&reason, "no upload in time from");
    for (uint32_t i = 0; i < attempt->k; i++) {
        if (accumulator_next(&attempt->sum, i) == attempt->sum.chunks)
            continue;
        struct reason before = reason;
        reason_set(&reason, "%s %s", before.text, attempt->view->members[i]->site);
    }
    return round_skip(a, &reason, now_ms, u);
}

/* The next round waits for DONE of those who are connected; others get the result when they are. */
static int advance_result(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    bool is_done = true;
    for (uint32_t i = 0; i < attempt->k; i++)
        is_done &= attempt->members[i].is_done || !site_session(a, attempt->members[i].site);
    if (!is_done && now_ms < a->round.deadline_ms)
        return 0;
    attempt_free(steal(&a->round.attempt));
    round_enter(a, PHASE_IDLE, now_ms, u);
    return 0;
}

int round_advance(struct aggregator *a, uint64_t now_ms, bool *progress, struct update *u)
{
    static int (*const advance[])(struct aggregator *, uint64_t, struct update *) = {
        [PHASE_OPEN] = advance_open,
        [PHASE_KEYS] = advance_keys,
        [PHASE_CONFIRM] = advance_confirm,
        [PHASE_LOCK] = advance_lock,
        [PHASE_GO] = advance_go,
        [PHASE_RESULT] = advance_result,
    };
    enum phase before = a->round.phase;
    bool is_waiting = before == PHASE_OPEN || before == PHASE_KEYS;
    if (before == PHASE_IDLE || (is_waiting && (a->run.stop || a->run.drain)))
        return 0; /* run.c decides */
    int r = advance[before](a, now_ms, u);
    *progress |= a->round.phase != before;
    return r;
}
