/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core.h"

#include "common/util.h"
#include "common/words.h"
#include "server/draft.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define ATTEMPTS_DEFAULT 5
#define ARENA_KEEP       ((size_t)64 * 1024)
#define STREAMS_PER_PAIR 4 /* a pair may have been paired again */

/* ---- names ----------------------------------------------------------------------------------- */

void reason_set(struct reason *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->text, sizeof(r->text), format, args);
    va_end(args);
}

struct reason reason_quote(const char *said)
{
    struct reason r = {0};
    for (size_t i = 0; said[i] && i < 120; i++)
        r.text[i] = said[i] >= ' ' && said[i] <= '~' ? said[i] : '?';
    return r;
}

const char *code_name(uint32_t code)
{
    static const char *const names[] = {
        [FED_OK] = "ok",
        [FED_STALE] = "stale",
        [FED_NO_KEY] = "no key",
        [FED_VAULT] = "key pool",
        [FED_POLICY] = "policy",
        [FED_VIEW] = "view",
        [FED_TRAINING] = "training",
        [FED_TAG] = "tag",
        [FED_DEADLINE] = "deadline",
        [FED_LOST_CLIENT] = "lost",
        [FED_SPENT] = "spent",
        [FED_DRAIN] = "drain",
    };
    return code < ARRAY_SIZE(names) ? names[code] : "unknown code";
}

const char *site_name(const struct aggregator *a, size_t site)
{
    return a->config.roster[site];
}

