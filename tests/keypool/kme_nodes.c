/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/kme_nodes.h"

#include "keypool/qkd/key_file.h"
#include "keypool/qkd/sim_level_rate.h"
#include "keypool/qkd/source_file.h"
#include "keypool/qkd/source_sim.h"
#include "tests/sim/need.h"

#include <stdio.h>

#define FILE_BLOCKS 20000
#define FILE_BLOCK  64

/* ---- the simulator --------------------------------------------------------------------------- */

static int sim_boot(struct node *n)
{
    static const char *const users[] = {"alice", "bob"};
    const struct sim_topology_config network = {
        .users = users, .n_users = 2, .fallback = &link_paper_at(3)->params};
    const struct simulator_config config = {
        .block_s = 0.5, .clock_hz = 1e8, .speedup = 1, .options = keyrate_paper_options()};
    uint8_t seed[RNG_SEED_BYTES];
    struct sim_topology *t;
    struct err e;
    rnd_bytes(&n->world->rnd, seed, sizeof(seed)); /* fresh at each start */
    need_ok(sim_topology_new(&t, &network, 20000, &e));
    struct sim_level *level = need(sim_level_rate_new(seed, &config.options));
    ((struct sim_node *)n)->simulator = need(simulator_new(&config, t, level));
    return 0;
}

static void sim_halt(struct node *n, enum death death)
{
    struct sim_node *s = (struct sim_node *)n;
    simulator_free(s->simulator);
    s->simulator = NULL;
}

static int sim_step(struct node *n, const struct event *event, struct update *u)
{
    return simulator_step(((struct sim_node *)n)->simulator, event, u);
}

static uint64_t sim_deadline(const struct node *n)
{
    return simulator_deadline_ms(((const struct sim_node *)n)->simulator);
}

static void sim_free(struct node *n)
{
    free(n);
}

static const struct node_ops sim_ops = {.boot = sim_boot,
    .halt = sim_halt,
    .step = sim_step,
    .deadline_ms = sim_deadline,
    .free = sim_free};

/* ---- a KME ----------------------------------------------------------------------------------- */

static struct kme_node *kme_of(const struct node *n)
{
    return (struct kme_node *)n;
}

static int make_source(struct kme_node *k, struct source **out)
{
    struct err e;
    const struct source_sim_config sim = {.site = k->node.site, .peers = &k->peer, .n_peers = 1};
    const struct source_file_config file = {.site = k->node.site,
        .peer = k->peer,
        .name = "keys",
        .disk = k->disk ? disk_sim_disk(k->disk) : NULL};
    return k->disk ? source_file_new(out, &file, &e) : source_sim_new(out, &sim);
}

static int kme_boot(struct node *n)
{
    struct kme_node *k = kme_of(n);
    struct source *source;
    int r = make_source(k, &source);
    if (r < 0)
        return r;
    const struct kme_link_config link = {k->peer, source};
    struct kme_config config = {
        .site = n->site, .links = &link, .n_links = 1, .sources = &source, .n_sources = 1};
    rnd_bytes(&n->world->rnd, config.nonce, sizeof(config.nonce));
    need_ok(kme_new(&k->kme, &config));
    return 0;
}

static void kme_halt(struct node *n, enum death death)
{
    struct kme_node *k = kme_of(n);
    kme_free(k->kme);
    k->kme = NULL;
    if (k->disk && death == DEATH_POWER)
        disk_sim_crash(k->disk);
    else if (k->disk)
        disk_sim_kill(k->disk);
}

static int kme_node_step(struct node *n, const struct event *event, struct update *u)
{
    return kme_step(kme_of(n)->kme, event, u);
}

static uint64_t kme_deadline(const struct node *n)
{
    return kme_deadline_ms(kme_of(n)->kme);
}

static void kme_node_free(struct node *n)
{
    disk_sim_free(kme_of(n)->disk);
    free(n);
}

static void kme_cut_at(struct node *n, uint64_t operations)
{
    if (kme_of(n)->disk)
        disk_sim_cut_at(kme_of(n)->disk, operations);
}

static void kme_fail_at(struct node *n, uint64_t operations, int error)
{
    if (kme_of(n)->disk)
        disk_sim_fail_at(kme_of(n)->disk, operations, error);
}

static bool kme_is_cut(const struct node *n)
{
    return kme_of(n)->disk && disk_sim_is_cut(kme_of(n)->disk);
}

static bool kme_has_failed(const struct node *n)
{
    return kme_of(n)->disk && disk_sim_has_failed(kme_of(n)->disk);
}

static const struct node_ops kme_ops = {.boot = kme_boot,
    .halt = kme_halt,
    .step = kme_node_step,
    .deadline_ms = kme_deadline,
    .free = kme_node_free,
    .cut_at = kme_cut_at,
    .fail_at = kme_fail_at,
    .is_cut = kme_is_cut,
    .has_failed = kme_has_failed};

struct disk_sim *record_keys(uint64_t seed)
{
    struct key_file f = {
        .id = {9}, .site = {"alice", "bob"}, .block_bytes = FILE_BLOCK, .blocks = FILE_BLOCKS};
    struct disk_sim *disk = disk_sim_new(seed);
    struct rnd keys;
    struct err e;
    rnd_init(&keys, 7); /* the same at both ends */
    uint8_t *block = need(malloc((size_t)FILE_BLOCK * FILE_BLOCKS));
    rnd_bytes(&keys, block, (size_t)FILE_BLOCK * FILE_BLOCKS);
    struct key_file all = f;
    all.block_bytes = FILE_BLOCK * FILE_BLOCKS;
    need_ok(key_file_put(disk_sim_disk(disk), "keys", &all, 0, block));
    need_ok(key_file_seal(disk_sim_disk(disk), "keys", &f, &e));
    free(block);
    return disk;
}

struct kme_node *kme_node_add(
    struct world *w, const char *site, const char *peer, struct disk_sim *disk)
{
    struct kme_node *k = need(calloc(1, sizeof(*k)));
    k->node = (struct node){.ops = &kme_ops, .site = site, .role = ROLE_KME};
    snprintf(k->node.name, sizeof(k->node.name), "kme %s", site);
    k->peer = peer;
    k->disk = disk;
    world_add(w, &k->node);
    return k;
}

struct sim_node *sim_node_add(struct world *w)
{
    struct sim_node *s = need(calloc(1, sizeof(*s)));
    s->node = (struct node){.ops = &sim_ops, .site = "eve", .role = ROLE_QKDSIM};
    snprintf(s->node.name, sizeof(s->node.name), "qkdsim");
    world_add(w, &s->node);
    return s;
}
