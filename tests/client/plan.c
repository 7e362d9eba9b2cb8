/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/client/plan.h"

#include "common/util.h"
#include "tests/client/fake_vault.h"

#include <assert.h>

static void add_edge(struct plan *p, uint32_t low, uint32_t high, uint64_t start)
{
    size_t i = p->view.n_edges++;
    view__edge__init(&p->edges[i]);
    fake_vault_id(p->members[low].site, p->members[high].site, p->streams[i]);
    p->edges[i].low = low;
    p->edges[i].high = high;
    p->edges[i].stream = (ProtobufCBinaryData){16, p->streams[i]};
    p->edges[i].start = start;
    p->edge_list[i] = &p->edges[i];
}

static void add_sites(struct plan *p, const char *const *sites, const uint64_t *samples, size_t n)
{
    assert(n <= PLAN_SITES_MAX);
    for (size_t i = 0; i < n; i++) {
        view__member__init(&p->members[i]);
        p->members[i].site = (char *)sites[i];
        p->members[i].samples = samples[i];
        p->member_list[i] = &p->members[i];
    }
    p->view.members = p->member_list;
    p->view.n_members = n;
}

void plan_fit(struct plan *p)
{
    struct quantiser z = view_quantiser(&p->view);
    p->view.words = quantiser_words(&z);
    for (size_t i = 0; i < p->view.n_edges; i++)
        p->view.edges[i]->length = view_edge_bytes(p->view.words, p->view.q);
}

void plan_init(struct plan *p, const struct plan_terms *t, const char *const *sites,
    const uint64_t *samples, size_t n, const uint64_t *starts)
{
    memset(p, 0, sizeof(*p));
    view__view__init(&p->view);
    memset(p->run, 'r', sizeof(p->run));
    p->view.run = (ProtobufCBinaryData){16, p->run};
    p->view.previous = (ProtobufCBinaryData){32, p->previous};
    p->view.model_hash = (ProtobufCBinaryData){32, p->model_hash};
    p->view.round = t->round;
    p->view.attempt = t->attempt;
    p->view.q = t->q;
    p->view.parameters = t->parameters;
    p->view.chunk_words = t->chunk_words;
    p->view.clip = t->clip;
    p->view.rounding = t->rounding;
    p->view.canaries = QUANTISER_CANARIES_ENDS;
    p->view.weights = VIEW_WEIGHTS_SAMPLES;
    view__component__init(&p->component);
    p->component.tolerance = (uint32_t)n - 2;
    p->component_list[0] = &p->component;
    p->view.components = p->component_list;
    p->view.n_components = 1;
    add_sites(p, sites, samples, n);
    p->view.edges = p->edge_list;
    for (uint32_t low = 0; low < n; low++)
        for (uint32_t high = low + 1; high < n; high++)
            add_edge(p, low, high, starts ? starts[p->view.n_edges] : 0);
    plan_fit(p);
}

View__Edge *plan_edge(struct plan *p, uint32_t low, uint32_t high)
{
    for (size_t i = 0; i < p->view.n_edges; i++)
        if (p->view.edges[i]->low == low && p->view.edges[i]->high == high)
            return p->view.edges[i];
    return NULL;
}

void plan_cut(struct plan *p, uint32_t low, uint32_t high)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->view.n_edges; i++)
        if (p->view.edges[i]->low != low || p->view.edges[i]->high != high)
            p->view.edges[kept++] = p->view.edges[i];
    p->view.n_edges = kept;
}
