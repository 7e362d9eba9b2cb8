/* SPDX-License-Identifier: Apache-2.0 */
/* A round until READY: its terms, the model, the training. */
#include "client/core.h"

#include "common/hex.h"
#include "common/util.h"

#include <assert.h>
#include <errno.h>

#define VAULT_GRACE_MS ((uint64_t)2000) /* how long READY waits for a vault that is away */

typedef unsigned long long ull;

/* ---- phases ----------------------------------------------------------------------------------- */

#define TO(phase) (1u << PHASE_##phase)

static const struct {
    const char *name;
    unsigned to; /* besides IDLE, where every phase may go */
} phases[PHASES] = {
    [PHASE_IDLE] = {"idle", TO(FETCHING) | TO(TRAINING)},
    [PHASE_FETCHING] = {"fetching", TO(TRAINING)},
    [PHASE_TRAINING] = {"training", TO(LEVELING)},
    [PHASE_LEVELING] = {"leveling", TO(READY)},
    [PHASE_READY] = {"ready", TO(LEVELING) | TO(CHECKING)},
    [PHASE_CHECKING] = {"checking", TO(READY) | TO(RESERVING)},
    [PHASE_RESERVING] = {"reserving", TO(READY) | TO(OPENING) | TO(REFUSING)},
    [PHASE_OPENING] = {"opening", TO(READY) | TO(CONFIRMING)},
    [PHASE_CONFIRMING] = {"confirming", TO(READY) | TO(MASKING)},
    [PHASE_MASKING] = {"masking", TO(READY) | TO(LOCKED)},
    [PHASE_LOCKED] = {"locked", TO(READY) | TO(RELEASED)},
    [PHASE_RELEASED] = {"released", TO(SPENT)},
    [PHASE_REFUSING] = {"refusing", TO(READY)},
    [PHASE_SPENT] = {"spent", 0},
};

const char *client_phase_name(enum phase phase)
{
    return phases[phase].name;
}

void client_round_move(struct participant *p, enum phase to)
{
    assert(to == PHASE_IDLE || phases[p->round.phase].to & 1u << to);
    p->round.phase = to;
}

void client_round_deinit(struct round *round)
{
    client_attempt_deinit(&round->attempt);
    client_outbox_deinit(&round->outbox);
    trained_deinit(&round->trained);
    terms_deinit(&round->terms);
    terms_deinit(&round->waiting);
    free(round->incoming.sum);
}

int client_round_leave(struct participant *p, bool is_summed, struct update *u)
{
    int r = p->round.phase == PHASE_RELEASED ? client_release_end(p, is_summed) : 0;
    r = r == 0 ? client_attempt_drop(p, u) : r;
    if (r < 0)
        return r;
    client_result_forget(p);
    trained_deinit(&p->round.trained);
    terms_deinit(&p->round.terms);
    p->round.upload = (struct upload){0};
    p->round.wanted_training = 0;
    p->round.has_declined = false;
    p->round.stale = 0;
    client_round_move(p, PHASE_IDLE);
    return 0;
}

/* ---- declining -------------------------------------------------------------------------------- */

static int decline(struct participant *p, const struct terms *terms, enum fed_code code,
    const char *why, struct update *u)
{
    Fed__Decline m = FED__DECLINE__INIT;
    update_note(
        u, NOTE_WARNING, "round %llu goes on without this site: %s", (ull)terms->round, why);
    p->counters.refusals++;
    m.run = (ProtobufCBinaryData){FED_RUN_BYTES, (uint8_t *)terms->run};
    m.round = terms->round;
    m.code = code;
    m.reason = (char *)why;
    return client_upstream_send(p, u, FED_DECLINE, &m.base);
}

int client_round_decline(
    struct participant *p, enum fed_code code, const char *why, struct update *u)
{
    p->round.has_declined = true;
    return p->round.terms.held ? decline(p, &p->round.terms, code, why, u) : 0;
}

