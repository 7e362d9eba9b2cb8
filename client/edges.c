/* SPDX-License-Identifier: Apache-2.0 */
#include "client/edges.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>

static void add_edge(struct edges *s, const View__View *view, const View__Edge *edge)
{
    uint32_t other = edge->low == s->self ? edge->high : edge->low;
    s->list[s->n++] = (struct edge){
        .member = other,
        .peer = view->members[other]->site,
        .stream = edge->stream.data,
        .start = edge->start,
        .length = edge->length,
    };
}

int edges_init(struct edges *s, const View__View *view, uint32_t self)
{
    *s = (struct edges){.self = self};
    s->list = calloc(MAX(view->n_edges, (size_t)1), sizeof(*s->list));
    if (!s->list)
        return -ENOMEM;
    for (size_t i = 0; i < view->n_edges; i++)
        if (view->edges[i]->low == self || view->edges[i]->high == self)
            add_edge(s, view, view->edges[i]);
    int r = secret_init(&s->heads, s->n * VIEW_HEAD_BYTES);
    if (r < 0)
        edges_deinit(s);
    return r;
}

void edges_forget_heads(struct edges *s)
{
    secret_deinit(&s->heads);
}

void edges_deinit(struct edges *s)
{
    edges_forget_heads(s);
    free(s->list);
    *s = (struct edges){0};
}

bool edges_adds(const struct edges *s, uint32_t range)
{
    return s->list[range].member > s->self;
}

void edges_add_head(struct edges *s, uint8_t head[VIEW_HEAD_BYTES])
{
    assert(s->n_heads < s->n && s->heads.data);
    memcpy(s->heads.data + s->n_heads++ * VIEW_HEAD_BYTES, head, VIEW_HEAD_BYTES);
    secret_wipe(head, VIEW_HEAD_BYTES);
}

bool edges_has_heads(const struct edges *s)
{
    return s->n_heads == s->n;
}

/* The tag in one direction of the edge. */
static void edge_tag(const struct edges *s, uint32_t range, const uint8_t *view, size_t len,
    bool is_mine, uint8_t tag[GF128_BYTES])
{
    const uint8_t *key = s->heads.data + range * VIEW_HEAD_BYTES;
    uint32_t from = is_mine ? s->self : s->list[range].member;
    uint32_t to = is_mine ? s->list[range].member : s->self;
    const uint8_t *pad = key + VIEW_KEY_BYTES + (from < to ? 0 : GF128_BYTES);
    view_tag(view, len, from, to, key, pad, tag);
}

void edges_sign(struct edges *s, const uint8_t *view, size_t len)
{
    assert(edges_has_heads(s) && s->heads.data);
    for (uint32_t i = 0; i < s->n; i++)
        edge_tag(s, i, view, len, true, s->list[i].mine);
}

int edges_hear(struct edges *s, const char *peer, const uint8_t tag[GF128_BYTES])
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct edge *edge = &s->list[i];
        if (strcmp(edge->peer, peer) != 0)
            continue;
        if (!edge->is_heard)
            memcpy(edge->theirs, tag, GF128_BYTES);
        edge->is_heard = true;
        return 0;
    }
    return EDGES_E_STRANGER;
}

int edges_verify(struct edges *s, const uint8_t *view, size_t len, const char **peer)
{
    if (!edges_has_heads(s) || !s->heads.data)
        return 0;
    for (uint32_t i = 0; i < s->n; i++) {
        struct edge *edge = &s->list[i];
        uint8_t expected[GF128_BYTES];
        if (!edge->is_heard || edge->is_verified)
            continue;
        edge_tag(s, i, view, len, false, expected);
        edge->is_verified = secret_equal(expected, edge->theirs, GF128_BYTES);
        secret_wipe(expected, sizeof(expected));
        *peer = edge->peer;
        if (!edge->is_verified)
            return EDGES_E_WRONG;
    }
    return 0;
}

bool edges_is_confirmed(const struct edges *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (!s->list[i].is_verified)
            return false;
    return s->n > 0;
}
