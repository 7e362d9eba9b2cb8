/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/nodes.h"

#include "common/util.h"
#include "tests/sim/need.h"

#include <errno.h>

#define FEDERATION "sim"

static void tell_error(struct node *n, const struct err *e)
{
    world_tell(n->world, "%s: %s", n->name, e->text);
}

/* A crash, and what it did to unsynced writes. */
static void disk_dies(struct world *w, struct disk_sim *disk, enum death death)
{
    uint64_t before = disk_sim_lost(disk);
    if (death == DEATH_POWER)
        disk_sim_crash(disk);
    else
        disk_sim_kill(disk);
    if (disk_sim_lost(disk) > before)
        world_struck(w, FAULT_TORN);
}

/* ---- the server ---- */

struct server {
    struct node node; /* first */
    struct aggregator_config config;
    struct aggregator *core; /* owned; NULL while down */
    struct store_sim *store; /* owned */
    struct store_sim *image; /* owned: a backup, or NULL */
};

static struct server *server_of(const struct node *n)
{
    return (struct server *)n;
}

static void server_backs_up(struct server *s)
{
    struct world *w = s->node.world;
    if (!s->image && w->weather.chance[FAULT_SERVER_ROLLBACK] > 0 && rnd_chance(&w->rnd, 0.005))
        s->image = store_sim_snapshot(s->store);
}

static void server_rolls_back(struct server *s)
{
    if (!s->image || !world_strikes(s->node.world, FAULT_SERVER_ROLLBACK))
        return;
    store_sim_restore(s->store, s->image);
    store_sim_free(s->image);
    s->image = NULL;
}

static int server_boot(struct node *n)
{
    struct server *s = server_of(n);
    struct err e = {0};
    server_rolls_back(s);
    rnd_bytes(&n->world->rnd, s->config.seed, sizeof(s->config.seed));
    int r = aggregator_new(&s->core, &s->config, store_sim_store(s->store), n->world->now_ms, &e);
    if (r != 0) {
        tell_error(n, &e);
        s->core = NULL;
    }
    return r > 0 ? -EPROTO : r;
}

static void server_halt(struct node *n, enum death death)
{
    struct server *s = server_of(n);
    aggregator_free(s->core);
    s->core = NULL;
    store_sim_restart(s->store);
}

static int server_step(struct node *n, const struct event *e, struct update *u)
{
    int r = aggregator_step(server_of(n)->core, e, u);
    server_backs_up(server_of(n));
    return r;
}

static uint64_t server_deadline(const struct node *n)
{
    return aggregator_deadline_ms(server_of(n)->core);
}

static void server_free(struct node *n)
{
    store_sim_free(server_of(n)->store);
    store_sim_free(server_of(n)->image);
    free(n);
}

static void server_cut_at(struct node *n, uint64_t operations)
{
    store_sim_cut_at(server_of(n)->store, operations);
}

static void server_fail_at(struct node *n, uint64_t operations, int error)
{
    store_sim_fail_at(server_of(n)->store, operations, error);
}

static bool server_is_cut(const struct node *n)
{
    return store_sim_is_cut(server_of(n)->store);
}

static bool server_has_failed(const struct node *n)
{
    return store_sim_has_failed(server_of(n)->store);
}

static const struct node_ops server_ops = {
    .boot = server_boot,
    .halt = server_halt,
    .step = server_step,
    .deadline_ms = server_deadline,
    .free = server_free,
    .cut_at = server_cut_at,
    .fail_at = server_fail_at,
    .is_cut = server_is_cut,
    .has_failed = server_has_failed,
};

struct node *server_node_new(struct world *w, const struct aggregator_config *config)
{
    struct server *s = need(calloc(1, sizeof(*s)));
    *s = (struct server){.node = {.ops = &server_ops,
                             .name = "server",
                             .site = "server",
                             .role = ROLE_SERVER,
                             .outlives_full = true},
        .config = *config,
        .store = store_sim_new(rnd_u64(&w->rnd))};
    s->config.federation = FEDERATION;
    return &s->node;
}

struct store_sim *server_node_store(const struct node *n)
{
    return server_of(n)->store;
}

const struct aggregator *server_node_core(const struct node *n)
{
    return server_of(n)->core;
}

/* ---- a client ---- */

struct client {
    struct node node; /* first */
    struct participant_config config;
    struct participant *core;    /* owned; NULL while down */
    struct trainer_sim *trainer; /* owned */
    struct disk_sim *disk;       /* owned */
};

static struct client *client_of(const struct node *n)
{
    return (struct client *)n;
}

