/* SPDX-License-Identifier: Apache-2.0 */
/* Two sites and a simulator in bad weather: processes die and come back in any order, connections
 * break; whatever happens, both pools end up with the same keys, no key twice, and more of it.
 *
 * The cores are the real ones, the vaults remember digests only (fake_vault.h).
 */
#include "keypool/kme/kme.h"
#include "keypool/qkd/key_file.h"
#include "keypool/qkd/sim_level_rate.h"
#include "keypool/qkd/simulator.h"
#include "keypool/qkd/source_file.h"
#include "keypool/qkd/source_sim.h"
#include "proto/kme.h"
#include "proto/vault.h"
#include "tests/keypool/fake_vault.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/need.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BAD_MS      (uint64_t)300000 /* virtual time of bad weather */
#define CALM_MS     (uint64_t)300000 /* and after it */
#define FILE_BLOCKS 20000
#define FILE_BLOCK  64
#define STORIES     20

/* ---- nodes ---------------------------------------------------------------------------------- */

struct sim_node {
    struct node node;
    struct simulator *simulator;
};

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

struct kme_node {
    struct node node;
    const char *peer;
    struct disk_sim *disk; /* NULL: the source is the simulator */
    struct kme *kme;
};

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

/* ---- the world ------------------------------------------------------------------------------ */

struct scene {
    struct world *world;
    struct kme_node *alice, *bob;
    struct fake_vault *vault_a, *vault_b;
    struct sim_node *sim; /* NULL: recorded keys */
};

static struct disk_sim *record(uint64_t seed)
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