/* ---- READY ------------------------------------------------------------------------------------ */

static int say_ready(struct participant *p, struct update *u)
{
    Fed__Ready m = FED__READY__INIT;
    struct levels_message levels;
    int r = client_levels_message(&levels, &p->pool.levels);
    if (r < 0)
        return r;
    m.run = (ProtobufCBinaryData){FED_RUN_BYTES, p->round.terms.run};
    m.round = p->round.terms.round;
    m.open_hash = (ProtobufCBinaryData){SHA256_BYTES, p->round.terms.open_hash};
    m.samples = p->round.trained.samples;
    m.levels = levels.list;
    m.n_levels = p->pool.levels.n;
    r = client_upstream_send(p, u, FED_READY, &m.base);
    client_levels_message_free(&levels);
    return r == 0 ? client_levels_copy(&p->pool.told, &p->pool.levels) : r;
}

int client_round_send_ready(struct participant *p, struct update *u)
{
    p->round.has_declined = false;
    client_round_move(p, PHASE_READY);
    return say_ready(p, u);
}

static int begin_leveling(struct participant *p, struct update *u)
{
    client_round_move(p, PHASE_LEVELING);
    p->round.leveling_ms = p->now_ms;
    return client_pool_is_up(p) ? client_pool_need_levels(p, u) : 0;
}

static bool waits_for_vault(const struct participant *p)
{
    return p->round.phase == PHASE_LEVELING && !client_pool_is_up(p) && !p->round.has_declined;
}

int client_round_tick(struct participant *p, struct update *u)
{
    if (!waits_for_vault(p) || p->now_ms < p->round.leveling_ms + VAULT_GRACE_MS)
        return 0;
    return client_round_decline(p, FED_VAULT, "the key pool cannot be reached", u);
}

uint64_t client_round_deadline_ms(const struct participant *p)
{
    return waits_for_vault(p) ? p->round.leveling_ms + VAULT_GRACE_MS : NEVER_MS;
}

/* ---- training --------------------------------------------------------------------------------- */

/* The counter is durable before the trainer starts: a crash makes the next update another one. */
static int start_job(struct participant *p, struct update *u)
{
    const struct terms *terms = &p->round.terms;
    client_state_enter(&p->state, terms->run, terms->round);
    p->state.training++;
    int r = client_state_save(&p->state, p->disk);
    if (r < 0)
        return r;
    struct train_job *job =
        train_job_new(p->config.trainer, terms, p->model.values, p->state.training, p->config.seed);
    if (!job)
        return -ENOMEM;
    p->round.wanted_training = p->state.training;
    p->is_training = true;
    p->counters.trainings++;
    return update_job(u, &job->job);
}

/* A job of an earlier round may still hold the trainer. */
static int begin_training(struct participant *p, struct update *u)
{
    client_round_move(p, PHASE_TRAINING);
    return p->is_training ? 0 : start_job(p, u);
}

static int take_update(struct participant *p, struct train_job *job, struct update *u)
{
    if (job->result != 0) {
        int r = client_round_decline(
            p, FED_TRAINING, job->error.text[0] ? job->error.text : "the training failed", u);
        return r == 0 ? client_round_leave(p, false, u) : r;
    }
    p->round.trained = job->trained;
    job->trained = (struct trained){0};
    update_note(u, NOTE_INFO, "round %llu: trained on %llu samples", (ull)p->round.terms.round,
        (ull)p->round.trained.samples);
    return begin_leveling(p, u);
}

int client_round_on_job(struct participant *p, struct train_job *job, struct update *u)
{
    int r = 0;
    p->is_training = false;
    if (p->round.phase == PHASE_TRAINING)
        r = job->trained.training == p->round.wanted_training ? take_update(p, job, u)
                                                              : start_job(p, u);
    job->job.free(&job->job);
    return r;
}

/* ---- model ------------------------------------------------------------------------------------ */

