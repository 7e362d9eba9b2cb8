/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/federation.h"

#include "common/util.h"
#include "proto/kme.h"
#include "proto/view.h"
#include "tests/sim/kme_sim.h"
#include "tests/sim/need.h"
#include "tests/sim/net.h"

#define K_MIN 3
#define T_MIN 1
#define CLIP  0.25

static const char *const names[] = {"alice", "bob", "charlie", "david", "erin"};

/* ---- what is drawn ---- */

static void draw_params(struct federation *f, struct rnd *r)
{
    static const uint32_t widths[] = {6, 8, 16, 32};
    fed__params__init(&f->params);
    f->params.task = (char *)"simulated";
    f->params.trainer = (char *)"simulated";
    f->params.parameters = (uint32_t)rnd_between(r, 9, 40);
    f->params.q = widths[rnd_below(r, ARRAY_SIZE(widths))];
    f->params.clip = CLIP;
    f->params.rounding = (uint32_t)rnd_below(r, 2);
    f->params.chunk_words = 8 * (uint32_t)rnd_between(r, 1, 4);
    f->model = need(calloc(f->params.parameters, sizeof(double)));
    for (uint32_t i = 0; i < f->params.parameters; i++)
        f->model[i] = rnd_uniform(r) - 0.5;
}

static void draw_sites(struct federation *f, struct rnd *r)
{
    f->n = rnd_between(r, K_MIN, ARRAY_SIZE(names));
    for (size_t i = 0; i < f->n; i++) {
        f->sites[i] = names[i];
        f->samples[i] = rnd_between(r, 100, 300); /* no weight below 1/(4K) */
        size_t n = 0;
        for (size_t j = 0; j < f->n; j++)
            if (j != i)
                f->peers[i][n++] = names[j];
    }
}

static uint64_t edge_bytes(const struct federation *f)
{
    const struct quantiser z = {.q = f->params.q,
        .participants = (uint32_t)f->n,
        .parameters = f->params.parameters,
        .chunk_words = f->params.chunk_words,
        .clip = f->params.clip};
    return view_edge_bytes(quantiser_words(&z), z.q);
}

/* ---- who takes part ---- */

static void add_server(struct federation *f, struct rnd *r,
    struct node *(*make)(struct world *w, const struct aggregator_config *config))
{
    uint32_t wait_ms = (uint32_t)rnd_between(r, 0, 2000);
    uint32_t attempts = 2 * (uint32_t)rnd_below(r, 4);
    uint64_t ready_ms = rnd_between(r, 3000, 20000);
    const struct aggregator_config config = {.roster = f->sites,
        .sites = f->n,
        .min_clients = K_MIN,
        .wait_ms = wait_ms,
        .rounds = UINT32_MAX,
        .start_auto = true,
        .attempts_max = attempts,
        .params = &f->params,
        .model = f->model,
        .deadlines = {.ready_ms = ready_ms}};
    f->server = make(f->world, &config);
    world_add(f->world, f->server);
}

static void add_client(struct federation *f, size_t i,
    struct node *(*make)(struct world *w, const struct client_setting *setting))
{
    const struct client_setting setting = {.site = f->sites[i],
        .peers = f->peers[i],
        .n_peers = f->n - 1,
        .policy = {.k_min = K_MIN,
            .t_min = T_MIN,
            .any_run = true,
            .task = f->params.task,
            .q_min = 2,
            .q_max = 32,
            .clip_max = 1,
            .key_budget_bytes_per_hour = UINT64_MAX / 4},
        .parameters = f->params.parameters,
        .samples = f->samples[i],
        .amplitude = 1.2 * CLIP * (double)f->n,
        .on_quantised = oracle_on_quantised,
        .on_quantised_arg = oracle_hook(f->oracle, i)};
    f->clients[i] = make(f->world, &setting);
    world_add(f->world, f->clients[i]);
}

