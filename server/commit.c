/* SPDX-License-Identifier: Apache-2.0 */
/* From READY clients to COMMIT (server/core.h): selection, key ranges, view, journal, message. */
#include "server/core.h"

#include "common/util.h"
#include "server/draft.h"
#include "server/weights.h"

#include <errno.h>
#include <inttypes.h>

/* The candidates and what selection makes of them. */
struct choice {
    size_t n;
    size_t *sites;       /* owned, n: indices in the roster */
    struct pair *pairs;  /* owned, n x n */
    uint64_t *available; /* owned, n x n */
    bool *is_chosen;     /* owned, n */
    struct select_result result;
};

static void choice_deinit(struct choice *c)
{
    graph_deinit(&c->result.graph);
    free(c->sites);
    free(c->pairs);
    free(c->available);
    free(c->is_chosen);
}

uint64_t commit_need(const struct aggregator *a)
{
    return draft_need(a->config.params);
}

static bool is_candidate(const struct aggregator *a, size_t site)
{
    return site_session(a, site) && a->round.candidates[site].answer == ANSWER_READY;
}

size_t commit_count_ready(const struct aggregator *a)
{
    size_t n = 0;
    for (size_t i = 0; i < a->config.sites; i++)
        n += is_candidate(a, i);
    return n;
}

static int choice_init(struct choice *c, const struct aggregator *a)
{
    *c = (struct choice){.n = commit_count_ready(a)};
    c->sites = calloc(c->n, sizeof(*c->sites));
    c->pairs = calloc(c->n * c->n, sizeof(*c->pairs));
    c->available = calloc(c->n * c->n, sizeof(*c->available));
    c->is_chosen = calloc(c->n, sizeof(*c->is_chosen));
    if (!c->sites || !c->pairs || !c->available || !c->is_chosen)
        return -ENOMEM;
    size_t n = 0;
    for (size_t site = 0; site < a->config.sites; site++)
        if (is_candidate(a, site))
            c->sites[n++] = site;
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < c->n; j++) {
            if (i == j)
                continue;
            c->pairs[i * c->n + j] = levels_pair(&a->levels, &a->highs, c->sites[i], c->sites[j]);
            c->available[i * c->n + j] = c->pairs[i * c->n + j].available;
        }
    c->result.is_chosen = c->is_chosen;
    return 0;
}

/* Keeps the chosen ones only, in order. */
static void choice_shrink(struct choice *c)
{
    size_t k = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (!c->is_chosen[i])
            continue;
        size_t m = 0;
        for (size_t j = 0; j < c->n; j++)
            if (c->is_chosen[j])
                c->pairs[k * c->result.k + m++] = c->pairs[i * c->n + j];
        c->sites[k++] = c->sites[i];
    }
    c->n = k;
}

/* ---- too little key -------------------------------------------------------------------------- */

static struct reason name_pair(const struct aggregator *a, const struct choice *c)
{
    struct reason reason = {0};
    if (!c->result.has_blamed)
        return reason;
    size_t low = c->sites[c->result.blamed[0]];
    size_t high = c->sites[c->result.blamed[1]];
    struct pair p = levels_pair(&a->levels, &a->highs, low, high);
    reason_set(&reason, "no key for %s-%s: %s (%" PRIu64 " of %" PRIu64 " bytes)",
        site_name(a, low), site_name(a, high), pair_state_text(p.state), p.available,
        commit_need(a));
    return reason;
}

static int wait_for_key(
    struct aggregator *a, const struct choice *c, uint64_t now_ms, struct update *u)
{
    struct round *r = &a->round;
    r->cause = name_pair(a, c);
    if (r->phase == PHASE_KEYS)
        return 0;
    update_note(u, NOTE_WARNING, "round %" PRIu64 ": waits for key: %s", r->number, r->cause.text);
    if (!r->has_waited_keys)
        a->counters.key_waits++;
    r->has_waited_keys = true;
    round_enter(a, PHASE_KEYS, now_ms, u);
    r->is_changed = false;
    return 0;
}

/* ---- the view -------------------------------------------------------------------------------- */

static int draft(struct aggregator *a, const struct choice *c, struct blob **view)
{
    auto_free const char **sites = calloc(c->n, sizeof(*sites));
    auto_free uint64_t *samples = calloc(c->n, sizeof(*samples));
    if (!sites || !samples)
        return -ENOMEM;
    for (size_t i = 0; i < c->n; i++) {
        sites[i] = site_name(a, c->sites[i]);
        samples[i] = a->round.candidates[c->sites[i]].samples;
    }
    const struct draft d = {.run = a->run.id,
        .round = a->round.number,
        .attempt = a->attempt + 1,
        .previous = a->previous,
        .model_hash = a->model.hash,
        .params = a->config.params,
        .k = (uint32_t)c->n,
        .sites = sites,
        .samples = samples,
        .graph = &c->result.graph,
        .tolerance = c->result.tolerance,
        .pairs = c->pairs};
    *view = draft_view(&d);
    return *view ? 0 : -ENOMEM;
}

static int propose(struct aggregator *a, const struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->view->n_edges; i++) {
        const View__Edge *edge = attempt->view->edges[i];
        uint8_t key[FED_STREAM_BYTES];
        attempt_edge_key(attempt, edge, key);
        int r = highs_propose(&a->highs, key, attempt->number, edge->start + edge->length);
        if (r != 0)
            return r < 0 ? r : -EOVERFLOW; /* known streams always have room */
    }
    return 0;
}

