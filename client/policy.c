/* SPDX-License-Identifier: Apache-2.0 */
#include "client/policy.h"

#include "common/util.h"

#include <errno.h>
#include <math.h>

typedef unsigned long long ull;

void policy_hash_members(const View__View *view, uint8_t out[SHA256_BYTES])
{
    struct sha256_part parts[FED_SITES_MAX];
    size_t n = MIN(view->n_members, (size_t)FED_SITES_MAX);
    for (size_t i = 0; i < n; i++)
        parts[i] = (struct sha256_part){view->members[i]->site, strlen(view->members[i]->site)};
    sha256_parts(out, parts, n);
}

/* ---- terms ---------------------------------------------------------------------------------- */

static int check_task(const struct policy *policy, const struct terms *t, struct err *e)
{
    if (strcmp(t->task, policy->task) != 0)
        return err_set(e, FED_POLICY, "the run trains '%.64s', this site is configured for '%s'",
            t->task, policy->task);
    return 0;
}

static int check_width(const struct policy *policy, const struct terms *t, struct err *e)
{
    if (t->q < policy->q_min || t->q > policy->q_max)
        return err_set(e, FED_POLICY, "the run wants %u bits per word, this site allows %u to %u",
            t->q, policy->q_min, policy->q_max);
    return 0;
}

static int check_clip(const struct policy *policy, const struct terms *t, struct err *e)
{
    if (!isfinite(t->clip) || t->clip <= 0)
        return err_set(e, FED_POLICY, "the clip %g is not a positive number", t->clip);
    if (t->clip > policy->clip_max)
        return err_set(e, FED_POLICY, "the run clips at %g, this site allows at most %g", t->clip,
            policy->clip_max);
    return 0;
}

static int check_shape(uint32_t parameters, const struct terms *t, struct err *e)
{
    if (t->parameters != parameters)
        return err_set(e, FED_POLICY,
            "the run's model has %u parameters, this site's trainer has %u", t->parameters,
            parameters);
    if (t->rounding > 1)
        return err_set(e, FED_POLICY, "the rounding %u is not known", t->rounding);
    if (t->chunk_words < 8 || t->chunk_words % 8 != 0 ||
        (uint64_t)t->chunk_words * t->q / 8 > FED_CHUNK_BYTES_MAX)
        return err_set(e, FED_POLICY,
            "chunks of %u words of %u bits are not whole bytes, or more than %zu of them",
            t->chunk_words, t->q, FED_CHUNK_BYTES_MAX);
    return 0;
}

int policy_check_terms(
    const struct policy *policy, uint32_t parameters, const struct terms *terms, struct err *e)
{
    int r = check_task(policy, terms, e);
    r = r == 0 ? check_width(policy, terms, e) : r;
    r = r == 0 ? check_clip(policy, terms, e) : r;
    return r == 0 ? check_shape(parameters, terms, e) : r;
}

/* ---- view: does it belong to this round? ----------------------------------------------------- */

static bool same(ProtobufCBinaryData a, const void *b, size_t len)
{
    return a.len == len && memcmp(a.data, b, len) == 0;
}

static int check_round(const struct policy_witness *w, const View__View *v, struct err *e)
{
    if (!same(v->run, w->terms->run, FED_RUN_BYTES))
        return err_set(e, FED_VIEW, "the view is of another run");
    if (v->round != w->terms->round)
        return err_set(e, FED_VIEW, "the view is of round %llu, open is round %llu", (ull)v->round,
            (ull)w->terms->round);
    if (!same(v->previous, w->terms->previous, SHA256_BYTES))
        return err_set(e, FED_VIEW, "the view follows another result than the round");
    if (!same(v->model_hash, w->terms->model_hash, SHA256_BYTES))
        return err_set(e, FED_VIEW, "the view names another model than the round");
    return 0;
}