/* The same pairing file at both ends: its bytes depend on the pair only. */
static void draw_pairing(struct vault_pairing *p, uint8_t *key, uint64_t seed)
{
    struct rnd r;
    rnd_init(&r, seed);
    rnd_bytes(&r, p->mask_stream, sizeof(p->mask_stream));
    rnd_bytes(&r, p->auth_low_high, sizeof(p->auth_low_high));
    rnd_bytes(&r, p->auth_high_low, sizeof(p->auth_high_low));
    rnd_bytes(&r, key, VAULT_PAIRING_BYTES);
    p->key = key;
}

static void add_vault(struct federation *f, size_t i, uint64_t seed, uint64_t capacity,
    struct node *(*make)(struct world *w, const struct vault_setting *setting))
{
    struct vault_pairing pairings[ORACLE_SITES_MAX];
    uint8_t(*keys)[VAULT_PAIRING_BYTES] = need(calloc(f->n, sizeof(*keys)));
    for (size_t j = 0; j + 1 < f->n; j++) {
        size_t other = j < i ? j : j + 1;
        pairings[j].peer = f->sites[other];
        draw_pairing(&pairings[j], keys[j], seed + (1u << i | 1u << other));
    }
    const struct vault_setting setting = {.site = f->sites[i],
        .pairings = pairings,
        .n_pairings = f->n - 1,
        .capacity_bytes = capacity,
        .may_roll_back = i == f->may_roll_back};
    f->vaults[i] = make(f->world, &setting);
    world_add(f->world, f->vaults[i]);
    free(keys);
}

static void connect_all(struct federation *f)
{
    struct net *net = f->world->net;
    for (size_t i = 0; i < f->n; i++) {
        net_dial(net, f->clients[i], f->server, NET_WAN, &fed_exchange);
        net_dial(net, f->clients[i], f->vaults[i], NET_LOCAL, &vault_exchange);
        net_dial(net, f->kmes[i], f->vaults[i], NET_LOCAL, &vault_exchange);
        for (size_t j = i + 1; j < f->n; j++)
            net_dial(net, f->kmes[i], f->kmes[j], NET_WAN, &kme_exchange);
    }
}

struct federation *federation_new(uint64_t seed, const struct federation_parts *parts)
{
    static const struct federation_parts real = {server_node_new, client_node_new, vault_node_new};
    struct federation *f = need(calloc(1, sizeof(*f)));
    f->world = world_new(seed);
    struct rnd r = rnd_fork(&f->world->rnd);
    draw_sites(f, &r);
    draw_params(f, &r);
    f->oracle = oracle_new(&(struct oracle_setting){.world = f->world,
        .sites = f->sites,
        .n = f->n,
        .server = &f->server,
        .clients = f->clients,
        .vaults = f->vaults,
        .k_min = K_MIN,
        .t_min = T_MIN,
        .samples = f->samples,
        .parameters = f->params.parameters,
        .model = f->model});
    /* One site only, and the others can go on without it: two ends of a pair rolled back together are
     * beyond detection (keypool.md section 1). */
    f->may_roll_back = f->n > K_MIN ? rnd_below(&r, f->n) : SIZE_MAX;
    uint64_t edge = edge_bytes(f), pairing = rnd_u64(&r);
    uint64_t block = 4 * edge + 200, capacity = 2 * block + edge * rnd_between(&r, 4, 40);
    add_server(f, &r, parts && parts->server ? parts->server : real.server);
    for (size_t i = 0; i < f->n; i++) {
        add_vault(f, i, pairing, capacity, parts && parts->vault ? parts->vault : real.vault);
        f->kmes[i] = kme_sim_new(f->sites[i], f->peers[i], f->n - 1);
        world_add(f->world, f->kmes[i]);
        add_client(f, i, parts && parts->client ? parts->client : real.client);
    }
    connect_all(f);
    f->keys = keysource_new(f->world, f->kmes, f->n, block);
    return f;
}

void federation_free(struct federation *f)
{
    if (!f)
        return;
    world_free(f->world);
    keysource_free(f->keys);
    oracle_free(f->oracle);
    free(f->model);
    free(f);
}