static int get_model(struct participant *p, struct update *u)
{
    Fed__ModelGet m = FED__MODEL_GET__INIT;
    int r = client_model_begin_fetch(&p->model, p->round.terms.model_hash);
    if (r < 0)
        return r;
    m.model_hash = (ProtobufCBinaryData){SHA256_BYTES, p->round.terms.model_hash};
    return client_upstream_send(p, u, FED_MODEL_GET, &m.base);
}

int client_round_on_model_chunk(
    struct participant *p, const Fed__ModelChunk *chunk, struct update *u)
{
    struct err e = {0};
    if (p->round.phase != PHASE_FETCHING)
        return 0;
    int r = client_model_add_chunk(&p->model, chunk, &e);
    if (r == 0)
        return begin_training(p, u);
    if (r == MODEL_E_MORE)
        return client_upstream_listening(p, chunk->index, u);
    if (r < 0)
        return r;
    update_note(u, NOTE_ALARM, "%s", e.text);
    r = client_round_decline(p, FED_POLICY, e.text, u);
    return r == 0 ? client_round_leave(p, false, u) : r;
}

/* ---- OPEN ------------------------------------------------------------------------------------- */

static bool is_run_allowed(const struct participant *p, const struct terms *terms)
{
    return p->config.policy.any_run || client_state_is_approved(&p->state, terms->run);
}

/* Is it the round of the outbox? */
static bool is_outbox_of(
    const struct participant *p, const uint8_t *run, size_t run_len, uint64_t round)
{
    const struct outbox_label *label = &p->round.outbox.label;
    return p->round.outbox.sealed && run_len == FED_RUN_BYTES &&
           memcmp(label->run, run, run_len) == 0 && label->round == round;
}

/* Rounds never go back, and one that an update was released for never comes again. */
static int check_round(const struct participant *p, const struct terms *terms, struct err *e)
{
    bool is_released = p->round.phase == PHASE_RELEASED &&
                       is_outbox_of(p, terms->run, FED_RUN_BYTES, terms->round);
    if (is_released || client_state_is_closed(&p->state, terms->run, terms->round))
        return err_set(e, FED_SPENT, "an update for round %llu may have been released already",
            (ull)terms->round);
    if (p->state.has_run && memcmp(p->state.run, terms->run, FED_RUN_BYTES) == 0 &&
        terms->round < p->state.round)
        return err_set(e, FED_POLICY, "round %llu comes after round %llu", (ull)terms->round,
            (ull)p->state.round);
    if (terms_is_round(&p->round.terms, terms->run, FED_RUN_BYTES, terms->round))
        return err_set(e, FED_POLICY, "the terms of round %llu have changed", (ull)terms->round);
    if (p->model.has_previous && client_model_is(&p->model, terms->model_hash) &&
        memcmp(p->model.previous, terms->previous, SHA256_BYTES) != 0)
        return err_set(e, FED_POLICY, "the round follows another result than the last one seen");
    return 0;
}

static int check_open(const struct participant *p, const struct terms *terms, struct err *e)
{
    if (p->drain.is_on)
        return err_set(e, FED_DRAIN, "the client is stopping");
    int r = check_round(p, terms, e);
    if (r != 0)
        return r;
    return policy_check_terms(&p->config.policy, p->config.trainer->parameters, terms, e);
}

/* Takes the terms. */
static int accept_terms(struct participant *p, struct terms *terms, struct update *u)
{
    int r = client_round_leave(p, false, u);
    if (r < 0)
        return r;
    p->round.terms = terms_move(terms);
    update_note(u, NOTE_INFO, "round %llu of %llu is open", (ull)p->round.terms.round,
        (ull)p->round.terms.rounds);
    if (client_model_is(&p->model, p->round.terms.model_hash))
        return begin_training(p, u);
    client_round_move(p, PHASE_FETCHING);
    return get_model(p, u);
}

