/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated network: users on the loop, and a link for each pair of them that has parameters.
 *
 * A pair's parameters come from the first of: a rule for the pair, the paper's network (for alice,
 * bob, charlie and david), the default link. A pair with none has no link. Users may come and go
 * while the simulator runs; a link keeps its accounts as long as both its users stay.
 */
#pragma once

#include "common/rng.h"
#include "keypool/qkd/eve_lies.h"
#include "keypool/qkd/eve.h"
#include "proto/link.h"

#define SIM_USERS_MAX  256
#define SIM_GRANTS_MAX 8 /* outstanding per end of a link */

struct sim_rule {
    const char *a, *b; /* in any order */
    struct link_params params;
    bool takes_losses; /* eta from the users' losses, where both are known */
};

/* From one user to Eve, fibre and modulators. */
struct sim_loss {
    const char *user;
    double loss_db;
};

struct sim_topology_config {
    const char *const *users;
    size_t n_users;
    const struct sim_rule *rules; /* borrowed for the life of the topology */
    size_t n_rules;
    const char *network;                /* "paper-3", "paper-4"; NULL: none */
    const struct link_params *fallback; /* the default link; NULL: none. Borrowed like the rules */
    const struct sim_loss *losses;      /* borrowed likewise; of the default link's pairs, too */
    size_t n_losses;
    double eve; /* transmittance of Eve's optics and detector, with the losses */
};

struct sim_user {
    char name[SITE_NAME_MAX + 1];
    uint32_t conn; /* of its KME; 0: none */
    bool welcomed;
    struct link link;
};

/* One end's outstanding grants, oldest first: how many bytes each has room for (0: any). */
struct sim_grants {
    uint64_t max_bytes[SIM_GRANTS_MAX];
    size_t n;
};

/* What is done to a link, by switches of the operator. */
struct sim_attack {
    struct eve light;
    enum eve_lie lie;
};

struct sim_link {
    struct sim_user *user[2]; /* in the order of their names */
    struct link_params params;
    struct sim_attack attack;  /* of blocks that begin from now on */
    struct sim_attack running; /* of the block being acquired */
    struct sim_grants grants[2];
    bool acquiring;
    double begun_ms;         /* when what is being acquired has begun */
    double due_ms;           /* when it is complete; then: when it was */
    struct sim_block *block; /* owned; of raw clicks, under way; NULL: none */
    uint64_t prefill_bytes;  /* still to be delivered at once */
    uint64_t blocks;
    uint64_t empty_blocks; /* level rate: acquired, but without key */
    uint64_t off_blocks;   /* of raw clicks: broken off */
    uint64_t key_bytes;    /* level rate */
    uint64_t events;       /* of raw clicks: drawn in complete blocks */
    double last_qber;
    struct keyrate_counts drawn; /* of the last complete block of raw clicks, the truth */
};

/* Transmittance of one arm. The light of both users goes through the same loop and arrives equally
 * strong: the arm of a pair has the mean of the two losses. */
double sim_eta(double loss_db, double eve);

struct sim_topology;

/* -EINVAL with a sentence: a name that is none, twice the same, a rule for a stranger or without
 * effect, parameters out of range. */
int sim_topology_new(struct sim_topology **out, const struct sim_topology_config *config,
    uint64_t prefill_bytes, struct err *e) must_check;
void sim_topology_free(struct sim_topology *t);

/* -EINVAL with a sentence; the new user's links are those the configuration gives it. */
int sim_topology_add(struct sim_topology *t, const char *name, struct err *e) must_check;
int sim_topology_remove(struct sim_topology *t, const char *name, struct err *e) must_check;

size_t sim_topology_users(const struct sim_topology *t);
struct sim_user *sim_topology_user(const struct sim_topology *t, size_t i);
struct sim_user *sim_topology_find_user(const struct sim_topology *t, const char *name);
size_t sim_topology_links(const struct sim_topology *t);
struct sim_link *sim_topology_link(const struct sim_topology *t, size_t i);
/* NULL if the two have no link. */
struct sim_link *sim_topology_find_link(
    const struct sim_topology *t, const struct sim_user *a, const char *b);
/* Counts that a block of the link is expected to have under that light. */
struct keyrate_counts sim_link_expect(
    const struct link_params *p, const struct eve *light, double pulses);
/* The user's end of its link: 0 or 1. */
int sim_link_end(const struct sim_link *l, const struct sim_user *user);
