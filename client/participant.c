/* SPDX-License-Identifier: Apache-2.0 */
#include "client/participant.h"

#include "client/core.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>

#define DRAIN_MS   ((uint64_t)10 * 1000)
#define ARENA_KEEP ((size_t)16 * 1024)

/* ---- construction ----------------------------------------------------------------------------- */

static int check_config(const struct participant_config *config, struct err *e)
{
    if (config->policy.k_min < 3)
        return err_set(e, -EINVAL,
            "k_min is %u: with fewer than 3 participants the sum tells each "
            "the other's update",
            config->policy.k_min);
    if (config->policy.q_min < 2 || config->policy.q_max > 32 ||
        config->policy.q_min > config->policy.q_max)
        return err_set(e, -EINVAL, "q_min %u and q_max %u are not within 2 to 32",
            config->policy.q_min, config->policy.q_max);
    if (config->trainer->parameters == 0 || config->trainer->parameters > FED_PARAMETERS_MAX)
        return err_set(e, -EINVAL, "the trainer has %u parameters, the protocol carries 1 to %u",
            config->trainer->parameters, FED_PARAMETERS_MAX);
    if (config->n_peers >= FED_SITES_MAX)
        return err_set(e, -EINVAL, "%zu peers, at most %d", config->n_peers, FED_SITES_MAX - 1);
    return 0;
}

/* Its bytes may have left before the crash: only its own attempt may send it. */
static void adopt_outbox(struct participant *p)
{
    const struct outbox_label *label = &p->round.outbox.label;
    if (!p->state.has_run || memcmp(p->state.run, label->run, FED_RUN_BYTES) != 0)
        client_state_enter(&p->state, label->run, label->round);
    p->state.attempt = MAX(p->state.attempt, label->attempt);
    p->round.phase = PHASE_RELEASED;
}

/* Whatever it held may have left: nothing else of that round may. */
static int bury_outbox(struct participant *p)
{
    p->is_outbox_damaged = true;
    p->state.closed = MAX(p->state.closed, p->state.round);
    int r = client_state_save(&p->state, p->disk);
    return r == 0 ? client_outbox_erase(&p->round.outbox, p->disk) : r;
}

static int load(struct participant *p, struct err *e)
{
    int r = client_state_load(&p->state, p->disk, e);
    if (r < 0)
        return r;
    r = client_outbox_load(&p->round.outbox, p->disk);
    if (r == 0)
        adopt_outbox(p);
    if (r == OUTBOX_E_DAMAGED)
        r = bury_outbox(p);
    return r < 0 ? err_set(e, r, "the outbox cannot be read") : 0;
}

int participant_new(struct participant **out, const struct participant_config *config,
    struct disk *disk, uint64_t now_ms, struct err *e)
{
    int r = check_config(config, e);
    if (r < 0)
        return r;
    struct participant *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->config = *config;
    p->disk = disk;
    p->now_ms = now_ms;
    p->admin = (struct ctl_responder){.answer = client_admin_answer, .owner = p};
    p->arena = arena_new(ARENA_KEEP);
    r = p->arena ? client_model_init(&p->model, config->trainer->parameters) : -ENOMEM;
    r = r == 0 ? load(p, e) : r;
    if (r < 0) {
        participant_free(p);
        return r;
    }
    *out = p;
    return 0;
}

void participant_free(struct participant *p)
{
    if (!p)
        return;
    client_round_deinit(&p->round);
    client_levels_deinit(&p->pool.levels);
    client_levels_deinit(&p->pool.told);
    client_model_deinit(&p->model);
    budget_deinit(&p->budget);
    arena_free(p->arena);
    secret_wipe(&p->config.seed, sizeof(p->config.seed));
    free(p);
}

/* ---- events ----------------------------------------------------------------------------------- */

static int on_opened(struct participant *p, const struct event *event, struct update *u)
{
    switch (event->opened.role) {
    case ROLE_SERVER:
        return client_upstream_opened(p, event->conn, u);
    case ROLE_VAULT:
        return client_pool_opened(p, event->conn, u);
    case ROLE_CTL:
        return ctl_responder_open(&p->admin, event, u);
    default:
        return update_close(
            u, event->conn, "a client has nothing to say to a %s", role_name(event->opened.role));
    }
}

