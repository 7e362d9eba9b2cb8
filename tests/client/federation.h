/* SPDX-License-Identifier: Apache-2.0 */
/* The real aggregator and four real participants in memory, with fake vaults and no weather.
 *
 * Frames travel in order and without delay; time passes when nothing is on its way. One disturbance at
 * the n-th delivery: a connection breaks, a client or the server dies and is back at once. tests/sim
 * has the weather; this finds where two cores read the protocol differently.
 */
#pragma once

#include "client/participant.h"
#include "server/aggregator.h"
#include "tests/client/fake_trainer.h"
#include "tests/client/fake_vault.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/store_sim.h"

#define FEDERATION_SITES      4
#define FEDERATION_PARAMETERS 20
#define FEDERATION_ROUNDS     3
#define FEDERATION_NOTES_MAX  64

enum disturbance { CALM, BREAK_LINK, BREAK_VAULT, KILL_CLIENT, KILL_SERVER };

struct delivery {
    struct node *node; /* NULL: to the server */
    struct event event;
    struct blob *body; /* owned, frames */
};

/* What one client put into one attempt. */
struct contribution {
    uint64_t attempt;
    uint64_t training;
    int64_t v[FEDERATION_PARAMETERS];
};

struct node {
    struct federation *federation;
    size_t index;
    const char *peers[FEDERATION_SITES - 1];
    struct participant_config config;
    struct participant *p;
    struct disk_sim *disk;
    struct fake_vault vault;
    struct fake_trainer trainer;
    uint32_t server, pool; /* connections, 0: down */
    struct job *job;
    struct contribution given[FEDERATION_NOTES_MAX];
    size_t n_given;
    struct {
        uint64_t attempt, training;
    } released[FEDERATION_NOTES_MAX];
    size_t n_released;
};

struct federation {
    struct node nodes[FEDERATION_SITES];
    struct aggregator *aggregator;
    struct aggregator_config config;
    struct store_sim *store;
    Fed__Params params;
    double model[FEDERATION_PARAMETERS];
    uint64_t now_ms;
    uint32_t conns;
    struct delivery *queue; /* owned */
    size_t head, tail, cap;
    uint64_t delivered;
    enum disturbance disturbance;
    uint64_t disturb_at; /* delivery */
    size_t victim;
    bool is_loud;
};

extern const char *const federation_sites[FEDERATION_SITES];

void federation_init(struct federation *f, uint64_t seed);
void federation_deinit(struct federation *f);
/* Until the run has ended and everything is quiet, or `limit_ms` of virtual time have passed: false. */
bool federation_run(struct federation *f, uint64_t limit_ms);