static int client_boot(struct node *n)
{
    struct client *c = client_of(n);
    struct err e = {0};
    rnd_bytes(&n->world->rnd, c->config.nonce, sizeof(c->config.nonce));
    int r = participant_new(&c->core, &c->config, disk_sim_disk(c->disk), n->world->now_ms, &e);
    if (r != 0) {
        tell_error(n, &e);
        c->core = NULL;
    }
    return r > 0 ? -EPROTO : r;
}

static void client_halt(struct node *n, enum death death)
{
    struct client *c = client_of(n);
    participant_free(c->core);
    c->core = NULL;
    disk_dies(n->world, c->disk, death);
}

static int client_step(struct node *n, const struct event *e, struct update *u)
{
    return participant_step(client_of(n)->core, e, u);
}

static uint64_t client_deadline(const struct node *n)
{
    return participant_deadline_ms(client_of(n)->core);
}

static void client_free(struct node *n)
{
    disk_sim_free(client_of(n)->disk);
    trainer_sim_free(client_of(n)->trainer);
    free(n);
}

static void client_cut_at(struct node *n, uint64_t operations)
{
    disk_sim_cut_at(client_of(n)->disk, operations);
}

static void client_fail_at(struct node *n, uint64_t operations, int error)
{
    disk_sim_fail_at(client_of(n)->disk, operations, error);
}

static bool client_is_cut(const struct node *n)
{
    return disk_sim_is_cut(client_of(n)->disk);
}

static bool client_has_failed(const struct node *n)
{
    return disk_sim_has_failed(client_of(n)->disk);
}

static const struct node_ops client_ops = {
    .boot = client_boot,
    .halt = client_halt,
    .step = client_step,
    .deadline_ms = client_deadline,
    .free = client_free,
    .cut_at = client_cut_at,
    .fail_at = client_fail_at,
    .is_cut = client_is_cut,
    .has_failed = client_has_failed,
};

struct node *client_node_new(struct world *w, const struct client_setting *setting)
{
    struct client *c = need(calloc(1, sizeof(*c)));
    struct trainer_sim *trainer =
        trainer_sim_new(w, setting->parameters, setting->samples, setting->amplitude);
    *c = (struct client){.node = {.ops = &client_ops, .site = setting->site, .role = ROLE_CLIENT},
        .config = {.federation = FEDERATION,
            .site = setting->site,
            .peers = setting->peers,
            .n_peers = setting->n_peers,
            .policy = setting->policy,
            .trainer = trainer_sim_trainer(trainer),
            .on_quantised = setting->on_quantised,
            .on_quantised_arg = setting->on_quantised_arg},
        .trainer = trainer,
        .disk = disk_sim_new(rnd_u64(&w->rnd))};
    rnd_bytes(&w->rnd, c->config.seed, sizeof(c->config.seed));
    snprintf(c->node.name, sizeof(c->node.name), "%s/client", setting->site);
    return &c->node;
}

const struct participant *client_node_core(const struct node *n)
{
    return client_of(n)->core;
}

struct trainer_sim *client_node_trainer(const struct node *n)
{
    return client_of(n)->trainer;
}

struct disk_sim *client_node_disk(const struct node *n)
{
    return client_of(n)->disk;
}

/* ---- a vault ---- */

struct vault_node {
    struct node node; /* first */
    struct vault_setting setting;
    struct vault_config config;
    struct vault *core;       /* owned; NULL while down */
    struct disk_sim *disk;    /* owned */
    uint64_t witness;         /* the epoch as written outside the directory */
    struct disk_image *image; /* owned: a backup, or NULL */
    uint64_t image_witness;
    bool has_rolled_back;
};

static struct vault_node *vault_of(const struct node *n)
{
    return (struct vault_node *)n;
}

static int vault_enrols(struct vault_node *v)
{
    struct err e = {0};
    for (size_t i = 0; i < v->setting.n_pairings; i++) {
        int r = vault_pair(v->core, &v->setting.pairings[i], &e);
        if (r != 0) {
            tell_error(&v->node, &e);
            return r;
        }
    }
    return 0;
}

/* A backup is taken now and then, as long as it may be of use. */
static void vault_backs_up(struct vault_node *v)
{
    struct world *w = v->node.world;
    if (!v->setting.may_roll_back || v->image || w->weather.chance[FAULT_ROLLBACK] == 0)
        return;
    if (!rnd_chance(&w->rnd, 0.02))
        return;
    v->image = disk_sim_snapshot(v->disk);
    v->image_witness = v->witness;
}