static int check_numbers(const struct policy_witness *w, const View__View *v, struct err *e)
{
    const struct terms *t = w->terms;
    if (v->q != t->q)
        return err_set(e, FED_VIEW, "the view has %u bits per word, the round %u", v->q, t->q);
    if (v->parameters != t->parameters)
        return err_set(
            e, FED_VIEW, "the view has %u parameters, the round %u", v->parameters, t->parameters);
    if (v->clip != t->clip)
        return err_set(e, FED_VIEW, "the view clips at %g, the round at %g", v->clip, t->clip);
    if (v->rounding != t->rounding)
        return err_set(e, FED_VIEW, "the view rounds otherwise than the round");
    if (v->chunk_words != t->chunk_words)
        return err_set(e, FED_VIEW, "the view has chunks of %u words, the round of %u",
            v->chunk_words, t->chunk_words);
    return 0;
}

static int check_attempt(
    const struct policy_witness *w, const View__View *v, uint64_t attempt, struct err *e)
{
    if (v->attempt != attempt)
        return err_set(e, FED_VIEW, "the view is of attempt %llu, the message of %llu",
            (ull)v->attempt, (ull)attempt);
    if (attempt <= w->last_attempt)
        return err_set(e, FED_STALE, "attempt %llu is not above %llu, the last one seen",
            (ull)attempt, (ull)w->last_attempt);
    return 0;
}

/* ---- view: who takes part, and with what weight? --------------------------------------------- */

static bool is_enrolled(const struct policy_witness *w, const char *site)
{
    if (strcmp(site, w->site) == 0)
        return true;
    for (size_t i = 0; i < w->n_peers; i++)
        if (strcmp(site, w->peers[i]) == 0)
            return true;
    return false;
}

static int check_members(const struct policy_witness *w, const View__View *v, struct err *e)
{
    int me = view_find(v, w->site);
    if (me < 0)
        return err_set(e, FED_POLICY, "this site is not a participant of the view");
    if (v->members[me]->samples != w->samples)
        return err_set(e, FED_POLICY, "the view gives this site %llu samples instead of %llu",
            (ull)v->members[me]->samples, (ull)w->samples);
    for (size_t i = 0; i < v->n_members; i++)
        if (!is_enrolled(w, v->members[i]->site))
            return err_set(e, FED_POLICY, "the participant '%.63s' is not on this site's roster",
                v->members[i]->site);
    return 0;
}

static int check_size(const struct policy_witness *w, const View__View *v, struct err *e)
{
    if (v->n_members < w->policy->k_min)
        return err_set(e, FED_POLICY, "%zu participants, this site wants at least %u", v->n_members,
            w->policy->k_min);
    if (v->n_components != 1)
        return err_set(e, FED_POLICY, "%zu mask graphs instead of one", (size_t)v->n_components);
    return 0;
}

/* Otherwise a lying server gives one client the weight 1 and reads its update as "the sum". */
static int check_weights(const struct policy_witness *w, const View__View *v, struct err *e)
{
    double least = 1.0 / (POLICY_WEIGHT_PARTS * (double)v->n_members);
    uint32_t weighty = 0;
    for (uint32_t i = 0; i < v->n_members; i++)
        weighty += view_weight(v, i) >= least;
    if (weighty < w->policy->k_min)
        return err_set(e, FED_POLICY,
            "only %u participants have a weight of at least %.4g, this site wants %u", weighty,
            least, w->policy->k_min);
    return 0;
}

static int check_skipped(const struct policy_witness *w, const View__View *v, struct err *e)
{
    uint8_t members[SHA256_BYTES];
    if (!w->policy->strict || !w->skipped)
        return 0;
    policy_hash_members(v, members);
    if (memcmp(members, w->skipped, SHA256_BYTES) != 0)
        return err_set(e, FED_POLICY,
            "the participants have changed since the round that was skipped (policy strict)");
    return 0;
}

/* ---- view: how well is it masked? ------------------------------------------------------------ */

static int check_graph(const View__View *v, uint32_t tolerance, struct err *e)
{
    struct graph g = {0};
    int r = view_graph(v, &g);
    if (r == 0)
        r = graph_is_connected(&g, tolerance + 1);
    graph_deinit(&g);
    if (r == 0)
        return err_set(e, FED_POLICY,
            "the mask graph falls apart when %u participants collude, though it is to bear that",
            tolerance);
    return r < 0 ? r : 0;
}