static struct kme_node *add_kme(
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

static struct sim_node *add_sim(struct world *w)
{
    struct sim_node *s = need(calloc(1, sizeof(*s)));
    s->node = (struct node){.ops = &sim_ops, .site = "eve", .role = ROLE_QKDSIM};
    snprintf(s->node.name, sizeof(s->node.name), "qkdsim");
    world_add(w, &s->node);
    return s;
}

static struct scene begin(uint64_t seed, bool recorded)
{
    struct scene s = {.world = world_new(seed)};
    struct world *w = s.world;
    uint64_t capacity = recorded ? 2000 : 60000;
    uint64_t use = recorded ? 400 : 9000;
    s.vault_a = fake_vault_new(w, "alice", "bob", capacity, use);
    s.vault_b = fake_vault_new(w, "bob", "alice", capacity, use);
    s.sim = recorded ? NULL : add_sim(w);
    s.alice = add_kme(w, "alice", "bob", recorded ? record(seed) : NULL);
    s.bob = add_kme(w, "bob", "alice", recorded ? record(seed + 1) : NULL);
    net_dial(w->net, &s.alice->node, fake_vault_node(s.vault_a), NET_LOCAL, &vault_exchange);
    net_dial(w->net, &s.bob->node, fake_vault_node(s.vault_b), NET_LOCAL, &vault_exchange);
    net_dial(w->net, &s.bob->node, &s.alice->node, NET_WAN, &kme_exchange);
    if (s.sim) {
        net_dial(w->net, &s.alice->node, &s.sim->node, NET_WAN, &qkd_exchange);
        net_dial(w->net, &s.bob->node, &s.sim->node, NET_WAN, &qkd_exchange);
    }
    return s;
}

static void run(struct scene *s, uint64_t ms)
{
    world_run(s->world, s->world->now_ms + ms, NULL, NULL);
    if (s->world->violation)
        fail_msg("at %llu ms: %s", (unsigned long long)s->world->now_ms, s->world->violation);
}

/* What one end has confirmed the other has too, unless it is on its way. */
static void assert_agreed(struct scene *s, const struct fake_vault *a, const struct fake_vault *b)
{
    for (size_t i = 0; i < fake_vault_blocks(a); i++) {
        const struct fake_block *x = fake_vault_block(a, i);
        const struct fake_block *y = fake_vault_find(b, x->id);
        if (x->since_ms + 100000 > s->world->now_ms)
            continue;
        assert_int_not_equal(x->state, FAKE_STAGED);
        assert_true(x->state == FAKE_VOID || (y && y->state == FAKE_CONFIRMED));
        assert_true(!y || y->state == x->state);
    }
}

static void assert_works(struct scene *s, uint64_t since_ms, size_t at_least)
{
    struct err why = {{0}};
    if (!kme_link_is_up(s->alice->kme, "bob", &why) || !kme_link_is_up(s->bob->kme, "alice", &why))
        fail_msg("after the storm: %s", why.text);
    assert_agreed(s, s->vault_a, s->vault_b);
    assert_agreed(s, s->vault_b, s->vault_a);
    size_t n = fake_vault_confirmed_since(s->vault_a, since_ms);
    if (n < at_least)
        fail_msg("%zu blocks in the last minute, %zu were expected", n, at_least);
}

static void end(struct scene *s)
{
    world_free(s->world);
}

/* ---- stories -------------------------------------------------------------------------------- */

static void in_calm_weather_the_pools_fill_and_stay_full(void **unused)
{
    struct scene s = begin(1, false);
    run(&s, 60000);
    /* 60,000 bytes of room, 9,000 used per second: as much key as the link makes, about 5 kB a block */
    assert_works(&s, 0, 90);
    end(&s);
}

static void kill(struct scene *s, struct node *n, uint64_t down_ms)
{
    s->world->weather.down_ms = (double)down_ms;
    node_die(n, DEATH_KILLED);
}

/* Each process alone, then every pair of them in both orders, is killed while key flows. */
static void every_process_may_die_in_any_order(void **unused)
{
    for (uint64_t first = 0; first < 5; first++)
        for (uint64_t second = 0; second < 5; second++) {
            struct scene s = begin(10 + 5 * first + second, false);
            struct node *nodes[] = {&s.alice->node, &s.bob->node, fake_vault_node(s.vault_a),
                fake_vault_node(s.vault_b), &s.sim->node};
            run(&s, 20000 + 37 * first + 11 * second);
            kill(&s, nodes[first], 700);
            run(&s, 150 * second);
            kill(&s, nodes[second], 300);
            run(&s, 200000);
            uint64_t from = s.world->now_ms;
            run(&s, 60000);
            assert_works(&s, from, 60);
            end(&s);
        }
}

static void breaks_of_every_connection_heal(void **unused)
{
    struct scene s = begin(3, false);
    struct node *pairs[][2] = {{&s.alice->node, &s.bob->node},
        {&s.alice->node, fake_vault_node(s.vault_a)}, {&s.bob->node, fake_vault_node(s.vault_b)},
        {&s.alice->node, &s.sim->node}, {&s.bob->node, &s.sim->node}};
    for (size_t i = 0; i < 3 * ARRAY_SIZE(pairs); i++) {
        run(&s, 7000);
        net_break(s.world->net, pairs[i % 5][0], pairs[i % 5][1]);
    }
    run(&s, 200000);
    uint64_t from = s.world->now_ms;
    run(&s, 60000);
    assert_works(&s, from, 60);
    end(&s);
}

static struct scene storm(uint64_t seed, bool recorded)
{
    struct scene s = begin(seed, recorded);
    struct rnd r;
    rnd_init(&r, seed);
    s.world->weather = weather_draw(&r);
    run(&s, BAD_MS);
    world_heal(s.world);
    run(&s, CALM_MS - 60000);
    return s;
}

static void after_any_storm_the_simulators_keys_agree(void **unused)
{
    uint64_t kills = 0;
    for (uint64_t seed = 1; seed <= STORIES; seed++) {
        struct scene s = storm(seed, false);
        uint64_t from = s.world->now_ms;
        run(&s, 60000);
        assert_works(&s, from, 60);
        kills += s.alice->node.boots + s.bob->node.boots + s.sim->node.boots - 3;
        end(&s);
    }
    assert_true(kills > STORIES); /* it was a storm */
}

static void after_any_storm_recorded_keys_agree(void **unused)
{
    uint64_t kills = 0;
    for (uint64_t seed = 1; seed <= STORIES; seed++) {
        struct scene s = storm(seed, true);
        uint64_t from = s.world->now_ms;
        run(&s, 60000);
        assert_works(&s, from, 60);
        kills += s.alice->node.boots + s.bob->node.boots - 2;
        end(&s);
    }
    assert_true(kills > STORIES / 2);
}

static void a_story_can_be_told_again(void **unused)
{
    struct scene a = storm(5, false), b = storm(5, false), c = storm(6, false);
    assert_true(a.world->trace == b.world->trace && a.world->trace != c.world->trace);
    end(&a);
    end(&b);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_calm_weather_the_pools_fill_and_stay_full),
        cmocka_unit_test(every_process_may_die_in_any_order),
        cmocka_unit_test(breaks_of_every_connection_heal),
        cmocka_unit_test(after_any_storm_the_simulators_keys_agree),
        cmocka_unit_test(after_any_storm_recorded_keys_agree),
        cmocka_unit_test(a_story_can_be_told_again),
    };
    return cmocka_run_group_tests_name("kme_world", tests, NULL, NULL);
}
