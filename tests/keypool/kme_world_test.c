/* SPDX-License-Identifier: Apache-2.0 */
/* Two sites and a simulator in bad weather: processes die and come back in any order, connections
 * break; whatever happens, both pools end up with the same keys, no key twice, and more of it.
 *
 * The cores are the real ones, the vaults remember digests only (fake_vault.h).
 */
#include "proto/kme.h"
#include "proto/vault.h"
#include "tests/keypool/fake_vault.h"
#include "tests/keypool/kme_nodes.h"

#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BAD_MS  (uint64_t)300000 /* virtual time of bad weather */
#define CALM_MS (uint64_t)300000 /* and after it */
#define STORIES 20

/* ---- the world ------------------------------------------------------------------------------ */

struct scene {
    struct world *world;
    struct kme_node *alice, *bob;
    struct fake_vault *vault_a, *vault_b;
    struct sim_node *sim; /* NULL: recorded keys */
};

static struct scene begin(uint64_t seed, bool recorded)
{
    struct scene s = {.world = world_new(seed)};
    struct world *w = s.world;
    uint64_t capacity = recorded ? 2000 : 60000;
    uint64_t use = recorded ? 400 : 9000;
    s.vault_a = fake_vault_new(w, "alice", "bob", capacity, use);
    s.vault_b = fake_vault_new(w, "bob", "alice", capacity, use);
    s.sim = recorded ? NULL : sim_node_add(w);
    s.alice = kme_node_add(w, "alice", "bob", recorded ? record_keys(seed) : NULL);
    s.bob = kme_node_add(w, "bob", "alice", recorded ? record_keys(seed + 1) : NULL);
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