int site_find(const struct aggregator *a, const char *name)
{
    size_t low = 0;
    size_t high = a->config.sites;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(a->config.roster[middle], name);
        if (order == 0)
            return (int)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

struct session *site_session(const struct aggregator *a, size_t site)
{
    return a->sessions.open[site];
}

/* ---- new ------------------------------------------------------------------------------------- */

static int check_roster(const struct aggregator_config *c, struct err *e)
{
    if (c->sites > FED_SITES_MAX)
        return err_set(e, -EINVAL, "a roster of %zu sites; at most %d", c->sites, FED_SITES_MAX);
    if (c->min_clients < 3)
        return err_set(e, -EINVAL,
            "min_clients is %u: a sum of fewer than 3 updates hides none of them", c->min_clients);
    if (c->sites < c->min_clients)
        return err_set(e, -EINVAL, "a roster of %zu sites cannot make min_clients %u", c->sites,
            c->min_clients);
    for (size_t i = 1; i < c->sites; i++)
        if (strcmp(c->roster[i - 1], c->roster[i]) >= 0)
            return err_set(e, -EINVAL, "%s stands twice in the roster", c->roster[i]);
    /* an edge takes at most 48 bytes in a view, a member at most 80 */
    if (c->sites * c->sites * 24 + c->sites * 80 > FED_VIEW_BYTES_MAX)
        return err_set(
            e, -EINVAL, "a roster of %zu sites is too large for the complete mask graph", c->sites);
    return 0;
}

static int check_params(const struct aggregator_config *c, struct err *e)
{
    const Fed__Params *p = c->params;
    if (p->parameters == 0 || p->parameters > FED_PARAMETERS_MAX)
        return err_set(e, -EINVAL, "a model of %u parameters", p->parameters);
    struct quantiser z = draft_quantiser(p, (uint32_t)c->sites);
    int r = quantiser_check(&z, e);
    if (r < 0)
        return err_wrap(e, r, "a federation of %zu sites", c->sites);
    if (words_bytes(p->chunk_words, p->q) > FED_CHUNK_BYTES_MAX)
        return err_set(e, -EINVAL, "chunks of %u words of %u bits are larger than %zu bytes",
            p->chunk_words, p->q, FED_CHUNK_BYTES_MAX);
    return 0;
}

int aggregator_check(const struct aggregator_config *config, struct err *e)
{
    int r = check_roster(config, e);
    return r < 0 ? r : check_params(config, e);
}

static int init_parts(struct aggregator *a, const struct store_state *state)
{
    size_t sites = a->config.sites;
    a->arena = arena_new(ARENA_KEEP);
    int r = a->arena ? sessions_init(&a->sessions, sites) : -ENOMEM;
    if (r == 0)
        r = levels_init(&a->levels, a->config.roster, sites);
    if (r == 0)
        r = highs_init(
            &a->highs, state->highs, state->n_highs, STREAMS_PER_PAIR * sites * sites / 2);
    return r == 0 ? round_init(&a->round, sites) : r;
}

/* An attempt that may have been sent but not released is over; nobody waits for it. */
static int abort_restarted(struct aggregator *a, struct attempt *attempt)
{
    struct reason reason;
    reason_set(&reason, "the server was restarted");
    a->round.attempt = attempt;
    a->round.number = attempt->view->round;
    a->run.attempts++;
    struct store_round row;
    auto_free char *sites = NULL;
    int r = round_row(a, STORE_ABORTED, 0, reason.text, &row, &sites);
    row.wall_ms = 0;
    if (r == 0)
        r = a->store->ops->close_attempt(a->store, &row);
    a->aborted = (struct aborted){
        .attempt = steal(&a->round.attempt), .code = FED_LOST_CLIENT, .reason = reason};
    return r;
}

static int resume_attempt(
    struct aggregator *a, const struct store_state *state, uint64_t now_ms, struct err *e)
{
    if (state->phase != STORE_COMMIT && state->phase != STORE_GO)
        return 0;
    if (!state->view)
        return err_set(
            e, -EBADMSG, "the journal lacks the view of attempt %" PRIu64, state->attempt);
    struct attempt *attempt;
    int r = attempt_new(&attempt, state->view, a->config.roster, a->config.sites, e);
    if (r > 0)
        return err_wrap(
            e, -EBADMSG, "the view of attempt %" PRIu64 " in the journal", state->attempt);
    if (r < 0)
        return r;
    if (state->phase == STORE_COMMIT)
        return abort_restarted(a, attempt);
    for (uint32_t i = 0; i < attempt->k; i++)
        attempt->members[i].is_confirmed = attempt->members[i].is_locked = true;
    r = release_resume(a, attempt, state->round, now_ms);
    for (uint32_t i = 0; r == 0 && i < attempt->k; i++)
        commit_burnt(a, i);
    return r;
}

static int load(struct aggregator *a, uint64_t now_ms, struct err *e)
{
    cleanup(store_state_deinit) struct store_state state = {0};
    int r = a->store->ops->load(a->store, &state);
    if (r < 0)
        return e->text[0] ? r : err_set(e, r, "the journal cannot be read: %s", strerror(-r));
    r = init_parts(a, &state);
    if (r < 0)
        return r;
    a->attempt = state.attempt;
    r = run_load(a, &state, e);
    if (r == 0)
        r = resume_attempt(a, &state, now_ms, e);
    if (r == 0 && !state.has_run && a->config.start_auto)
        r = run_begin(a);
    return r;
}

int aggregator_new(struct aggregator **out, const struct aggregator_config *config,
    struct store *store, uint64_t now_ms, struct err *e)
{
    struct err ignored = {0};
    if (!e)
        e = &ignored;
    int r = aggregator_check(config, e);
    if (r < 0)
        return r;
    struct aggregator *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->config = *config;
    if (a->config.attempts_max == 0)
        a->config.attempts_max = ATTEMPTS_DEFAULT;
    a->store = store;
    a->policy = &graph_policy_complete;
    r = load(a, now_ms, e);
    if (r < 0)
        aggregator_free(a);
    else
        *out = a;
    return r;
}

void aggregator_free(struct aggregator *a)
{
    if (!a)
        return;
    published_deinit(&a->published);
    attempt_free(a->aborted.attempt);
    round_deinit(&a->round);
    model_deinit(&a->model);
    highs_deinit(&a->highs);
    levels_deinit(&a->levels);
    sessions_deinit(&a->sessions);
    arena_free(a->arena);
    free(a);
}

void store_state_deinit(struct store_state *s)
{
    blob_unref(s->view);
    free(s->model);
    free(s->highs);
    *s = (struct store_state){0};
}

/* ---- connections ----------------------------------------------------------------------------- */

int session_violation(struct aggregator *a, struct session *session, uint64_t now_ms,
    struct update *u, const char *format, ...)
{
    struct reason reason;
    va_list args;
    va_start(args, format);
    vsnprintf(reason.text, sizeof(reason.text), format, args);
    va_end(args);
    a->counters.violations++;
    const char *who = session->role == ROLE_CLIENT ? site_name(a, session->site) : "operator";
    update_note(u, NOTE_WARNING, "%s: connection closed: %s", who, reason.text);
    int r = update_close(u, session->conn, "%s", reason.text);
    sessions_remove(&a->sessions, session, now_ms);
    a->round.is_changed = true;
    return r;
}

static int on_opened(struct aggregator *a, const struct event *event, struct update *u)
{
    enum role role = event->opened.role;
    int site = role == ROLE_CLIENT ? site_find(a, event->opened.site) : 0;
    if (site < 0) {
        a->counters.strangers++;
        update_note(u, NOTE_ALARM, "%s is not in the roster of federation %s: refused",
            reason_quote(event->opened.site).text, a->config.federation);
        return update_close(u, event->conn, "not in the roster of this federation");
    }
    if (role != ROLE_CLIENT && role != ROLE_CTL)
        return update_close(u, event->conn, "a %s has no business here", role_name(role));
    struct session *session;
    int r = sessions_add(&a->sessions, event->conn, role, (size_t)site, event->now_ms, &session);
    if (r == SESSIONS_E_FULL)
        return update_close(u, event->conn, "too many connections of this peer");
    return r;
}

static int on_closed(struct aggregator *a, const struct event *event, struct update *u)
{
    struct session *session = sessions_find(&a->sessions, event->conn);
    if (!session)
        return 0;
    if (session->state == SESSION_OPEN && session->role == ROLE_CLIENT)
        update_note(u, NOTE_INFO, "%s disconnected", site_name(a, session->site));
    sessions_remove(&a->sessions, session, event->now_ms);
    a->round.is_changed = true;
    return 0;
}

static int dispatch(struct aggregator *a, struct session *session, const struct event *event,
    const ProtobufCMessage *message, struct update *u)
{
    if (session->role == ROLE_CTL)
        return verbs_request(a, session, message, event->now_ms, u);
    if (event->frame.type == FED_HELLO)
        return hello_message(a, session, event, (const Fed__Hello *)message, u);
    if (session->state == SESSION_HELD)
        return 0; /* it may not speak for its site yet, and says all again when it may */
    return inbox_message(a, session, event, message, u);
}

static int on_frame(struct aggregator *a, const struct event *event, struct update *u)
{
    struct session *session = sessions_find(&a->sessions, event->conn);
    if (!session)
        return 0; /* closed by us, with frames still on the way */
    a->counters.frames_received++;
    a->counters.bytes_received += event->frame.len;
    bool is_client = session->role == ROLE_CLIENT;
    if (is_client && event->frame.type != FED_CHUNK && !session_spend(session, event->now_ms))
        return session_violation(a, session, event->now_ms, u, "too many messages");
    struct err e = {0};
    ProtobufCMessage *message;
    int r = link_frame(&session->link, event, a->arena, u, &message, &e);
    if (r > 0)
        return session_violation(a, session, event->now_ms, u, "%s", e.text);
    if (r == 0 && is_client && session->state == SESSION_OPEN)
        r = sessions_heard(
            &a->sessions, session, site_name(a, session->site), event->now_ms, &a->counters, u);
    return r == 0 && message ? dispatch(a, session, event, message, u) : r;
}

/* ---- a step ---------------------------------------------------------------------------------- */

/* Held sessions whose time has come say the HELLO that they said before. */
static int promote_held(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    for (;;) {
        struct session *session;
        int r = sessions_promote(&a->sessions, now_ms, &a->counters, &session, u);
        if (r < 0 || !session)
            return r;
        cleanup(blob_unrefp) struct blob *body = steal(&session->hello);
        ProtobufCMessage *message;
        arena_reset(a->arena, false);
        r = codec_unpack_in_place(
            &fed__hello__descriptor, body->data, body->len, a->arena, &message);
        if (r == 0)
            r = hello_accept(a, session, (const Fed__Hello *)message, now_ms, u);
        if (r != 0)
            return r < 0 ? r : -EPROTO; /* it could be read before */
    }
}

static int handle(struct aggregator *a, const struct event *event, struct update *u)
{
    switch (event->kind) {
    case EVENT_TICK:
        return 0;
    case EVENT_OPENED:
        return on_opened(a, event, u);
    case EVENT_FRAME:
        return on_frame(a, event, u);
    case EVENT_CLOSED:
        return on_closed(a, event, u);
    case EVENT_JOB:
        event->job->free(event->job); /* none is ever given */
        return 0;
    }
    return -EINVAL;
}

static int go_on(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    bool progress = true;
    int r = sessions_tick(&a->sessions, now_ms, u);
    if (r == 0)
        r = promote_held(a, now_ms, u);
    while (r == 0 && progress) {
        progress = false;
        r = run_advance(a, now_ms, &progress, u);
        if (r == 0)
            r = round_advance(a, now_ms, &progress, u);
    }
    return r;
}

/* The disk is full: nothing was written. Clients are let go; operators can look; a restart resumes. */
static int freeze(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    reason_set(&a->fault, "the store is full: make room and restart the server");
    update_deinit(u);
    update_note(u, NOTE_ALARM, "%s", a->fault.text);
    for (size_t site = 0; site < a->config.sites; site++) {
        struct session *session = site_session(a, site);
        int r = session ? update_close(u, session->conn, "%s", a->fault.text) : 0;
        if (r < 0)
            return r;
        if (session)
            sessions_remove(&a->sessions, session, now_ms);
    }
    return 0;
}

static bool is_for_operator(struct aggregator *a, const struct event *event)
{
    if (event->kind == EVENT_OPENED)
        return event->opened.role == ROLE_CTL;
    struct session *session = sessions_find(&a->sessions, event->conn);
    return event->kind == EVENT_CLOSED || (session && session->role == ROLE_CTL);
}

static int step_frozen(struct aggregator *a, const struct event *event, struct update *u)
{
    if (a->run.drain && !a->run.is_stopped) {
        a->run.is_stopped = true;
        return update_stop(u, 0, "%s", a->fault.text);
    }
    if (event->kind == EVENT_TICK || event->kind == EVENT_JOB)
        return 0;
    if (is_for_operator(a, event))
        return handle(a, event, u);
    return event->kind == EVENT_OPENED ? update_close(u, event->conn, "%s", a->fault.text) : 0;
}

int aggregator_step(struct aggregator *a, const struct event *event, struct update *update)
{
    arena_reset(a->arena, false);
    if (a->fault.text[0])
        return step_frozen(a, event, update);
    int r = handle(a, event, update);
    if (r == 0)
        r = go_on(a, event->now_ms, update);
    return r == -ENOSPC ? freeze(a, event->now_ms, update) : r;
}

uint64_t aggregator_deadline_ms(const struct aggregator *a)
{
    if (a->fault.text[0] || a->run.is_stopped)
        return NEVER_MS;
    uint64_t deadline_ms = MIN(sessions_deadline_ms(&a->sessions), a->round.deadline_ms);
    return MIN(deadline_ms, a->run.gather_ms);
}

void aggregator_drain(struct aggregator *a)
{
    a->run.drain = true;
}

struct aggregator_view aggregator_query(const struct aggregator *a)
{
    return (struct aggregator_view){.phase = phase_name(a->round.phase),
        .round = a->round.number,
        .attempt = a->attempt,
        .rounds_summed = a->run.rounds_summed,
        .rounds_skipped = a->run.rounds_skipped,
        .ended = a->run.has_ended,
        .model = a->model.weights,
        .parameters = a->model.parameters};
}
