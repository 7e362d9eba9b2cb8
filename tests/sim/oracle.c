/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/oracle_parts.h"

#include "common/util.h"
#include "common/words.h"
#include "proto/kme.h"
#include "proto/vault.h"
#include "tests/sim/need.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"

#include <inttypes.h>

void oracle_violation(struct oracle *o, const char *invariant, const char *who, const char *what)
{
    world_violation(o->set.world, "invariant %s: %s: %s", invariant, who, what);
}

/* ---- lookups ---- */

/* The site's index, or -1 (the server). */
static int site_of(const struct oracle *o, const struct node *n)
{
    for (size_t i = 0; i < o->set.n; i++)
        if (strcmp(o->set.sites[i], n->site) == 0)
            return (int)i;
    return -1;
}

static struct attempt *attempt_find(const struct oracle *o, uint64_t number)
{
    for (size_t i = o->n_attempts; i-- > 0;)
        if (o->attempts[i]->number == number)
            return o->attempts[i];
    return NULL;
}

struct attempt *oracle_attempt(struct oracle *o, uint64_t number)
{
    struct attempt *a = attempt_find(o, number);
    if (a)
        return a;
    a = need(calloc(1, sizeof(*a)));
    a->number = number;
    o->attempts = need(reallocarray(o->attempts, o->n_attempts + 1, sizeof(*o->attempts)));
    return o->attempts[o->n_attempts++] = a;
}

struct blob *oracle_blob(const void *data, size_t len)
{
    struct blob *b = need(blob_new(len));
    memcpy(b->data, data, len);
    return b;
}

View__View *oracle_view(const struct part *p)
{
    return p->view ? view__view__unpack(NULL, p->view->len, p->view->data) : NULL;
}

struct quantiser oracle_quantiser(const View__View *v)
{
    return (struct quantiser){.q = v->q,
        .participants = (uint32_t)v->n_members,
        .parameters = v->parameters,
        .chunk_words = v->chunk_words,
        .clip = v->clip,
        .rounding = (enum rounding)v->rounding};
}

/* ---- invariant 5: the published sum ---- */

static const View__View *no_view(struct oracle *o, uint64_t attempt)
{
    world_violation(o->set.world,
        "invariant 5: attempt %" PRIu64 " is summed and nobody held its view", attempt);
    return NULL;
}

static bool add_inputs(
    struct oracle *o, const struct attempt *a, const View__View *view, int64_t *sum)
{
    for (size_t i = 0; i < view->n_members; i++) {
        const struct part *p = NULL;
        for (size_t s = 0; s < o->set.n; s++)
            if (strcmp(o->set.sites[s], view->members[i]->site) == 0)
                p = &a->part[s];
        if (!p || !p->v || !p->released) {
            oracle_violation(o, "5", view->members[i]->site, "is in a sum and released nothing");
            return false;
        }
        for (uint32_t k = 0; k < view->parameters; k++)
            sum[k] += p->v[k];
    }
    return true;
}

static void sum_is_exact(
    struct oracle *o, const struct attempt *a, const View__View *view, const struct blob *published)
{
    struct quantiser z = oracle_quantiser(view);
    int64_t *sum = need(calloc(z.parameters, sizeof(*sum)));
    int64_t *got = need(calloc(z.parameters, sizeof(*got)));
    if (published->len != words_bytes(quantiser_words(&z), z.q)) {
        oracle_violation(o, "5", "server", "a sum of another length");
    } else if (add_inputs(o, a, view, sum)) {
        quantiser_integers(&z, published->data, got);
        if (memcmp(sum, got, z.parameters * sizeof(*sum)) != 0)
            oracle_violation(o, "5", "server", "a published sum is not the sum of its inputs");
        if (quantiser_canaries_wrong(&z, published->data) != 0)
            oracle_violation(o, "5", "server", "a canary of a published sum is wrong");
        quantiser_apply(&z, published->data, o->model);
    }
    free(sum);
    free(got);
}

static void check_result(struct oracle *o, const struct store_sim_result *r)
{
    struct attempt *a = attempt_find(o, r->attempt);
    View__View *view = NULL;
    for (size_t i = 0; a && i < o->set.n && !view; i++)
        view = oracle_view(&a->part[i]);
    if (!view)
        no_view(o, r->attempt);
    else
        sum_is_exact(o, a, view, r->sum);
    view__view__free_unpacked(view, NULL);
    o->summed = need(reallocarray(o->summed, o->n_summed + 1, sizeof(*o->summed)));
    struct summed *s = &o->summed[o->n_summed++];
    s->attempt = r->attempt;
    sha256(s->model_hash, o->model, o->set.parameters * sizeof(double));
}

void oracle_check_results(struct oracle *o)
{
    const struct store_sim *store = server_node_store(*o->set.server);
    if (store_sim_results(store) < o->seen_results) { /* rolled back: an older model goes on */
        const struct store_state *state = store_sim_state(store);
        o->seen_results = store_sim_results(store);
        memcpy(o->model, state->model ? state->model : o->set.model,
            o->set.parameters * sizeof(double));
    }
    while (o->seen_results < store_sim_results(store) && !o->set.world->violation)
        check_result(o, store_sim_result(store, o->seen_results++));
}

