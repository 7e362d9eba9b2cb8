/* SPDX-License-Identifier: Apache-2.0 */
#include "client/config.h"

#include "client/trainers/trainers.h"
#include "common/identity.h"
#include "common/util.h"

#include <errno.h>

static const char *const runs_choices[] = {"ask", "any", NULL};

/* ---- the table -------------------------------------------------------------------------------- */

static const struct config_field policy_fields[] = {
    {.key = "k_min",
        .type = CONFIG_U64,
        .offset = offsetof(struct client_policy_config, k_min),
        .help = "least number of participants",
        .fallback = "3",
        .min = 3,
        .max = FED_SITES_MAX},
    {.key = "t_min",
        .type = CONFIG_U64,
        .offset = offsetof(struct client_policy_config, t_min),
        .help = "colluders that the mask graph must bear at least",
        .fallback = "1",
        .max = FED_SITES_MAX},
    {.key = "runs",
        .type = CONFIG_ENUM,
        .offset = offsetof(struct client_policy_config, runs),
        .help = "ask: a new run waits for qflctl approve; any: it does not",
        .fallback = "ask",
        .choices = runs_choices},
    {.key = "task",
        .type = CONFIG_STRING,
        .offset = offsetof(struct client_policy_config, task),
        .help = "what a run must train, by default the task of this file"},
    {.key = "q_min",
        .type = CONFIG_U64,
        .offset = offsetof(struct client_policy_config, q_min),
        .help = "least bits per word",
        .fallback = "4",
        .min = 2,
        .max = 32},
    {.key = "q_max",
        .type = CONFIG_U64,
        .offset = offsetof(struct client_policy_config, q_max),
        .help = "most bits per word: key per round grows with it",
        .fallback = "32",
        .min = 2,
        .max = 32},
    {.key = "clip_max",
        .type = CONFIG_DOUBLE,
        .offset = offsetof(struct client_policy_config, clip_max),
        .help = "largest clip of a weighted update",
        .fallback = "1",
        .min_double = 1e-300,
        .max_double = 1e300},
    {.key = "strict",
        .type = CONFIG_BOOL,
        .offset = offsetof(struct client_policy_config, strict),
        .help = "after a released round was skipped: only with the same participants",
        .fallback = "false"},
    {.key = "key_budget_mbit_per_hour",
        .type = CONFIG_U64,
        .offset = offsetof(struct client_policy_config, key_budget_mbit_per_hour),
        .help = "key per peer that failed attempts may burn; 0: 8 Mbit or 64 attempts",
        .fallback = "0",
        .max = 1000000000},
    {0},
};

#define TASK_OPTION(name, text)                                                                    \
    {                                                                                              \
        .key = #name, .type = CONFIG_STRING, .offset = offsetof(struct client_task_config, name),  \
        .help = text                                                                               \
    }

static const struct config_field task_fields[] = {
    {.key = "name",
        .type = CONFIG_STRING,
        .offset = offsetof(struct client_task_config, name),
        .help = "entanglement, magic, mnist-qnn (qflctl task show)",
        .required = true},
    {.key = "data",
        .type = CONFIG_PATH,
        .offset = offsetof(struct client_task_config, data),
        .help = "folder of data files, by default QFL_DATA"},
    {.key = "shard",
        .type = CONFIG_U64,
        .offset = offsetof(struct client_task_config, shard),
        .help = "which part of the training data is this site's, from 0",
        .fallback = "0",
        .max = TASK_SHARDS_MAX - 1},
    {.key = "shards",
        .type = CONFIG_U64,
        .offset = offsetof(struct client_task_config, shards),
        .help = "parts in all",
        .fallback = "1",
        .min = 1,
        .max = TASK_SHARDS_MAX},
    {.key = "samples",
        .type = CONFIG_U64,
        .offset = offsetof(struct client_task_config, samples),
        .help = "training samples of this site; 0: the task's default",
        .fallback = "0",
        .max = TASK_SAMPLES_MAX},
    {.key = "seed",
        .type = CONFIG_U64,
        .offset = offsetof(struct client_task_config, seed),
        .help = "of the data: the same at all sites",
        .fallback = "1"},
    TASK_OPTION(ansatz, "of the circuit: RX-RY-RZ or RZ-RY-RZ"),
    TASK_OPTION(layers, "of the circuit"),
    TASK_OPTION(target, "of the two classes: plus and minus this"),
    TASK_OPTION(generators, "entanglement: own or published"),
    TASK_OPTION(sampler, "magic: biased or uniform"),
    TASK_OPTION(parameters, "idle: how many"),
    TASK_OPTION(pair, "mnist-qnn: two digits, 3-6"),
    TASK_OPTION(split, "mnist-qnn: iid, 80-60-40-20, one-class or sizes"),
    {0},
};