static int check_tolerance(const struct policy_witness *w, const View__View *v, struct err *e)
{
    uint32_t tolerance = v->components[0]->tolerance;
    if (tolerance < w->policy->t_min)
        return err_set(e, FED_POLICY, "the view bears %u colluders, this site wants at least %u",
            tolerance, w->policy->t_min);
    if ((uint64_t)tolerance + 2 > v->n_members)
        return err_set(
            e, FED_POLICY, "%zu participants cannot bear %u colluders", v->n_members, tolerance);
    return check_graph(v, tolerance, e);
}

int policy_check_view(
    const struct policy_witness *w, const View__View *view, uint64_t attempt, struct err *e)
{
    int r = check_round(w, view, e);
    r = r == 0 ? check_numbers(w, view, e) : r;
    r = r == 0 ? check_attempt(w, view, attempt, e) : r;
    r = r == 0 ? check_members(w, view, e) : r;
    r = r == 0 ? check_size(w, view, e) : r;
    r = r == 0 ? check_weights(w, view, e) : r;
    r = r == 0 ? check_skipped(w, view, e) : r;
    return r == 0 ? check_tolerance(w, view, e) : r;
}

/* ---- edges: the key ranges ------------------------------------------------------------------- */

static int check_level(
    const char *peer, const struct level *level, const View__Edge *edge, struct err *e)
{
    if (!level)
        return err_set(e, FED_NO_KEY, "the key pool has no mask stream with %s", peer);
    if (!same(edge->stream, level->stream, FED_STREAM_BYTES))
        return err_set(
            e, FED_VIEW, "the view names another stream with %s than the key pool", peer);
    if (!level->in_step)
        return err_set(e, FED_NO_KEY, "the key pool is not in step with %s", peer);
    return 0;
}

static int check_start(
    const char *peer, const struct level *level, const View__Edge *edge, struct err *e)
{
    if (edge->start < level->cursor)
        return err_set(e, FED_STALE, "the key for %s starts at %llu, the cursor is at %llu", peer,
            (ull)edge->start, (ull)level->cursor);
    uint64_t reached = MAX(level->cursor, level->peer_cursor);
    if (edge->start > reached && edge->start - reached > POLICY_RANGES_AHEAD * edge->length)
        return err_set(e, FED_STALE, "the key for %s starts at %llu, far ahead of %llu", peer,
            (ull)edge->start, (ull)reached);
    if (edge->start > level->end || edge->length > level->end - edge->start)
        return err_set(e, FED_NO_KEY,
            "%llu bytes of key with %s from %llu on, the pool ends at %llu", (ull)edge->length,
            peer, (ull)edge->start, (ull)level->end);
    return 0;
}

static int check_budget(const struct policy_witness *w, const char *peer, const struct level *level,
    const View__Edge *edge, const struct budget *budget, uint64_t now_ms, struct err *e)
{
    uint64_t limit = budget_limit(w->policy->key_budget_bytes_per_hour, edge->length);
    uint64_t burnt = budget_burnt(budget, now_ms, peer);
    uint64_t wanted = edge->start + edge->length - level->cursor;
    if (burnt + wanted > limit)
        return err_set(e, FED_POLICY,
            "%llu bytes of key with %s were burnt without a release within the hour, the budget is "
            "%llu",
            (ull)burnt, peer, (ull)limit);
    return 0;
}

int policy_check_edges(const struct policy_witness *w, const View__View *view,
    const struct levels *levels, const struct budget *budget, uint64_t now_ms, struct err *e)
{
    int me = view_find(view, w->site);
    for (size_t i = 0; i < view->n_edges; i++) {
        const View__Edge *edge = view->edges[i];
        if ((int)edge->low != me && (int)edge->high != me)
            continue;
        uint32_t other = (int)edge->low == me ? edge->high : edge->low;
        const char *peer = view->members[other]->site;
        const struct level *level = client_levels_find(levels, peer);
        int r = check_level(peer, level, edge, e);
        r = r == 0 ? check_start(peer, level, edge, e) : r;
        r = r == 0 ? check_budget(w, peer, level, edge, budget, now_ms, e) : r;
        if (r != 0)
            return r;
    }
    return 0;
}
