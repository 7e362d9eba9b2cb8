/* SPDX-License-Identifier: Apache-2.0 */
#include "common/graph.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>

int graph_init(struct graph *g, uint32_t n)
{
    *g = (struct graph){0};
    if (n > GRAPH_NODES_MAX)
        return -EINVAL;
    g->adjacent = calloc(MAX((size_t)n * n, (size_t)1), 1);
    if (!g->adjacent)
        return -ENOMEM;
    g->n = n;
    return 0;
}

void graph_deinit(struct graph *g)
{
    free(g->adjacent);
    *g = (struct graph){0};
}

void graph_add(struct graph *g, uint32_t u, uint32_t v)
{
    assert(u < g->n && v < g->n && u != v);
    g->adjacent[(size_t)u * g->n + v] = 1;
    g->adjacent[(size_t)v * g->n + u] = 1;
}

bool graph_has(const struct graph *g, uint32_t u, uint32_t v)
{
    assert(u < g->n && v < g->n);
    return g->adjacent[(size_t)u * g->n + v];
}

void graph_complete(struct graph *g)
{
    for (uint32_t u = 0; u < g->n; u++)
        for (uint32_t v = u + 1; v < g->n; v++)
            graph_add(g, u, v);
}

uint32_t graph_degree(const struct graph *g, uint32_t u)
{
    uint32_t degree = 0;
    for (uint32_t v = 0; v < g->n; v++)
        degree += graph_has(g, u, v);
    return degree;
}

/* ---- fans -------------------------------------------------------------------------------------- *
 *
 * A fan: paths from one node to different targets that share nothing but their start. Each node is
 * split into an entrance 2v and an exit 2v+1, joined by one passage; paths are augmented one at a time
 * (Menger's theorem by unit flows). */

enum { ROOT = -1, UNSEEN = -2 };

struct fan {
    const struct graph *g;
    uint32_t from;
    uint32_t banned;       /* node that no path may use, or g->n */
    const uint8_t *target; /* borrowed, n flags */
    uint8_t *flow;         /* owned, n x n: a path goes u -> v */
    uint8_t *passed;       /* owned, n: a path goes through v */
    uint8_t *ended;        /* owned, n: a path ends at target v */
    int32_t *parent;       /* owned, 2n: where the search came from */
    uint32_t *queue;       /* owned, 2n */
};

static void fan_deinit(struct fan *f)
{
    free(f->flow);
    free(f->passed);
    free(f->ended);
    free(f->parent);
    free(f->queue);
}

static int fan_init(struct fan *f, const struct graph *g)
{
    size_t n = MAX(g->n, 1u);
    *f = (struct fan){.g = g,
        .flow = malloc(n * n),
        .passed = malloc(n),
        .ended = malloc(n),
        .parent = malloc(2 * n * sizeof(int32_t)),
        .queue = malloc(2 * n * sizeof(uint32_t))};
    if (f->flow && f->passed && f->ended && f->parent && f->queue)
        return 0;
    fan_deinit(f);
    return -ENOMEM;
}

static uint32_t entrance(uint32_t v)
{
    return 2 * v;
}

static uint32_t exit_of(uint32_t v)
{
    return 2 * v + 1;
}

static void visit(struct fan *f, uint32_t side, int32_t parent, uint32_t *tail)
{
    if (f->parent[side] != UNSEEN)
        return;
    f->parent[side] = parent;
    f->queue[(*tail)++] = side;
}

static void visit_from_exit(struct fan *f, uint32_t v, uint32_t *tail)
{
    const uint8_t *adjacent = f->g->adjacent + (size_t)v * f->g->n;
    const uint8_t *flow = f->flow + (size_t)v * f->g->n;
    for (uint32_t w = 0; w < f->g->n; w++)
        if (adjacent[w] && !flow[w] && w != f->banned && w != f->from)
            visit(f, entrance(w), (int32_t)exit_of(v), tail);
    if (v != f->from && f->passed[v])
        visit(f, entrance(v), (int32_t)exit_of(v), tail);
}

static void visit_from_entrance(struct fan *f, uint32_t v, uint32_t *tail)
{
    if (!f->passed[v])
        visit(f, exit_of(v), (int32_t)entrance(v), tail);
    for (uint32_t w = 0; w < f->g->n; w++)
        if (f->flow[(size_t)w * f->g->n + v])
            visit(f, exit_of(w), (int32_t)entrance(v), tail);
}

