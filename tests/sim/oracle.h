/* SPDX-License-Identifier: Apache-2.0 */
/* Watches a federation and knows what must never happen: the invariants of aggregation.md section 4.
 *
 * 1, 2, 3, 5, 8, 9 and the accounting of 6 are checked at every frame and step; 6 at rest by
 * oracle_at_rest. It decodes frames with protobuf-c itself and trusts no core. A violation ends the
 * story (world_violation).
 */
#pragma once

#include "proto/fed.pb-c.h"
#include "tests/sim/world.h"

#define ORACLE_SITES_MAX 8

struct oracle;

struct oracle_setting {
    struct world *world;
    const char *const *sites; /* sorted, kept until free */
    size_t n;
    struct node *const *server;  /* these three are filled in later, before anything happens */
    struct node *const *clients; /* by site; NULL: not an honest one, nothing is asked of it */
    struct node *const *vaults;
    uint32_t k_min, t_min;
    const uint64_t *samples; /* by site */
    uint32_t parameters;
    const double *model; /* the first one */
};

/* Becomes the world's watcher. */
struct oracle *oracle_new(const struct oracle_setting *setting);
void oracle_free(struct oracle *o);

/* For participant_config: arg is what oracle_hook gives for the site. */
void oracle_on_quantised(void *arg, uint64_t round, uint64_t attempt, const int64_t *v, uint32_t n);
void *oracle_hook(struct oracle *o, size_t site);

/* Everything is quiet and connected: both ends of every stream must agree. */
void oracle_at_rest(struct oracle *o);

/* Published sums checked so far. */
size_t oracle_sums(const struct oracle *o);
