/* SPDX-License-Identifier: Apache-2.0 */
#include "server/draft.h"

#include "common/sha256.h"
#include "common/util.h"

/* Everything that the message points to, so that it is freed in one go. */
struct parts {
    View__Member *members;
    View__Member **member_list;
    View__Edge *edges;
    View__Edge **edge_list;
};

static void parts_deinit(struct parts *p)
{
    free(p->members);
    free(p->member_list);
    free(p->edges);
    free(p->edge_list);
}

struct quantiser draft_quantiser(const Fed__Params *params, uint32_t k)
{
    return (struct quantiser){.q = params->q,
        .participants = k,
        .parameters = params->parameters,
        .chunk_words = params->chunk_words,
        .clip = params->clip,
        .rounding = (enum rounding)params->rounding};
}

uint64_t draft_need(const Fed__Params *params)
{
    struct quantiser z = draft_quantiser(params, 1);
    return view_edge_bytes(quantiser_words(&z), z.q);
}

static bool parts_init(struct parts *p, uint32_t k)
{
    size_t edges = (size_t)k * (k - 1) / 2;
    *p = (struct parts){
        .members = calloc(k, sizeof(*p->members)),
        .member_list = calloc(k, sizeof(View__Member *)),
        .edges = calloc(edges, sizeof(*p->edges)),
        .edge_list = calloc(edges, sizeof(View__Edge *)),
    };
    return p->members && p->member_list && p->edges && p->edge_list;
}

static void fill_members(const struct draft *d, struct parts *p, View__View *view)
{
    for (uint32_t i = 0; i < d->k; i++) {
        view__member__init(&p->members[i]);
        p->members[i].site = (char *)d->sites[i];
        p->members[i].samples = d->samples[i];
        p->member_list[i] = &p->members[i];
    }
    view->members = p->member_list;
    view->n_members = d->k;
}

static void fill_edges(const struct draft *d, struct parts *p, View__View *view)
{
    size_t n = 0;
    for (uint32_t low = 0; low < d->k; low++)
        for (uint32_t high = low + 1; high < d->k; high++) {
            if (!graph_has(d->graph, low, high))
                continue;
            const struct pair *pair = &d->pairs[(size_t)low * d->k + high];
            View__Edge *edge = &p->edges[n];
            view__edge__init(edge);
            edge->low = low;
            edge->high = high;
            edge->stream = (ProtobufCBinaryData){FED_STREAM_BYTES, (uint8_t *)pair->stream};
            edge->start = pair->start;
            edge->length = draft_need(d->params);
            p->edge_list[n++] = edge;
        }
    view->edges = p->edge_list;
    view->n_edges = n;
}

static void fill_head(const struct draft *d, View__View *view)
{
    struct quantiser z = draft_quantiser(d->params, d->k);
    view->run = (ProtobufCBinaryData){FED_RUN_BYTES, (uint8_t *)d->run};
    view->round = d->round;
    view->attempt = d->attempt;
    view->previous = (ProtobufCBinaryData){SHA256_BYTES, (uint8_t *)d->previous};
    view->model_hash = (ProtobufCBinaryData){SHA256_BYTES, (uint8_t *)d->model_hash};
    view->q = z.q;
    view->words = quantiser_words(&z);
    view->parameters = z.parameters;
    view->clip = z.clip;
    view->rounding = (uint32_t)z.rounding;
    view->canaries = QUANTISER_CANARIES_ENDS;
    view->chunk_words = z.chunk_words;
    view->weights = VIEW_WEIGHTS_SAMPLES;
}

struct blob *draft_view(const struct draft *d)
{
    cleanup(parts_deinit) struct parts p;
    if (!parts_init(&p, d->k))
        return NULL;
    View__Component component = VIEW__COMPONENT__INIT;
    component.tolerance = d->tolerance;
    View__Component *components[] = {&component};
    View__View view = VIEW__VIEW__INIT;
    fill_head(d, &view);
    view.components = components;
    view.n_components = 1;
    fill_members(d, &p, &view);
    fill_edges(d, &p, &view);
    return view_encode(&view);
}