/* The disk is restored from the backup, or the whole machine with its witness file. */
static void vault_rolls_back(struct vault_node *v)
{
    struct world *w = v->node.world;
    if (!v->image || !world_strikes(w, FAULT_ROLLBACK))
        return;
    disk_sim_restore(v->disk, v->image);
    disk_image_free(v->image);
    v->image = NULL;
    v->has_rolled_back = true;
    if (rnd_chance(&w->rnd, 0.5))
        v->witness = v->image_witness;
}

/* Opens; a pool that looks like a clone is adopted by its operator, if it was rolled back. */
static int vault_opens(struct vault_node *v, struct err *e)
{
    uint64_t now_ms = v->node.world->now_ms;
    v->config.adopt = false;
    int r = vault_new(&v->core, &v->config, disk_sim_disk(v->disk), now_ms, e);
    if (r != VAULT_OPEN_E_CLONED || !v->has_rolled_back)
        return r;
    tell_error(&v->node, e);
    v->config.adopt = true;
    return vault_new(&v->core, &v->config, disk_sim_disk(v->disk), now_ms, e);
}

static int vault_boot(struct node *n)
{
    struct vault_node *v = vault_of(n);
    struct err e = {0};
    vault_rolls_back(v);
    v->config.epoch = v->witness;
    rnd_bytes(&n->world->rnd, v->config.entropy, sizeof(v->config.entropy));
    int r = vault_opens(v, &e);
    if (r != 0) {
        tell_error(n, &e);
        v->core = NULL;
        return r > 0 ? -EPROTO : r;
    }
    if (n->boots == 1)
        r = vault_enrols(v);
    v->witness = vault_epoch(v->core);
    return r;
}

static void vault_halt(struct node *n, enum death death)
{
    struct vault_node *v = vault_of(n);
    vault_free(v->core);
    v->core = NULL;
    disk_dies(n->world, v->disk, death);
}

static int vault_node_step(struct node *n, const struct event *e, struct update *u)
{
    struct vault_node *v = vault_of(n);
    int r = vault_step(v->core, e, u);
    if (r >= 0)
        v->witness = vault_epoch(v->core);
    vault_backs_up(v);
    return r;
}

static uint64_t vault_deadline(const struct node *n)
{
    return vault_deadline_ms(vault_of(n)->core);
}

static void vault_node_free(struct node *n)
{
    disk_sim_free(vault_of(n)->disk);
    disk_image_free(vault_of(n)->image);
    free(n);
}

static void vault_cut_at(struct node *n, uint64_t operations)
{
    disk_sim_cut_at(vault_of(n)->disk, operations);
}

static void vault_fail_at(struct node *n, uint64_t operations, int error)
{
    disk_sim_fail_at(vault_of(n)->disk, operations, error);
}

static bool vault_is_cut(const struct node *n)
{
    return disk_sim_is_cut(vault_of(n)->disk);
}

static bool vault_has_failed(const struct node *n)
{
    return disk_sim_has_failed(vault_of(n)->disk);
}

static const struct node_ops vault_ops = {
    .boot = vault_boot,
    .halt = vault_halt,
    .step = vault_node_step,
    .deadline_ms = vault_deadline,
    .free = vault_node_free,
    .cut_at = vault_cut_at,
    .fail_at = vault_fail_at,
    .is_cut = vault_is_cut,
    .has_failed = vault_has_failed,
};

struct node *vault_node_new(struct world *w, const struct vault_setting *setting)
{
    struct vault_node *v = need(calloc(1, sizeof(*v)));
    *v = (struct vault_node){.node = {.ops = &vault_ops, .site = setting->site, .role = ROLE_VAULT},
        .setting = *setting,
        .config = {.site = setting->site,
            .capacity_bytes = setting->capacity_bytes,
            .allow_simulated = true},
        .disk = disk_sim_new(rnd_u64(&w->rnd))};
    rnd_bytes(&w->rnd, v->config.kek, sizeof(v->config.kek));
    rnd_bytes(&w->rnd, v->config.machine, sizeof(v->config.machine));
    snprintf(v->node.name, sizeof(v->node.name), "%s/vault", setting->site);
    return &v->node;
}

const struct vault *vault_node_core(const struct node *n)
{
    return vault_of(n)->core;
}

struct disk_sim *vault_node_disk(const struct node *n)
{
    return vault_of(n)->disk;
}

bool vault_node_has_rolled_back(const struct node *n)
{
    return vault_of(n)->has_rolled_back;
}