static int on_frame(struct participant *p, const struct event *event, struct update *u)
{
    if (event->conn == p->server.conn)
        return client_upstream_frame(p, event, u);
    if (event->conn == p->pool.session.conn)
        return client_pool_frame(p, event, u);
    bool is_admin = ctl_responder_owns(&p->admin, event->conn);
    return is_admin ? ctl_responder_frame(&p->admin, event, p->arena, u) : 0;
}

static int on_closed(struct participant *p, const struct event *event, struct update *u)
{
    ctl_responder_closed(&p->admin, event->conn);
    if (event->conn == p->server.conn)
        client_upstream_closed(p);
    return event->conn == p->pool.session.conn ? client_pool_closed(p, u) : 0;
}

static int on_event(struct participant *p, const struct event *event, struct update *u)
{
    switch (event->kind) {
    case EVENT_TICK:
        return 0;
    case EVENT_OPENED:
        return on_opened(p, event, u);
    case EVENT_FRAME:
        return on_frame(p, event, u);
    case EVENT_CLOSED:
        return on_closed(p, event, u);
    case EVENT_JOB:
        return client_round_on_job(p, (struct train_job *)event->job, u);
    }
    return 0;
}

/* ---- drain ------------------------------------------------------------------------------------ */

void participant_drain(struct participant *p)
{
    p->drain.is_on = true;
}

static bool is_in_attempt(const struct participant *p)
{
    return p->round.phase >= PHASE_CHECKING && p->round.phase <= PHASE_REFUSING;
}

static int drain_end(struct participant *p, struct update *u)
{
    int r = 0;
    if (p->round.phase > PHASE_IDLE && p->round.phase <= PHASE_READY)
        r = client_round_decline(p, FED_DRAIN, "the client is stopping", u);
    else if (is_in_attempt(p) && p->round.phase != PHASE_RELEASED)
        r = client_attempt_refuse(p, FED_DRAIN, "the client is stopping", u);
    p->drain.is_over = true;
    return r < 0 ? r : update_stop(u, 0, "drained");
}

static int drain_continue(struct participant *p, struct update *u)
{
    if (!p->drain.is_on || p->drain.is_over)
        return 0;
    if (p->drain.deadline_ms == 0)
        p->drain.deadline_ms = p->now_ms + DRAIN_MS;
    if (is_in_attempt(p) && p->now_ms < p->drain.deadline_ms)
        return 0;
    return drain_end(p, u);
}

/* ---- step ------------------------------------------------------------------------------------- */

static void tell_damage(struct participant *p, struct update *u)
{
    if (p->is_outbox_damaged)
        update_note(u, NOTE_ALARM,
            "the outbox was damaged and is destroyed; this site sits out round %llu",
            (unsigned long long)p->state.closed);
    p->is_outbox_damaged = false;
}

static int tick(struct participant *p, struct update *u)
{
    int r = client_upstream_tick(p, u);
    r = r == 0 ? client_pool_tick(p, u) : r;
    r = r == 0 ? client_attempt_tick(p, u) : r;
    return r == 0 ? client_round_tick(p, u) : r;
}

int participant_step(struct participant *p, const struct event *event, struct update *u)
{
    p->now_ms = MAX(p->now_ms, event->now_ms);
    tell_damage(p, u);
    int r = on_event(p, event, u);
    r = r == 0 ? tick(p, u) : r;
    r = r == 0 ? drain_continue(p, u) : r;
    arena_reset(p->arena, true);
    return r;
}

uint64_t participant_deadline_ms(const struct participant *p)
{
    uint64_t at = p->server.conn ? link_deadline_ms(&p->server.link) : NEVER_MS;
    at = MIN(at, client_pool_deadline_ms(p));
    at = MIN(at, client_round_deadline_ms(p));
    at = MIN(at, client_attempt_deadline_ms(p));
    if (p->drain.is_on && !p->drain.is_over)
        at = MIN(at, p->drain.deadline_ms);
    return at;
}

/* ---- queries ---------------------------------------------------------------------------------- */

static uint64_t update_in_use(const struct participant *p)
{
    if (trained_is_held(&p->round.trained))
        return p->round.trained.training;
    return p->round.outbox.sealed ? p->round.outbox.label.training : p->state.training;
}

struct participant_view participant_query(const struct participant *p)
{
    return (struct participant_view){
        .phase = client_phase_name(p->round.phase),
        .round = p->round.terms.held ? p->round.terms.round : p->state.round,
        .attempt = p->round.attempt.number ? p->round.attempt.number : p->state.attempt,
        .training = update_in_use(p),
        .model = p->model.held ? p->model.values : NULL,
        .parameters = p->model.parameters,
    };
}
