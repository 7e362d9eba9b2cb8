/* SPDX-License-Identifier: Apache-2.0 */
/* Levels that clients report, and where the next range of a pair may start. */
#include "server/levels.h"
#include "tests/server/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { ALICE, BOB, CHARLIE };

struct keys {
    struct highs highs;
    struct levels levels;
};

static void setup(struct keys *k)
{
    assert_int_equal(highs_init(&k->highs, NULL, 0, 10), 0);
    assert_int_equal(levels_init(&k->levels, stage_roster, 3), 0);
}

static void teardown(struct keys *k)
{
    highs_deinit(&k->highs);
    levels_deinit(&k->levels);
}

static int report(struct keys *k, size_t site, size_t peer, uint8_t stream, uint64_t cursor,
    uint64_t end, bool in_step)
{
    uint8_t id[FED_STREAM_BYTES] = {stream};
    Fed__Level level = FED__LEVEL__INIT;
    level.stream = (ProtobufCBinaryData){sizeof(id), id};
    level.cursor = cursor;
    level.end = end;
    level.in_step = in_step;
    return levels_report(&k->levels, &k->highs, site, peer, &level);
}

static void expect_pair(
    const struct keys *k, enum pair_state state, uint64_t start, uint64_t available)
{
    struct pair p = levels_pair(&k->levels, &k->highs, ALICE, BOB);
    assert_int_equal(p.state, state);
    assert_int_equal(p.start, start);
    assert_int_equal(p.available, available);
}

static void a_pair_is_what_both_ends_say(void **state)
{
    struct keys k;
    setup(&k);
    expect_pair(&k, PAIR_UNKNOWN, 0, 0);
    assert_int_equal(report(&k, ALICE, BOB, 1, 10, 100, true), 0);
    expect_pair(&k, PAIR_UNKNOWN, 0, 0);
    assert_int_equal(report(&k, BOB, ALICE, 1, 30, 90, true), 0);
    expect_pair(&k, PAIR_READY, 30, 60);
    assert_int_equal(report(&k, BOB, ALICE, 1, 30, 90, false), 0);
    expect_pair(&k, PAIR_OUT_OF_STEP, 30, 0);
    assert_int_equal(report(&k, BOB, ALICE, 2, 0, 90, true), 0);
    expect_pair(&k, PAIR_DIFFERENT, 0, 0);
    teardown(&k);
}

static void a_cursor_beyond_the_end_leaves_nothing(void **state)
{
    struct keys k;
    setup(&k);
    assert_int_equal(report(&k, ALICE, BOB, 1, 200, 200, true), 0);
    assert_int_equal(report(&k, BOB, ALICE, 1, 0, 100, true), 0);
    expect_pair(&k, PAIR_READY, 200, 0);
    teardown(&k);
}

static void a_lower_cursor_moves_nothing_back(void **state)
{
    struct keys k;
    setup(&k);
    assert_int_equal(report(&k, ALICE, BOB, 1, 50, 100, true), 0);
    assert_int_equal(report(&k, BOB, ALICE, 1, 50, 100, true), 0);
    levels_clear(&k.levels, ALICE);
    assert_int_equal(report(&k, ALICE, BOB, 1, 0, 100, true), 0);
    expect_pair(&k, PAIR_READY, 50, 50);
    teardown(&k);
}

/* Charlie names the stream of Alice and Bob as that of his own pair: nothing of theirs moves. */
static void nobody_moves_the_stream_of_others(void **state)
{
    struct keys k;
    setup(&k);
    assert_int_equal(report(&k, ALICE, BOB, 1, 0, 100, true), 0);
    assert_int_equal(report(&k, BOB, ALICE, 1, 0, 100, true), 0);
    assert_int_equal(report(&k, CHARLIE, ALICE, 1, 90, 100, true), 0);
    assert_int_equal(report(&k, ALICE, CHARLIE, 1, 0, 100, true), 0);
    expect_pair(&k, PAIR_READY, 0, 100);
    teardown(&k);
}

static void impossible_levels_are_refused(void **state)
{
    struct keys k;
    setup(&k);
    assert_int_equal(report(&k, ALICE, ALICE, 1, 0, 1, true), LEVELS_E_INVALID);
    assert_int_equal(report(&k, ALICE, BOB, 1, UINT64_MAX, 1, true), LEVELS_E_INVALID);
    assert_int_equal(report(&k, ALICE, BOB, 1, 0, UINT64_MAX, true), LEVELS_E_INVALID);
    Fed__Level no_stream = FED__LEVEL__INIT;
    assert_int_equal(levels_report(&k.levels, &k.highs, ALICE, BOB, &no_stream), LEVELS_E_INVALID);
    teardown(&k);
}

/* Two colluders pair themselves anew without end: the table does not grow without end. */
static void the_table_is_bounded(void **state)
{
    struct keys k;
    setup(&k);
    for (uint8_t i = 0; i < 10; i++) {
        assert_int_equal(report(&k, ALICE, BOB, i, 0, 1, true), 0);
        assert_int_equal(report(&k, BOB, ALICE, i, 0, 1, true), 0);
    }
    assert_int_equal(report(&k, ALICE, BOB, 10, 0, 1, true), 0);
    assert_int_equal(report(&k, BOB, ALICE, 10, 0, 1, true), LEVELS_E_INVALID);
    teardown(&k);
}

