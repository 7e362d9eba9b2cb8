/* SPDX-License-Identifier: Apache-2.0 */
/* A round without faults, and its arithmetic. */
#include "tests/server/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void setup(struct stage *s, size_t sites)
{
    stage_init(s, sites);
    stage_start(s);
}

static void three_clients_make_a_round(void **state)
{
    struct stage s;
    setup(&s, 3);
    stage_connect_all(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n");
    for (int i = 0; i < 3; i++)
        stage_ready(&s, i);
    stage_expect(&s, "alice bob charlie <- COMMIT 1 of alice bob charlie, T 1, from 0 0 0\n");
    for (int i = 0; i < 3; i++)
        stage_confirm(&s, i);
    stage_expect(&s, "bob charlie <- RELAY from alice\n"
                     "alice charlie <- RELAY from bob\n"
                     "alice bob <- RELAY from charlie\n");
    for (int i = 0; i < 3; i++)
        stage_locked(&s, i);
    stage_expect(&s, "alice bob charlie <- GO 1 from 0\n");
    for (int i = 0; i < 3; i++)
        stage_upload(&s, i, 0, STAGE_CHUNKS, 5);
    stage_expect(&s, "alice bob charlie <- RESULT 1 of attempt 1, K 3\n");
    stage_finish(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

/* 5 + 5 + 5 in units of clip / floor(127 / 3). */
static void the_model_moves_by_the_sum(void **state)
{
    struct stage s;
    setup(&s, 3);
    stage_to_go(&s);
    for (int i = 0; i < 3; i++)
        stage_upload(&s, i, 0, STAGE_CHUNKS, 5);
    struct aggregator_view view = aggregator_query(s.a);
    assert_int_equal(view.rounds_summed, 1);
    for (uint32_t k = 0; k < view.parameters; k++)
        assert_true(view.model[k] == 15 * (1.0 / 42));
    stage_deinit(&s);
}

static void the_next_round_starts_where_the_key_of_the_last_ended(void **state)
{
    struct stage s;
    setup(&s, 3);
    stage_to_result(&s);
    stage_finish(&s);
    stage_told(&s);
    for (int i = 0; i < 3; i++)
        stage_ready(&s, i);
    stage_expect(&s, "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

static void four_clients_tolerate_two(void **state)
{
    struct stage s;
    setup(&s, 4);
    stage_to_commit(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n"
                     "david <- OPEN 1\n"
                     "alice bob charlie david <- COMMIT 1 of alice bob charlie david, T 2, "
                     "from 0 0 0 0 0 0\n");
    stage_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_clients_make_a_round),
        cmocka_unit_test(the_model_moves_by_the_sum),
        cmocka_unit_test(the_next_round_starts_where_the_key_of_the_last_ended),
        cmocka_unit_test(four_clients_tolerate_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
