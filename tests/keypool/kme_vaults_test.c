/* SPDX-License-Identifier: Apache-2.0 */
/* The whole supply of two sites in bad weather: real vaults on disks that forget, real KMEs, the real
 * simulator. Whatever happens, the mask streams of both ends have the same length in the end, key comes
 * again, and no vault finds anything wrong with what its KME tells it.
 */
#include "proto/kme.h"
#include "tests/keypool/kme_nodes.h"
#include "tests/keypool/vault_node.h"

#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define STORIES 8

/* ---- the scene ------------------------------------------------------------------------------ */

struct scene {
    struct world *world;
    struct vault_node *vault[2];
    struct kme_node *kme[2];
    struct sim_node *sim;
};

static struct scene begin(uint64_t seed)
{
    struct scene s = {.world = world_new(seed)};
    struct world *w = s.world;
    s.vault[0] = vault_node_add(w, "alice", "bob", 2 * seed);
    s.vault[1] = vault_node_add(w, "bob", "alice", 2 * seed + 1);
    s.sim = sim_node_add(w);
    s.kme[0] = kme_node_add(w, "alice", "bob", NULL);
    s.kme[1] = kme_node_add(w, "bob", "alice", NULL);
    for (int i = 0; i < 2; i++) {
        net_dial(w->net, &s.kme[i]->node, &s.vault[i]->node, NET_LOCAL, &vault_exchange);
        net_dial(w->net, &s.kme[i]->node, &s.sim->node, NET_WAN, &qkd_exchange);
    }
    net_dial(w->net, &s.kme[1]->node, &s.kme[0]->node, NET_WAN, &kme_exchange);
    return s;
}

static void run(struct scene *s, uint64_t ms)
{
    world_run(s->world, s->world->now_ms + ms, NULL, NULL);
    if (s->world->violation)
        fail_msg("at %llu ms: %s", (unsigned long long)s->world->now_ms, s->world->violation);
}

static struct vault_account mask_of(const struct scene *s, int end)
{
    struct vault_account accounts[8];
    size_t n = vault_accounts(s->vault[end]->vault, accounts, ARRAY_SIZE(accounts));
    for (size_t i = 0; i < n && i < ARRAY_SIZE(accounts); i++)
        if (accounts[i].purpose == VAULT_MASK)
            return accounts[i];
    fail_msg("%s has no mask stream", s->vault[end]->node.name);
    return (struct vault_account){0};
}

/* The simulator stops; a minute later nothing is undecided and both ends hold the same. */
static void assert_equal_at_rest(struct scene *s)
{
    s->sim->node.never_again = true;
    node_die(&s->sim->node, DEATH_KILLED);
    run(s, 90000);
    assert_int_equal(mask_of(s, 0).end, mask_of(s, 1).end);
    assert_int_equal(mask_of(s, 0).cursor, mask_of(s, 1).cursor);
}

static void assert_flows(struct scene *s, uint64_t at_least)
{
    uint64_t before = mask_of(s, 0).end;
    run(s, 60000);
    uint64_t got = mask_of(s, 0).end - before;
    if (got < at_least)
        fail_msg("%llu bytes in the last minute", (unsigned long long)got);
}

/* ---- stories -------------------------------------------------------------------------------- */

static void in_calm_weather_key_flows(void **unused)
{
    struct scene s = begin(1);
    run(&s, 5000);
    assert_flows(&s, 250000);
    assert_equal_at_rest(&s);
    world_free(s.world);
}

static void every_process_may_die_in_any_order(void **unused)
{
    for (uint64_t first = 0; first < 5; first++)
        for (uint64_t second = 0; second < 5; second++) {
            struct scene s = begin(10 + 5 * first + second);
            struct node *nodes[] = {&s.vault[0]->node, &s.vault[1]->node, &s.kme[0]->node,
                &s.kme[1]->node, &s.sim->node};
            run(&s, 6000 + 37 * first + 11 * second);
            s.world->weather.down_ms = 500;
            node_die(nodes[first], DEATH_KILLED);
            run(&s, 150 * second);
            node_die(nodes[second], DEATH_POWER);
            run(&s, 200000);
            assert_flows(&s, 150000);
            assert_equal_at_rest(&s);
            world_free(s.world);
        }
}

/* The KMEs' own relay is real here, so of the weather only what happens to processes and lines counts. */
static void after_any_storm_both_ends_hold_the_same(void **unused)
{
    for (uint64_t seed = 1; seed <= STORIES; seed++) {
        struct scene s = begin(100 + seed);
        struct rnd r;
        rnd_init(&r, seed);
        s.world->weather = weather_draw(&r);
        run(&s, 120000);
        world_heal(s.world);
        run(&s, 250000);
        assert_flows(&s, 150000);
        assert_equal_at_rest(&s);
        world_free(s.world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_calm_weather_key_flows),
        cmocka_unit_test(every_process_may_die_in_any_order),
        cmocka_unit_test(after_any_storm_both_ends_hold_the_same),
    };
    return cmocka_run_group_tests_name("kme_vaults", tests, NULL, NULL);
}
