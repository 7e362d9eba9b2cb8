/* SPDX-License-Identifier: Apache-2.0 */
/* Runs (server/core.h): they begin, wait for clients, open one round after the other, end after the
 * last or when the operator says so. */
#include "server/core.h"

#include "common/rng.h"
#include "common/util.h"

#include <errno.h>
#include <inttypes.h>

/* ---- begin, resume --------------------------------------------------------------------------- */

/* A process makes ids from its random seed, one per run. */
static void make_id(const struct aggregator *a, uint8_t id[FED_RUN_BYTES])
{
    uint8_t derived[RNG_SEED_BYTES];
    rng_derive(derived, a->config.seed, "run", a->attempt, a->run.next_round);
    memcpy(id, derived, FED_RUN_BYTES);
}

static int copy_weights(double **out, const double *from, uint32_t n)
{
    *out = malloc(n * sizeof(double));
    if (!*out)
        return -ENOMEM;
    memcpy(*out, from, n * sizeof(double));
    return 0;
}

int run_begin(struct aggregator *a)
{
    struct run *run = &a->run;
    uint8_t id[FED_RUN_BYTES];
    make_id(a, id);
    auto_free double *weights = NULL;
    uint32_t parameters = a->config.params->parameters;
    int r = copy_weights(&weights, a->config.model, parameters);
    if (r == 0)
        r = a->store->ops->begin_run(
            a->store, id, a->config.params->task, a->config.model, parameters);
    if (r < 0)
        return r;
    model_deinit(&a->model);
    model_init(&a->model, steal(&weights), parameters);
    published_deinit(&a->published);
    attempt_free(steal(&a->aborted.attempt));
    for (size_t site = 0; site < a->config.sites; site++)
        if (site_session(a, site))
            site_session(a, site)->round = 0; /* it was one of the last run */
    memset(a->previous, 0, sizeof(a->previous));
    a->round.number = 0;
    *run = (struct run){.is_active = true,
        .next_round = 1,
        .drain = run->drain,
        .enough_ms = run->enough_ms,
        .gather_ms = NEVER_MS};
    memcpy(run->id, id, FED_RUN_BYTES);
    return 0;
}

static int load_model(struct aggregator *a, const struct store_state *state, struct err *e)
{
    if (!state->run_ended && state->parameters != a->config.params->parameters)
        return err_set(e, -EINVAL,
            "the run in the store has a model of %u parameters, the configured one has %u: restore "
            "the configuration, or start anew with an empty state directory",
            state->parameters, a->config.params->parameters);
    double *weights;
    int r = copy_weights(&weights, state->model, state->parameters);
    if (r == 0)
        model_init(&a->model, weights, state->parameters);
    return r;
}

int run_load(struct aggregator *a, const struct store_state *state, struct err *e)
{
    struct run *run = &a->run;
    *run = (struct run){.gather_ms = NEVER_MS};
    if (!state->has_run)
        return 0;
    bool is_over = state->phase == STORE_IDLE;
    run->is_active = !state->run_ended;
    run->has_ended = state->run_ended;
    memcpy(run->id, state->run, FED_RUN_BYTES);
    run->next_round = is_over ? state->round + 1 : state->round;
    run->is_round_durable = !is_over;
    run->attempts = is_over ? 0 : state->aborted;
    run->rounds_summed = state->rounds_done;
    run->rounds_skipped = run->next_round - 1 - MIN(run->next_round - 1, state->rounds_done);
    memcpy(a->previous, state->previous, SHA256_BYTES);
    return load_model(a, state, e);
}

/* ---- who is here ----------------------------------------------------------------------------- */

/* min_clients are here since enough_ms; the rest has wait_ms from then on, and who leaves has wait_ms
 * to come back, once per round. */
static void gather(struct aggregator *a, uint64_t now_ms)
{
    struct run *run = &a->run;
    run->gather_ms = NEVER_MS;
    if (a->sessions.connected < a->config.min_clients) {
        run->enough_ms = 0;
        return;
    }
    if (run->enough_ms == 0)
        run->enough_ms = MAX(now_ms, (uint64_t)1);
    uint64_t until_ms = MAX(run->enough_ms, a->sessions.left_ms) + a->config.wait_ms;
    if (a->sessions.connected < a->config.sites && now_ms < until_ms)
        run->gather_ms = until_ms;
}

bool run_is_gathered(const struct aggregator *a)
{
    return a->run.enough_ms != 0 && a->run.gather_ms == NEVER_MS;
}

void run_pass(struct aggregator *a, uint64_t round)
{
    a->run.next_round = round + 1;
    a->run.is_round_durable = false;
    a->run.attempts = 0;
}

/* ---- a journal of the past ------------------------------------------------------------------- */

