/* SPDX-License-Identifier: Apache-2.0 */
/* A view that tests build, bend and encode: by default a complete graph over the sites given. */
#pragma once

#include "proto/view.h"

#define PLAN_SITES_MAX 12
#define PLAN_EDGES_MAX (PLAN_SITES_MAX * (PLAN_SITES_MAX - 1) / 2)

struct plan {
    View__View view;
    View__Component component;
    View__Member members[PLAN_SITES_MAX];
    View__Edge edges[PLAN_EDGES_MAX];
    View__Component *component_list[1];
    View__Member *member_list[PLAN_SITES_MAX];
    View__Edge *edge_list[PLAN_EDGES_MAX];
    uint8_t run[16], previous[32], model_hash[32];
    uint8_t streams[PLAN_EDGES_MAX][16];
};

struct plan_terms {
    uint64_t round, attempt;
    unsigned q;
    uint32_t parameters, chunk_words;
    double clip;
    enum rounding rounding;
};

/* `sites` sorted; `starts` by edge in the order (0,1), (0,2), ..., or NULL for zeros. T = n - 2. */
void plan_init(struct plan *p, const struct plan_terms *t, const char *const *sites,
    const uint64_t *samples, size_t n, const uint64_t *starts);
/* Leaves the edge out. */
void plan_cut(struct plan *p, uint32_t low, uint32_t high);
View__Edge *plan_edge(struct plan *p, uint32_t low, uint32_t high);
/* After q, parameters or chunk size were changed: words and lengths that fit them. */
void plan_fit(struct plan *p);
