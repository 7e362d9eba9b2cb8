/* SPDX-License-Identifier: Apache-2.0 */
/* What qflctl is told: status and metrics, as JSON. Amounts of key in bits. */
#include "client/core.h"

#include "common/hex.h"
#include "common/util.h"

static json_t *hex(const uint8_t *bytes, size_t len)
{
    char text[2 * SHA256_BYTES + 1];
    hex_encode(text, bytes, len);
    return json_string(text);
}

static json_t *bits(uint64_t bytes)
{
    return json_integer((json_int_t)bytes * 8);
}

static json_t *level_json(const struct participant *p, const struct level *l)
{
    json_t *o = json_object();
    json_object_set_new(o, "peer", json_string(l->peer));
    json_object_set_new(o, "available_bits", bits(client_level_available(l)));
    json_object_set_new(o, "in_step", json_boolean(l->in_step));
    json_object_set_new(o, "simulated", json_boolean(l->simulated));
    json_object_set_new(o, "unreleased_bits", bits(budget_burnt(&p->budget, p->now_ms, l->peer)));
    return o;
}

static json_t *levels_json(const struct participant *p)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->pool.levels.n; i++)
        json_array_append_new(list, level_json(p, &p->pool.levels.list[i]));
    return list;
}

static json_t *runs_json(const struct participant *p)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < p->state.n_approved; i++)
        json_array_append_new(list, hex(p->state.approved[i], FED_RUN_BYTES));
    return list;
}

/* The attempt under way: number, K, T, own neighbours that have confirmed. */
static void add_attempt(const struct participant *p, json_t *o)
{
    const struct attempt *a = &p->round.attempt;
    uint32_t confirmed = 0;
    if (!a->number || !a->view || a->edges.n == 0)
        return;
    for (uint32_t i = 0; i < a->edges.n; i++)
        confirmed += a->edges.list[i].is_verified;
    json_object_set_new(o, "participants", json_integer((json_int_t)a->view->n_members));
    json_object_set_new(o, "T", json_integer(a->view->components[0]->tolerance));
    json_object_set_new(o, "neighbours", json_integer(a->edges.n));
    json_object_set_new(o, "confirmed", json_integer(confirmed));
}

json_t *client_status_json(const struct participant *p)
{
    const struct participant_view v = participant_query(p);
    json_t *o = json_object();
    json_object_set_new(o, "site", json_string(p->config.site));
    json_object_set_new(o, "federation", json_string(p->config.federation));
    json_object_set_new(o, "task", json_string(p->config.policy.task));
    json_object_set_new(o, "phase", json_string(v.phase));
    json_object_set_new(
        o, "run", p->state.has_run ? hex(p->state.run, FED_RUN_BYTES) : json_null());
    json_object_set_new(o, "waiting_run",
        p->round.waiting.held ? hex(p->round.waiting.run, FED_RUN_BYTES) : json_null());
    json_object_set_new(o, "any_run", json_boolean(p->config.policy.any_run));
    json_object_set_new(o, "approved_runs", runs_json(p));
    json_object_set_new(o, "round", json_integer((json_int_t)v.round));
    json_object_set_new(o, "attempt", json_integer((json_int_t)v.attempt));
    json_object_set_new(o, "rounds", json_integer((json_int_t)p->round.terms.rounds));
    json_object_set_new(o, "server", json_boolean(p->server.is_welcome));
    json_object_set_new(o, "keypool", json_boolean(client_pool_is_up(p)));
    json_object_set_new(o, "draining", json_boolean(p->drain.is_on));
    json_object_set_new(o, "outbox", json_boolean(p->round.outbox.sealed));
    json_object_set_new(
        o, "model_hash", p->model.held ? hex(p->model.hash, SHA256_BYTES) : json_null());
    json_object_set_new(
        o, "skipped_with_other_participants", json_integer((json_int_t)p->counters.rounds_changed));
    json_object_set_new(o, "peers", levels_json(p));
    add_attempt(p, o);
    return o;
}

json_t *client_metrics_json(const struct participant *p)
{
    return metrics_json(client_counters_table, &p->counters);
}