/* Breadth first from the start; the exit of a free target, or UNSEEN. */
static int32_t search(struct fan *f)
{
    for (uint32_t i = 0; i < 2 * f->g->n; i++)
        f->parent[i] = UNSEEN;
    uint32_t head = 0, tail = 0;
    visit(f, exit_of(f->from), ROOT, &tail);
    while (head < tail) {
        uint32_t side = f->queue[head++], v = side / 2;
        if (side == entrance(v)) {
            visit_from_entrance(f, v, &tail);
            continue;
        }
        if (v != f->from && f->target[v] && !f->ended[v])
            return (int32_t)side;
        visit_from_exit(f, v, &tail);
    }
    return UNSEEN;
}

/* Turns the path just found into flow, from its end to the start. */
static void augment(struct fan *f, int32_t end)
{
    f->ended[end / 2] = 1;
    for (int32_t to = end; f->parent[to] != ROOT; to = f->parent[to]) {
        int32_t from = f->parent[to];
        size_t u = (size_t)from / 2, v = (size_t)to / 2, n = f->g->n;
        if (u == v)
            f->passed[v] = (uint32_t)to == exit_of((uint32_t)v);
        else if ((uint32_t)from == exit_of((uint32_t)u))
            f->flow[u * n + v] = 1;
        else
            f->flow[v * n + u] = 0;
    }
}

static uint32_t fan_count(
    struct fan *f, uint32_t from, uint32_t banned, const uint8_t *target, uint32_t limit)
{
    size_t n = f->g->n;
    f->from = from;
    f->banned = banned;
    f->target = target;
    memset(f->flow, 0, n * n);
    memset(f->passed, 0, n);
    memset(f->ended, 0, n);
    uint32_t paths = 0;
    for (; paths < limit; paths++) {
        int32_t end = search(f);
        if (end == UNSEEN)
            break;
        augment(f, end);
    }
    return paths;
}

/* ---- connectivity ------------------------------------------------------------------------------ */

/* Paths from u to the neighbours of v that avoid v, and the edge u-v itself. */
static uint32_t local_count(struct fan *f, uint32_t u, uint32_t v, uint32_t limit)
{
    uint32_t edge = graph_has(f->g, u, v);
    if (edge >= limit)
        return limit;
    return edge + fan_count(f, u, v, f->g->adjacent + (size_t)v * f->g->n, limit - edge);
}

int graph_local_connectivity(const struct graph *g, uint32_t u, uint32_t v, uint32_t limit)
{
    assert(u < g->n && v < g->n && u != v);
    struct fan f;
    int r = fan_init(&f, g);
    if (r < 0)
        return r;
    uint32_t paths = local_count(&f, u, v, limit);
    fan_deinit(&f);
    return (int)paths;
}

/* Nodes of `set` (n flags) that are neighbours of v: paths of length 1 or 2, found without a search. */
static uint32_t common_neighbours(const struct graph *g, uint32_t v, const uint8_t *set)
{
    const uint8_t *adjacent = g->adjacent + (size_t)v * g->n;
    uint32_t n = 0;
    for (uint32_t w = 0; w < g->n; w++)
        n += adjacent[w] & set[w];
    return n;
}

static bool has_degrees(const struct graph *g, uint32_t k)
{
    for (uint32_t v = 0; v < g->n; v++)
        if (graph_degree(g, v) < k)
            return false;
    return true;
}

/* S. Even's test: fewer than k nodes separate the graph if and only if they separate two of the first k
 * nodes, or some node v_j from all nodes before it. */
static bool is_connected(struct fan *f, uint32_t k)
{
    const struct graph *g = f->g;
    uint8_t before[GRAPH_NODES_MAX] = {0};
    for (uint32_t v = 0; v < g->n; v++) {
        for (uint32_t u = 0; v < k && u < v; u++) {
            const uint8_t *near = g->adjacent + (size_t)u * g->n;
            if (!graph_has(g, u, v) && common_neighbours(g, v, near) < k &&
                local_count(f, u, v, k) < k)
                return false;
        }
        if (v >= k && common_neighbours(g, v, before) < k && fan_count(f, v, g->n, before, k) < k)
            return false;
        before[v] = 1;
    }
    return true;
}

int graph_is_connected(const struct graph *g, uint32_t k)
{
    if (k == 0)
        return 1;
    if (g->n < k + 1 || !has_degrees(g, k))
        return 0;
    struct fan f;
    int r = fan_init(&f, g);
    if (r < 0)
        return r;
    bool yes = is_connected(&f, k);
    fan_deinit(&f);
    return yes;
}
