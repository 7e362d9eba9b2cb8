/* SPDX-License-Identifier: Apache-2.0 */
/* The whole chain with the real simulator: what her switches do to the light, or to what she says, is noticed
 * by two real KMEs, and what is left is the same key at both real vaults.
 */
#include "keypool/kme/kme_internal.h"
#include "tests/keypool/mdi_scene.h"

#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct mdi_scene *begin(uint64_t seed, const struct sim_attack *attack)
{
    struct world *w = world_new(seed);
    struct post_config post[2] = {post_config_default(), post_config_default()};
    for (int i = 0; i < 2; i++) {
        post[i].keyrate.eps = 1e-2;
        post[i].frame_bits = 32768;
        post[i].window = 4;
    }
    return scene_new(w, seed, &sim_node_add_raw(w, attack)->node, post);
}

static double last(const struct mdi_scene *s, const char *key)
{
    json_t *links = scene_ask(s, 0, "links");
    const json_t *block = json_object_get(json_array_get(links, 0), "last_block");
    double v = json_number_value(json_object_get(block, key));
    json_decref(links);
    return v;
}

static void the_papers_link_makes_key(void **unused)
{
    struct mdi_scene *s = begin(1, &(struct sim_attack){{0}});
    scene_run(s, 10000);
    scene_assert_flows(s, 10000);
    /* A tenth of a second of alice and bob: 1e7 pulses. */
    assert_in_range(last(s, "n"), 103000, 106500);
    assert_in_range(10000 * last(s, "e_x"), 66, 88);
    assert_in_range(1000 * last(s, "f_ec"), 1000, 1300);
    scene_assert_not_noted(s, "void");
    scene_assert_equal_at_rest(s);
    scene_free(s);
}

static void an_interceptor_aborts_the_link_or_leaves_less_key(void **unused)
{
    static const struct {
        double intercept;
        bool aborts;
    } rows[] = {{1, true}, {0.2, true}, {0.02, false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err why;
        struct sim_attack attack = {.light = {.intercept = rows[i].intercept}};
        struct mdi_scene *s = begin(10 + i, &attack);
        scene_run(s, 20000);
        double e_y = 0.0039 + rows[i].intercept / 4;
        assert_true(last(s, "e_y") > 0.8 * e_y && last(s, "e_y") < 1.25 * e_y);
        for (int end = 0; end < 2; end++)
            assert_int_equal(scene_state_of(s, end, &why) == LINK_ABORTED, rows[i].aborts);
        if (rows[i].aborts)
            assert_non_null(strstr(why.text, "no key"));
        else
            scene_assert_flows(s, 3000);
        uint64_t key = scene_made(s);
        scene_assert_equal_at_rest(s);
        assert_int_equal(key > (uint64_t)2 * VAULT_PAIRING_BYTES, !rows[i].aborts);
        scene_free(s);
    }
}

/* Lies of the announcement: nothing comes of them, no alarm, one sentence. */
static void what_cannot_be_true_is_void(void **unused)
{
    static const struct {
        enum eve_lie lie;
        const char *sentence;
    } rows[] = {
        {EVE_BOTH_DETECTORS, "not behind the one before"},
        {EVE_WRONG_COUNT, "events were announced"},
        {EVE_IMPOSSIBLE_POSITION, "not in the block"},
        {EVE_DIFFERENT_POSITIONS, "announce"},
        {EVE_FLOOD, "were announced in one block"},
        {EVE_PREFER_BASIS, "gains differ by basis"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sim_attack attack = {.lie = rows[i].lie};
        struct mdi_scene *s = begin(20 + i, &attack);
        scene_run(s, 15000);
        scene_assert_noted(s, rows[i].sentence);
        scene_assert_noted(s, "kme alice: bob: a block is void: ");
        scene_assert_noted(s, "kme bob: alice: a block is void: ");
        for (int end = 0; end < 2; end++) {
            assert_int_equal(s->kme[end]->kme->links[0].n_alarms, 0);
            assert_int_equal(s->kme[end]->kme->links[0].n_confirmed, 0);
        }
        scene_assert_equal_at_rest(s);
        scene_free(s);
    }
}

/* What Eve was told of the users' bits no announcement shows: there may be key, but the same at both ends. */
static void whatever_eve_knows_the_ends_agree(void **unused)
{
    for (enum eve_lie lie = EVE_BIASED_KEY; lie <= EVE_CORRELATED_KEY; lie++) {
        struct sim_attack attack = {.lie = lie};
        struct mdi_scene *s = begin(30 + lie, &attack);
        scene_run(s, 20000);
        scene_assert_equal_at_rest(s);
        assert_int_equal(s->kme[0]->kme->links[0].n_alarms, 0);
        scene_free(s);
    }
}

static void any_process_may_die(void **unused)
{
    for (int victim = 0; victim < 5; victim++) {
        struct mdi_scene *s = begin(40 + (uint64_t)victim, &(struct sim_attack){{0}});
        struct node *nodes[] = {
            &s->kme[0]->node, &s->kme[1]->node, &s->vault[0]->node, &s->vault[1]->node, s->eve};
        scene_run(s, 6000 + 313 * (uint64_t)victim);
        node_die(nodes[victim], DEATH_KILLED);
        scene_run(s, 60000);
        scene_assert_flows(s, 5000);
        scene_assert_equal_at_rest(s);
        scene_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_papers_link_makes_key),
        cmocka_unit_test(an_interceptor_aborts_the_link_or_leaves_less_key),
        cmocka_unit_test(what_cannot_be_true_is_void),
        cmocka_unit_test(whatever_eve_knows_the_ends_agree),
        cmocka_unit_test(any_process_may_die),
    };
    return cmocka_run_group_tests_name("mdi_sim", tests, NULL, NULL);
}