/* Attempt, view and high are durable before COMMIT. */
static int journal(struct aggregator *a, const struct attempt *attempt)
{
    int r = propose(a, attempt);
    if (r < 0)
        return r;
    size_t n;
    auto_free struct store_high *dirty = highs_dirty(&a->highs, &n);
    if (!dirty)
        return -ENOMEM;
    r = a->store->ops->commit(a->store, attempt->number, attempt->bytes, dirty, n);
    if (r < 0)
        return r;
    highs_clean(&a->highs);
    a->attempt = attempt->number;
    return 0;
}

static int send_commits(
    struct aggregator *a, const struct attempt *attempt, uint64_t now_ms, struct update *u)
{
    auto_free char *sites = attempt_sites(attempt);
    if (!sites)
        return -ENOMEM;
    update_note(u, NOTE_INFO, "round %" PRIu64 ": attempt %" PRIu64 " of %s, T = %u",
        a->round.number, attempt->number, sites, attempt->tolerance);
    round_enter(a, PHASE_CONFIRM, now_ms, u);
    for (uint32_t i = 0; i < attempt->k; i++) {
        int r = send_commit(a, attempt->members[i].site, u);
        if (r < 0)
            return r;
    }
    return 0;
}

static int commit(struct aggregator *a, const struct choice *c, uint64_t now_ms, struct update *u)
{
    struct blob *view = NULL;
    int r = draft(a, c, &view);
    if (r < 0)
        return r;
    struct err e = {0};
    struct attempt *attempt;
    r = attempt_new(&attempt, view, a->config.roster, a->config.sites, &e);
    blob_unref(view);
    if (r > 0) {
        update_note(u, NOTE_ALARM, "a view of our own is none: %s", e.text);
        return -EPROTO;
    }
    if (r < 0)
        return r;
    a->round.attempt = attempt;
    a->round.attempts++;
    r = journal(a, attempt);
    return r < 0 ? r : send_commits(a, attempt, now_ms, u);
}

static bool is_starved(const struct aggregator *a, const struct choice *c)
{
    uint64_t samples[FED_SITES_MAX];
    for (size_t i = 0; i < c->n; i++)
        samples[i] = a->round.candidates[c->sites[i]].samples;
    return weights_are_starved(samples, (uint32_t)c->n, a->config.min_clients);
}

int commit_try(struct aggregator *a, uint64_t now_ms, struct update *u)
{
    cleanup(choice_deinit) struct choice c;
    int r = choice_init(&c, a);
    if (r < 0)
        return r;
    a->round.is_changed = false;
    const struct select_input in = {
        .n = c.n, .available = c.available, .need = commit_need(a), .k_min = a->config.min_clients};
    r = a->policy->choose(&in, &c.result);
    if (r == SELECT_E_FEW)
        return wait_for_key(a, &c, now_ms, u);
    if (r < 0)
        return r;
    if (c.result.has_blamed)
        update_note(u, NOTE_WARNING, "round %" PRIu64 ": %s; %u of %zu clients take part",
            a->round.number, name_pair(a, &c).text, c.result.k, c.n);
    choice_shrink(&c);
    if (!is_starved(a, &c))
        return commit(a, &c, now_ms, u);
    struct reason reason;
    reason_set(
        &reason, "fewer than %u clients have a fair share of the samples", a->config.min_clients);
    return round_skip(a, &reason, now_ms, u);
}

/* ---- what becomes of proposed ranges --------------------------------------------------------- */

void commit_burnt(struct aggregator *a, uint32_t member)
{
    const struct attempt *attempt = a->round.attempt;
    for (size_t i = 0; i < attempt->view->n_edges; i++) {
        const View__Edge *edge = attempt->view->edges[i];
        if (edge->low != member && edge->high != member)
            continue;
        uint8_t key[FED_STREAM_BYTES];
        attempt_edge_key(attempt, edge, key);
        highs_burn(&a->highs, key, edge->start + edge->length);
    }
}

static bool has_level(const Fed__Reject *reject, const char *peer)
{
    for (size_t i = 0; i < reject->n_levels; i++)
        if (strcmp(reject->levels[i]->peer, peer) == 0)
            return true;
    return false;
}

void commit_refused(
    struct aggregator *a, const struct attempt *attempt, uint32_t member, const Fed__Reject *reject)
{
    for (size_t i = 0; i < attempt->view->n_edges; i++) {
        const View__Edge *edge = attempt->view->edges[i];
        if (edge->low != member && edge->high != member)
            continue;
        size_t low = attempt->members[edge->low].site;
        size_t high = attempt->members[edge->high].site;
        bool is_high = edge->high == member;
        if (!has_level(reject, site_name(a, is_high ? low : high)))
            continue;
        uint64_t cursor =
            MAX(levels_of(&a->levels, low, high)->cursor, levels_of(&a->levels, high, low)->cursor);
        uint8_t key[FED_STREAM_BYTES];
        attempt_edge_key(attempt, edge, key);
        if (highs_refuse(&a->highs, key, is_high, attempt->number, cursor))
            a->round.is_changed = true;
    }
}