static size_t count_reached(const struct aggregator *a, uint64_t round)
{
    size_t n = 0;
    for (size_t site = 0; site < a->config.sites; site++)
        n += site_session(a, site) && site_session(a, site)->round >= round;
    return n;
}

uint64_t run_reached(const struct aggregator *a)
{
    const struct run *run = &a->run;
    size_t most = MAX(a->sessions.connected / 2 + 1, (size_t)a->config.min_clients);
    uint64_t unknown = run->next_round + run->is_round_durable;
    uint64_t reached = 0;
    for (size_t site = 0; site < a->config.sites; site++) {
        const struct session *session = site_session(a, site);
        if (session && session->round >= MAX(unknown, reached + 1) &&
            count_reached(a, session->round) >= most)
            reached = session->round;
    }
    return reached;
}

static void catch_up(struct aggregator *a, struct update *u)
{
    struct run *run = &a->run;
    uint64_t reached = run_reached(a);
    if (reached == 0)
        return;
    update_note(u, NOTE_ALARM,
        "clients have been in round %" PRIu64 ", the journal knows of %" PRIu64
        " rounds: restored from a backup?",
        reached, run->next_round - 1);
    run->rounds_skipped += reached + 1 - run->next_round;
    run_pass(a, reached);
}

/* ---- end ------------------------------------------------------------------------------------- */

static int tell_run_end(struct aggregator *a, struct session *session, void *arg, struct update *u)
{
    return send_run_end(a, session->conn, arg, u);
}

static int stop_process(struct aggregator *a, const char *why, struct update *u)
{
    if (a->run.is_stopped)
        return 0;
    a->run.is_stopped = true;
    return update_stop(u, 0, "%s", why);
}

static int end_run(struct aggregator *a, const char *reason, struct update *u)
{
    int r = a->store->ops->end_run(a->store, reason);
    if (r < 0)
        return r;
    a->run.is_active = false;
    a->run.has_ended = true;
    a->run.stop = false;
    const char *checkpoint = a->store->ops->checkpoint(a->store);
    update_note(u, NOTE_INFO,
        "the run has ended: %s; %" PRIu64 " rounds summed, %" PRIu64 " skipped; model in %s",
        reason, a->run.rounds_summed, a->run.rounds_skipped, checkpoint ? checkpoint : "no file");
    return send_all(a, tell_run_end, (char *)reason, u);
}

/* ---- what goes on by itself ------------------------------------------------------------------ */

static int open_next(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    struct run *run = &a->run;
    if (!run->is_round_durable) {
        int r = a->store->ops->open_round(a->store, run->next_round);
        if (r < 0)
            return r;
        run->is_round_durable = true;
    }
    update_note(u, NOTE_INFO, "round %" PRIu64 " of %" PRIu64 " opens for %zu clients",
        run->next_round, a->config.rounds, a->sessions.connected);
    return round_open(a, run->next_round, now_ms, u);
}

/* The operator wants an end: what has not been released is given up, what has been is finished. */
static int give_up(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    struct reason reason;
    reason_set(&reason, a->run.stop ? "the operator ends the run" : "the server is stopping");
    if (round_is_committed(&a->round))
        return round_abort(a, FED_DRAIN, &reason, now_ms, u);
    if (a->run.stop && (a->round.phase == PHASE_OPEN || a->round.phase == PHASE_KEYS))
        return round_skip(a, &reason, now_ms, u);
    return 0;
}

static int advance_idle(struct aggregator *a, uint64_t now_ms, bool *progress, struct update *u)
{
    struct run *run = &a->run;
    if (run->is_active && run_is_gathered(a))
        catch_up(a, u);
    if (run->is_active && (run->stop || run->next_round > a->config.rounds)) {
        *progress = true;
        return end_run(a, run->stop ? "the operator has ended it" : "all rounds are done", u);
    }
    if (run->drain)
        return stop_process(a, "drained", u);
    if (run->has_ended && !run->is_active && a->config.exit_when_done)
        return stop_process(a, "the run has ended", u);
    if (!run->is_active || !run_is_gathered(a))
        return 0;
    *progress = true;
    return open_next(a, now_ms, u);
}

int run_advance(struct aggregator *a, uint64_t now_ms, bool *progress, struct update *u)
{
    gather(a, now_ms);
    if (a->run.stop || a->run.drain) {
        enum phase before = a->round.phase;
        int r = give_up(a, now_ms, u);
        *progress |= a->round.phase != before;
        if (r < 0)
            return r;
        bool is_waiting = a->round.phase == PHASE_OPEN || a->round.phase == PHASE_KEYS;
        if (a->run.drain && is_waiting)
            return stop_process(a, "drained; the round opens again after a restart", u);
    }
    return a->round.phase == PHASE_IDLE ? advance_idle(a, now_ms, progress, u) : 0;
}