static const struct config_field trainer_fields[] = {
    {.key = "name",
        .type = CONFIG_ENUM,
        .offset = offsetof(struct client_trainer_config, name),
        .help = "what trains",
        .fallback = "qnn",
        .choices = trainer_names},
    {0},
};

const struct config_field client_config_fields[] = {
    {.key = "federation",
        .type = CONFIG_STRING,
        .offset = offsetof(struct client_config, federation),
        .help = "as in the certificates",
        .required = true},
    {.key = "site",
        .type = CONFIG_STRING,
        .offset = offsetof(struct client_config, site),
        .help = "own site",
        .required = true},
    {.key = "server",
        .type = CONFIG_STRING,
        .offset = offsetof(struct client_config, server),
        .help = "address:port of qfl-server",
        .required = true},
    CONFIG_TLS_FIELD(struct client_config, tls),
    {.key = "keypool",
        .type = CONFIG_PATH,
        .offset = offsetof(struct client_config, keypool),
        .help = "socket of the site's qfl-keypool",
        .fallback = "/run/qfl/keypool.sock"},
    {.key = "state",
        .type = CONFIG_PATH,
        .offset = offsetof(struct client_config, state),
        .help = "folder of what must survive a crash; never restore it from a backup",
        .fallback = "/var/lib/qfl/client"},
    {.key = "control",
        .type = CONFIG_PATH,
        .offset = offsetof(struct client_config, control),
        .help = "socket for qflctl",
        .fallback = "/run/qfl/client-ctl.sock"},
    {.key = "seed",
        .type = CONFIG_PATH,
        .offset = offsetof(struct client_config, seed),
        .help = "file of 32 bytes, mode 0600, for training and rounding; made at the first start",
        .fallback = "/var/lib/qfl/client.seed"},
    {.key = "peers",
        .type = CONFIG_LIST,
        .offset = offsetof(struct client_config, peers),
        .help = "the other enrolled sites; a view with a stranger is refused",
        .required = true,
        .min = 2,
        .max = FED_SITES_MAX - 1},
    {.key = "policy",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct client_config, policy),
        .help = "what this client insists on, whatever the server says",
        .fields = policy_fields},
    {.key = "task",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct client_config, task),
        .help = "what is trained, on which data",
        .required = true,
        .fields = task_fields},
    {.key = "trainer",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct client_config, trainer),
        .help = "how it is trained",
        .fields = trainer_fields},
    {.key = "hook_dir",
        .type = CONFIG_PATH,
        .offset = offsetof(struct client_config, hook_dir),
        .help = "builds with test_hooks only: where the quantised integers are written"},
    DAEMON_LOG_FIELD(struct client_config, log),
    {0},
};

/* ---- checks ----------------------------------------------------------------------------------- */

static const char *peer_at(const struct client_config *c, size_t i)
{
    return ((char **)c->peers.items)[i];
}

static int check_peer(const struct client_config *c, const char *path, size_t i, struct err *e)
{
    const char *peer = peer_at(c, i);
    if (!site_name_is_valid(peer))
        return err_set(e, -EINVAL, "%s: peers: \"%.80s\" is no name of a site", path, peer);
    if (strcmp(peer, c->site) == 0)
        return err_set(e, -EINVAL, "%s: peers: %s is this site itself", path, peer);
    for (size_t k = 0; k < i; k++)
        if (strcmp(peer_at(c, k), peer) == 0)
            return err_set(e, -EINVAL, "%s: peers: %s is named twice", path, peer);
    return 0;
}

