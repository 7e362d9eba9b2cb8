/* SPDX-License-Identifier: Apache-2.0 */
/* One simulated federation: a server and 3 to 5 sites of client, vault and KME, all drawn from a seed:
 * size of the model, bits per word, chunks, weights, deadlines. */
#pragma once

#include "tests/sim/keysource.h"
#include "tests/sim/nodes.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

struct federation {
    struct world *world;    /* owned, with all nodes */
    struct oracle *oracle;  /* owned */
    struct keysource *keys; /* owned */
    size_t n;               /* sites */
    const char *sites[ORACLE_SITES_MAX];
    const char *peers[ORACLE_SITES_MAX][ORACLE_SITES_MAX]; /* the others, by site */
    uint64_t samples[ORACLE_SITES_MAX];
    size_t may_roll_back; /* the site whose vault may, or SIZE_MAX */
    struct node *server;
    struct node *clients[ORACLE_SITES_MAX];
    struct node *vaults[ORACLE_SITES_MAX];
    struct node *kmes[ORACLE_SITES_MAX];
    Fed__Params params;
    double *model; /* owned */
};

/* What a test may put in the place of a real core. Any member may be NULL. */
struct federation_parts {
    struct node *(*server)(struct world *w, const struct aggregator_config *config);
    struct node *(*client)(struct world *w, const struct client_setting *setting);
    struct node *(*vault)(struct world *w, const struct vault_setting *setting);
};

/* Builds it in calm weather; nothing has happened yet but the nodes' first boot. */
struct federation *federation_new(uint64_t seed, const struct federation_parts *parts);
void federation_free(struct federation *f);