/* Keeps the terms until the operator has approved their run. */
static int await_approval(struct participant *p, struct terms *terms, struct update *u)
{
    struct err e;
    char run[2 * FED_RUN_BYTES + 1];
    hex_encode(run, terms->run, FED_RUN_BYTES);
    err_set(
        &e, 0, "run %s waits for the operator of site %s (qflctl approve)", run, p->config.site);
    terms_deinit(&p->round.waiting);
    p->round.waiting = terms_move(terms);
    return decline(p, &p->round.waiting, FED_POLICY, e.text, u);
}

/* Takes the terms. */
static int consider(struct participant *p, struct terms *terms, struct update *u)
{
    struct err e = {0};
    int r = check_open(p, terms, &e);
    if (r < 0)
        return r;
    if (r > 0)
        return decline(p, terms, (enum fed_code)r, e.text, u);
    return is_run_allowed(p, terms) ? accept_terms(p, terms, u) : await_approval(p, terms, u);
}

/* The same OPEN again: the server has lost the answer. */
static int answer_again(struct participant *p, struct update *u)
{
    switch (p->round.phase) {
    case PHASE_READY:
        return begin_leveling(p, u);
    case PHASE_SPENT:
        return client_round_decline(p, FED_SPENT, "the update of this round has been released", u);
    case PHASE_LEVELING: /* the vault gets another grace, then the server another DECLINE */
        p->round.leveling_ms = p->now_ms;
        p->round.has_declined = false;
        return 0;
    case PHASE_IDLE:
    case PHASE_FETCHING:
    case PHASE_TRAINING:
    case PHASE_RELEASED:
        return 0;
    default:
        return say_ready(p, u);
    }
}

int client_round_on_open(struct participant *p, const Fed__Open *open, const struct event *event,
    struct update *u, struct err *e)
{
    struct terms terms = {0};
    int r = terms_init(&terms, open, event->frame.body, event->frame.len, e);
    if (r != 0)
        return r;
    bool is_repeated =
        p->round.terms.held && memcmp(p->round.terms.open_hash, terms.open_hash, SHA256_BYTES) == 0;
    r = is_repeated ? answer_again(p, u) : consider(p, &terms, u);
    terms_deinit(&terms);
    return r;
}

int client_round_retry_waiting(struct participant *p, struct update *u)
{
    if (!p->round.waiting.held || !is_run_allowed(p, &p->round.waiting))
        return 0;
    struct terms terms = terms_move(&p->round.waiting);
    int r = consider(p, &terms, u);
    terms_deinit(&terms);
    return r;
}

int client_round_resume(struct participant *p, struct update *u)
{
    return p->round.phase == PHASE_FETCHING ? get_model(p, u) : 0;
}

/* ---- SKIP, end of the run --------------------------------------------------------------------- */

/* Is it about the round that the terms, or an outbox found at start, belong to? */
static bool is_round_here(const struct participant *p, ProtobufCBinaryData run, uint64_t round)
{
    return terms_is_round(&p->round.terms, run.data, run.len, round) ||
           is_outbox_of(p, run.data, run.len, round);
}

int client_round_on_skip(struct participant *p, const Fed__Skip *skip, struct update *u)
{
    if (!is_round_here(p, skip->run, skip->round))
        return 0;
    update_note(u, NOTE_WARNING, "round %llu was skipped: %.200s", (ull)skip->round, skip->reason);
    p->counters.rounds_skipped++;
    return client_round_leave(p, false, u);
}

int client_round_on_run_end(struct participant *p, const Fed__RunEnd *end, struct update *u)
{
    if (!p->state.has_run || end->run.len != FED_RUN_BYTES ||
        memcmp(end->run.data, p->state.run, FED_RUN_BYTES) != 0)
        return 0;
    update_note(u, NOTE_INFO, "the run has ended: %.200s", end->reason);
    return client_round_leave(p, false, u);
}