static int check_policy(const struct client_config *c, const char *path, struct err *e)
{
    const struct client_policy_config *p = &c->policy;
    if (p->k_min > c->peers.n + 1)
        return err_set(e, -EINVAL, "%s: policy: k_min is %llu, but there are only %zu sites", path,
            (unsigned long long)p->k_min, c->peers.n + 1);
    if (p->t_min > c->peers.n - 1)
        return err_set(e, -EINVAL, "%s: policy: t_min is %llu, but %zu sites can bear %zu", path,
            (unsigned long long)p->t_min, c->peers.n + 1, c->peers.n - 1);
    if (p->q_min > p->q_max)
        return err_set(e, -EINVAL, "%s: policy: q_min is above q_max", path);
    return 0;
}

static int check_hooks(const struct client_config *c, const char *path, struct err *e)
{
#ifndef QFL_TEST_HOOKS
    if (c->hook_dir)
        return err_set(e, -EINVAL,
            "%s: hook_dir: this build has no test hooks and shows nobody its integers", path);
#endif
    return 0;
}

int client_config_check(const void *config, const char *path, struct err *e)
{
    const struct client_config *c = config;
    if (!site_name_is_valid(c->site))
        return err_set(e, -EINVAL, "%s: site: \"%.80s\" is no name of a site", path, c->site);
    for (size_t i = 0; i < c->peers.n; i++) {
        int r = check_peer(c, path, i, e);
        if (r < 0)
            return r;
    }
    if (c->task.shard >= c->task.shards)
        return err_set(e, -EINVAL, "%s: task: shard %llu of %llu: they count from 0", path,
            (unsigned long long)c->task.shard, (unsigned long long)c->task.shards);
    int r = check_policy(c, path, e);
    return r == 0 ? check_hooks(c, path, e) : r;
}

/* ---- what is made of it ----------------------------------------------------------------------- */

struct policy client_config_policy(const struct client_config *c)
{
    const struct client_policy_config *p = &c->policy;
    return (struct policy){
        .k_min = (uint32_t)p->k_min,
        .t_min = (uint32_t)p->t_min,
        .any_run = p->runs == CLIENT_RUNS_ANY,
        .task = p->task ? p->task : c->task.name,
        .q_min = (unsigned)p->q_min,
        .q_max = (unsigned)p->q_max,
        .clip_max = p->clip_max,
        .key_budget_bytes_per_hour = p->key_budget_mbit_per_hour * 125000,
        .strict = p->strict,
    };
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **client_config_peers(const struct client_config *c)
{
    const char **peers = calloc(c->peers.n, sizeof(char *));
    if (!peers)
        return NULL;
    for (size_t i = 0; i < c->peers.n; i++)
        peers[i] = peer_at(c, i);
    qsort(peers, c->peers.n, sizeof(char *), compare_names);
    return peers;
}

int client_config_open_task(const struct client_config *c, struct task **out, struct err *e)
{
    const struct client_task_config *t = &c->task;
    const struct task_option known[] = {{"ansatz", t->ansatz}, {"layers", t->layers},
        {"target", t->target}, {"generators", t->generators}, {"sampler", t->sampler},
        {"pair", t->pair}, {"split", t->split}, {"parameters", t->parameters}};
    struct task_option options[ARRAY_SIZE(known)];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].value)
            options[n++] = known[i];
    const struct task_request request = {
        .task = t->name,
        .seed = t->seed,
        .shard = (uint32_t)t->shard,
        .shards = (uint32_t)t->shards,
        .samples = (uint32_t)t->samples,
        .data_dir = t->data ? t->data : getenv("QFL_DATA"),
        .options = options,
        .n_options = n,
    };
    return task_open(out, &request, e);
}
