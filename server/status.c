/* SPDX-License-Identifier: Apache-2.0 */
/* What operators see (server/core.h), as JSON. Names of members are a contract with qflctl. */
#include "server/core.h"

#include "common/hex.h"
#include "common/util.h"

#include <jansson.h>
#include <stdio.h>

static json_t *hex(const uint8_t *bytes, size_t len)
{
    char text[2 * SHA256_BYTES + 1];
    hex_encode(text, bytes, len);
    return json_string(text);
}

static const char *describe_phase(const struct aggregator *a)
{
    if (a->fault.text[0])
        return "fault";
    if (a->round.phase != PHASE_IDLE)
        return phase_name(a->round.phase);
    if (a->run.is_active)
        return "waiting";
    return a->run.has_ended ? "ended" : "no run";
}

/* ---- clients --------------------------------------------------------------------------------- */

static const char *describe_member(const struct aggregator *a, uint32_t i)
{
    const struct attempt *attempt = a->round.attempt;
    const struct attempt_member *m = &attempt->members[i];
    switch (a->round.phase) {
    case PHASE_GO:
        return accumulator_next(&attempt->sum, i) == attempt->sum.chunks ? "uploaded" : "uploading";
    case PHASE_RESULT:
        return m->is_done ? "done" : "verifying";
    default:
        return m->is_locked ? "locked" : m->is_confirmed ? "masking" : "checking";
    }
}

static const char *describe_client(const struct aggregator *a, size_t site, int member)
{
    static const char *const answers[] = {
        [ANSWER_NONE] = "training",
        [ANSWER_READY] = "ready",
        [ANSWER_DECLINED] = "declined",
        [ANSWER_OUT] = "out",
    };
    if (member >= 0)
        return describe_member(a, (uint32_t)member);
    bool is_idle = a->round.phase == PHASE_IDLE || a->round.phase >= PHASE_GO;
    return is_idle ? "waiting" : answers[a->round.candidates[site].answer];
}

static json_t *list_clients(const struct aggregator *a)
{
    json_t *list = json_array();
    for (size_t site = 0; site < a->config.sites; site++) {
        int member = a->round.attempt ? attempt_find(a->round.attempt, site) : -1;
        json_array_append_new(
            list, json_pack("{s:s, s:b, s:s, s:b, s:I}", "site", site_name(a, site), "connected",
                      site_session(a, site) != NULL, "phase", describe_client(a, site, member),
                      "participant", member >= 0, "samples",
                      (json_int_t)a->round.candidates[site].samples));
    }
    return list;
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static json_t *describe_pair(const struct aggregator *a, size_t low, size_t high, uint64_t need)
{
    static const char *const states[] = {
        [PAIR_READY] = "in step",
        [PAIR_UNKNOWN] = "unknown",
        [PAIR_DIFFERENT] = "different streams",
        [PAIR_OUT_OF_STEP] = "out of step",
    };
    struct pair p = levels_pair(&a->levels, &a->highs, low, high);
    char name[2 * SITE_NAME_MAX + 2];
    snprintf(name, sizeof(name), "%s-%s", site_name(a, low), site_name(a, high));
    return json_pack("{s:s, s:s, s:b, s:I, s:I}", "pair", name, "state", states[p.state],
        "simulated", p.simulated, "available_bits", (json_int_t)(p.available * 8), "rounds_left",
        (json_int_t)(p.available / need));
}

static json_t *list_pairs(const struct aggregator *a)
{
    uint64_t need = commit_need(a);
    json_t *list = json_array();
    for (size_t low = 0; low < a->config.sites; low++)
        for (size_t high = low + 1; high < a->config.sites; high++)
            json_array_append_new(list, describe_pair(a, low, high, need));
    return list;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static json_t *list_evaluations(const struct aggregator *a)
{
    auto_free char *text =
        a->store->ops->evaluations_json ? a->store->ops->evaluations_json(a->store) : NULL;
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    return list ? list : json_array();
}

static json_t *describe_run(const struct aggregator *a)
{
    bool has_run = a->run.is_active || a->run.has_ended;
    const struct attempt *attempt = a->round.attempt;
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "federation",
        a->config.federation, "task", a->config.params->task, "run",
        has_run ? hex(a->run.id, FED_RUN_BYTES) : json_string(""), "round",
        (json_int_t)a->round.number, "rounds", (json_int_t)a->config.rounds, "phase",
        describe_phase(a), "attempt", (json_int_t)a->attempt, "participants",
        (json_int_t)(attempt ? attempt->k : 0), "T", (json_int_t)(attempt ? attempt->tolerance : 0),
        "rounds_summed", (json_int_t)a->run.rounds_summed, "rounds_skipped",
        (json_int_t)a->run.rounds_skipped, "ended", a->run.has_ended);
}

static json_t *describe_model(const struct aggregator *a)
{
    const char *checkpoint = a->store->ops->checkpoint(a->store);
    return json_pack("{s:o, s:I, s:i, s:s, s:s, s:b}", "model_hash",
        a->model.weights ? hex(a->model.hash, SHA256_BYTES) : json_string(""), "parameters",
        (json_int_t)a->config.params->parameters, "q", (int)a->config.params->q, "checkpoint",
        checkpoint ? checkpoint : "", "fault", a->fault.text, "draining", a->run.drain);
}

char *status_json(const struct aggregator *a)
{
    json_t *status = describe_run(a);
    json_t *model = describe_model(a);
    char *text = NULL;
    if (status && model && json_object_update(status, model) == 0 &&
        json_object_set_new(status, "clients", list_clients(a)) == 0 &&
        json_object_set_new(status, "pairs", list_pairs(a)) == 0 &&
        json_object_set_new(status, "evaluations", list_evaluations(a)) == 0)
        text = json_dumps(status, JSON_COMPACT);
    json_decref(model);
    json_decref(status);
    return text;
}

char *status_metrics_json(const struct aggregator *a)
{
    json_t *all = metrics_json(counters_table, &a->counters);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}
