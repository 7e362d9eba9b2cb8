/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file of qfl-client (/etc/qfl/client.yaml) as a struct. */
#pragma once

#include "client/policy.h"
#include "client/tasks/task.h"
#include "common/config.h"
#include "common/config_tls.h"
#include "common/daemon.h"

enum client_runs { CLIENT_RUNS_ASK, CLIENT_RUNS_ANY };

struct client_policy_config {
    uint64_t k_min, t_min;
    int runs;   /* enum client_runs */
    char *task; /* NULL: that of the section task */
    uint64_t q_min, q_max;
    double clip_max;
    bool strict;
    uint64_t key_budget_mbit_per_hour; /* 0: default of client/budget.h */
};

struct client_task_config {
    char *name;
    char *data; /* folder; NULL: QFL_DATA */
    uint64_t shard, shards, samples, seed;
    /* options; NULL: default */
    char *ansatz, *layers, *target, *generators, *sampler, *pair, *split, *parameters;
};

struct client_trainer_config {
    int name; /* index of trainer_names */
};

struct client_config {
    char *federation, *site, *server;
    struct config_tls tls;
    char *keypool, *state, *control, *seed;
    struct config_list peers; /* char * */
    struct client_policy_config policy;
    struct client_task_config task;
    struct client_trainer_config trainer;
    char *hook_dir; /* NULL unless built with test_hooks */
    struct daemon_log log;
};

extern const struct config_field client_config_fields[];

/* What the schema cannot say. -EINVAL with a sentence that begins with the path. */
int client_config_check(const void *config, const char *path, struct err *e) must_check;

/* Borrowing from the configuration. */
struct policy client_config_policy(const struct client_config *c);

/* The peers, sorted: owned by the caller, the names borrowed. NULL if there is no memory. */
const char **client_config_peers(const struct client_config *c) must_check;

/* Opens this site's shard. Errors of task_open. */
int client_config_open_task(
    const struct client_config *c, struct task **out, struct err *e) must_check;
