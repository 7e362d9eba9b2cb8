/* SPDX-License-Identifier: Apache-2.0 */
/* The unmodified cores as nodes of the world: aggregator, participant, vault, each with its storage. */
#pragma once

#include "client/participant.h"
#include "keypool/vault/vault.h"
#include "server/aggregator.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/store_sim.h"
#include "tests/sim/trainer_sim.h"
#include "tests/sim/world.h"

/* ---- the server ---- */

/* `config` is copied; what it points to is kept until free. The seed of run ids is drawn at boot. */
struct node *server_node_new(struct world *w, const struct aggregator_config *config);
struct store_sim *server_node_store(const struct node *n);
/* NULL while the node is down. */
const struct aggregator *server_node_core(const struct node *n);

/* ---- a client ---- */

struct client_setting {
    const char *site;
    const char *const *peers; /* the others, sorted */
    size_t n_peers;
    struct policy policy;
    uint32_t parameters;
    uint64_t samples;
    double amplitude; /* of its updates */
    void (*on_quantised)(void *arg, uint64_t round, uint64_t attempt, const int64_t *v, uint32_t n);
    void *on_quantised_arg;
};
struct node *client_node_new(struct world *w, const struct client_setting *setting);
const struct participant *client_node_core(const struct node *n);
struct trainer_sim *client_node_trainer(const struct node *n);
struct disk_sim *client_node_disk(const struct node *n);

/* ---- a vault ---- */

struct vault_setting {
    const char *site;
    const struct vault_pairing *pairings; /* enrolled at the first boot, not used later */
    size_t n_pairings;
    uint64_t capacity_bytes;
    bool
        may_roll_back; /* by FAULT_ROLLBACK: then its pairs are broken until they are paired anew */
};
struct node *vault_node_new(struct world *w, const struct vault_setting *setting);
const struct vault *vault_node_core(const struct node *n);
struct disk_sim *vault_node_disk(const struct node *n);
/* An older disk has been put under it. */
bool vault_node_has_rolled_back(const struct node *n);