/* ---- high ------------------------------------------------------------------------------------ */

static const uint8_t key[FED_STREAM_BYTES] = {7};

static void no_range_is_proposed_twice(void **state)
{
    struct highs h;
    assert_int_equal(highs_init(&h, NULL, 0, 10), 0);
    assert_int_equal(highs_propose(&h, key, 1, 76), 0);
    assert_int_equal(highs_get(&h, key), 76);
    assert_int_equal(highs_report(&h, key, 10), 0);
    assert_int_equal(highs_get(&h, key), 76);
    assert_int_equal(highs_report(&h, key, 500), 0);
    assert_int_equal(highs_get(&h, key), 500);
    highs_deinit(&h);
}

static void only_both_ends_together_take_a_proposal_back(void **state)
{
    struct highs h;
    assert_int_equal(highs_init(&h, NULL, 0, 10), 0);
    assert_int_equal(highs_report(&h, key, 20), 0);
    assert_int_equal(highs_propose(&h, key, 4, 100), 0);
    assert_int_equal(highs_propose(&h, key, 5, 200), 0);
    assert_false(highs_refuse(&h, key, 0, 4, 20));
    assert_false(highs_refuse(&h, key, 1, 4, 20));
    assert_false(highs_refuse(&h, key, 0, 5, 20));
    assert_false(highs_refuse(&h, key, 0, 5, 20));
    assert_int_equal(highs_get(&h, key), 200);
    assert_true(highs_refuse(&h, key, 1, 5, 30));
    assert_int_equal(highs_get(&h, key), 30);
    highs_deinit(&h);
}

/* Both vaults restored from a backup report old cursors: what is known to be burnt stays. */
static void the_witness_never_goes_down(void **state)
{
    struct highs h;
    assert_int_equal(highs_init(&h, NULL, 0, 10), 0);
    assert_int_equal(highs_propose(&h, key, 1, 100), 0);
    highs_burn(&h, key, 100);
    assert_int_equal(highs_propose(&h, key, 2, 500), 0);
    highs_refuse(&h, key, 0, 2, 0);
    assert_true(highs_refuse(&h, key, 1, 2, 0));
    assert_int_equal(highs_get(&h, key), 100);
    highs_deinit(&h);
}

static void what_is_not_durable_yet_is_listed(void **state)
{
    struct highs h;
    size_t n;
    const struct store_high durable[] = {
        {.stream = {9}, .high = 5, .burnt = 5}, {.stream = {7}, .high = 50, .burnt = 40}};
    assert_int_equal(highs_init(&h, durable, 2, 10), 0);
    struct store_high *dirty = highs_dirty(&h, &n);
    assert_int_equal(n, 0);
    free(dirty);
    assert_int_equal(highs_propose(&h, key, 3, 126), 0);
    dirty = highs_dirty(&h, &n);
    assert_int_equal(n, 1);
    assert_int_equal(dirty[0].high, 126);
    assert_int_equal(dirty[0].burnt, 40);
    free(dirty);
    highs_clean(&h);
    dirty = highs_dirty(&h, &n);
    assert_int_equal(n, 0);
    free(dirty);
    highs_deinit(&h);
}

/* ---- on the stage: proposals that nobody burns ----------------------------------------------- */

/* The server dies after each journal write; nobody ever burns. Starts run away from the cursors until
 * both ends refuse them; then they come back. */
static void a_start_that_ran_away_comes_back(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    stage_start(&s);
    for (int i = 0; i < 3; i++) {
        stage_to_commit(&s);
        stage_kill(&s);
        stage_start(&s);
    }
    stage_told(&s);
    stage_to_commit(&s);
    assert_non_null(strstr(stage_told(&s), "COMMIT 4 of alice bob charlie, T 1, from 228 228 228"));
    for (int i = 0; i < 3; i++)
        stage_reject(&s, i, FED_POLICY);
    stage_told(&s);
    for (int i = 0; i < 3; i++)
        stage_ready(&s, i);
    stage_expect(&s, "alice bob charlie <- COMMIT 5 of alice bob charlie, T 1, from 0 0 0\n");
    stage_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_is_what_both_ends_say),
        cmocka_unit_test(a_cursor_beyond_the_end_leaves_nothing),
        cmocka_unit_test(a_lower_cursor_moves_nothing_back),
        cmocka_unit_test(nobody_moves_the_stream_of_others),
        cmocka_unit_test(impossible_levels_are_refused),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(no_range_is_proposed_twice),
        cmocka_unit_test(only_both_ends_together_take_a_proposal_back),
        cmocka_unit_test(the_witness_never_goes_down),
        cmocka_unit_test(what_is_not_durable_yet_is_listed),
        cmocka_unit_test(a_start_that_ran_away_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