static void server_stepped(struct oracle *o)
{
    oracle_check_results(o);
    const struct aggregator_view now = aggregator_query(server_node_core(*o->set.server));
    if (memcmp(now.model, o->model, o->set.parameters * sizeof(double)) != 0)
        oracle_violation(o, "5", "server", "its model is not the sum of the published updates");
}

/* ---- frames of the server ---- */

/* Durable before sending: what the store must know when these leave. */
static void sent_by_server(struct oracle *o, const struct message *m)
{
    const struct store_sim *store = server_node_store(*o->set.server);
    if (m->type == FED_COMMIT) {
        Fed__Commit *commit = fed__commit__unpack(NULL, m->len, m->body);
        if (!commit || store_sim_state(store)->attempt < commit->attempt)
            oracle_violation(o, "2", "server", "COMMIT leaves before the attempt is durable");
        fed__commit__free_unpacked(commit, NULL);
    } else if (m->type == FED_GO) {
        Fed__Go *go = fed__go__unpack(NULL, m->len, m->body);
        if (!go || store_sim_last_go(store) != go->attempt)
            oracle_violation(o, "2", "server", "GO leaves before it is durable");
        fed__go__free_unpacked(go, NULL);
    }
}

/* ---- as a watcher ---- */

static bool is_client(const struct oracle *o, const struct node *n, int site)
{
    return site >= 0 && o->set.clients[site] == n;
}

/* Frames between sites; but a sum is public, and may agree with clipped integers of one of its
 * inputs by chance. */
static bool must_hold_no_secret(const struct message *m)
{
    if (m->exchange == &fed_exchange)
        return m->type != FED_RESULT_CHUNK;
    return m->exchange == &kme_exchange;
}

static void watch_sent(void *arg, const struct message *m)
{
    struct oracle *o = arg;
    int site = site_of(o, m->from);
    if (must_hold_no_secret(m) && leak_in_bytes(o->leak, m->body, m->len))
        world_violation(o->set.world, "invariant 9: %s sends a %s with secret bytes", m->from->name,
            net_type_name(m->exchange, m->type));
    if (m->exchange == &fed_exchange && is_client(o, m->from, site))
        oracle_sent_by_client(o, (unsigned)site, m);
    if (m->exchange == &fed_exchange && m->from == *o->set.server)
        sent_by_server(o, m);
    if (m->exchange == &vault_exchange && is_client(o, m->from, site) && m->type == VAULT_RESERVE)
        oracle_sent_reserve(o, (unsigned)site, m);
    if (m->exchange == &vault_exchange && site >= 0 && m->type == VAULT_PAD)
        oracle_sent_pad(o, (unsigned)site, m);
    if (m->exchange == &vault_exchange && site >= 0 && m->from == o->set.vaults[site] &&
        m->type == VAULT_CARRY)
        oracle_sent_carry(o, (unsigned)site, m);
}

static void watch_delivered(void *arg, const struct message *m)
{
    struct oracle *o = arg;
    int site = site_of(o, m->to);
    if (m->exchange == &fed_exchange && m->type == FED_COMMIT && is_client(o, m->to, site))
        oracle_got_commit(o, (unsigned)site, m);
}

static void watch_note(void *arg, const struct node *n, const char *text)
{
    struct oracle *o = arg;
    if (leak_in_text(o->leak, text))
        oracle_violation(o, "9", n->name, "a note holds secret bytes");
}

static void watch_stepped(void *arg, struct node *n)
{
    struct oracle *o = arg;
    if (n == *o->set.server)
        server_stepped(o);
    int site = site_of(o, n);
    if (site >= 0 && o->set.vaults[site] == n)
        oracle_vault_stepped(o, (size_t)site);
}

size_t oracle_sums(const struct oracle *o)
{
    return o->n_summed;
}

/* ---- beginning and end ---- */

struct oracle *oracle_new(const struct oracle_setting *setting)
{
    struct oracle *o = need(calloc(1, sizeof(*o)));
    o->set = *setting;
    o->leak = leak_new();
    o->pads = padbook_new();
    size_t bytes = setting->parameters * sizeof(double);
    o->model = need(malloc(bytes));
    memcpy(o->model, setting->model, bytes);
    sha256(o->first_hash, o->model, bytes);
    setting->world->watcher = (struct watcher){.arg = o,
        .sent = watch_sent,
        .delivered = watch_delivered,
        .note = watch_note,
        .stepped = watch_stepped};
    return o;
}

static void attempt_free(struct attempt *a)
{
    for (size_t i = 0; i < ORACLE_SITES_MAX; i++) {
        blob_unref(a->part[i].view);
        free(a->part[i].v);
        free(a->part[i].chunks);
    }
    free(a);
}

void oracle_free(struct oracle *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->n_attempts; i++)
        attempt_free(o->attempts[i]);
    for (size_t i = 0; i < ORACLE_SITES_MAX; i++)
        blob_unref(o->commit[i]);
    ranges_deinit(&o->ranges);
    leak_free(o->leak);
    padbook_free(o->pads);
    free(o->attempts);
    free(o->released);
    free(o->tags);
    free(o->summed);
    free(o->model);
    free(o);
}
