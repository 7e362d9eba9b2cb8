/* SPDX-License-Identifier: Apache-2.0 */
/* The mask graph over the participants of an attempt.
 *
 * The server and any T colluding clients learn only the sum of the others, for every such coalition,
 * if and only if the graph is (T+1)-vertex-connected (aggregation.md section 2).
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define GRAPH_NODES_MAX 1024

struct graph {
    uint32_t n;
    uint8_t *adjacent; /* owned, n x n */
};

/* No edges. -EINVAL above GRAPH_NODES_MAX, -ENOMEM. */
int graph_init(struct graph *g, uint32_t n) must_check;
void graph_deinit(struct graph *g);
void graph_add(struct graph *g, uint32_t u, uint32_t v);
bool graph_has(const struct graph *g, uint32_t u, uint32_t v);
void graph_complete(struct graph *g);
uint32_t graph_degree(const struct graph *g, uint32_t u);

/* Vertex-disjoint u-v paths, counted up to `limit` (an edge u-v counts as one). -ENOMEM. */
int graph_local_connectivity(
    const struct graph *g, uint32_t u, uint32_t v, uint32_t limit) must_check;
/* > 0 if kappa(G) >= k, 0 if not; a complete graph of n nodes has kappa n-1. At most n + k^2/2 searches
 * for k paths each; complete and nearly complete graphs need none. -ENOMEM. */
int graph_is_connected(const struct graph *g, uint32_t k) must_check;
