/* SPDX-License-Identifier: Apache-2.0 */
/* One conversation per row of the failure table (aggregation.md section 3). */
#include "tests/server/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { ALICE, BOB, CHARLIE, DAVID };

static void setup(struct stage *s, size_t sites)
{
    stage_init(s, sites);
    stage_start(s);
}

/* A federation of `sites` in the given state, with nothing told yet. */
static void setup_to(struct stage *s, size_t sites, void (*to)(struct stage *s))
{
    setup(s, sites);
    to(s);
    stage_told(s);
}

/* ---- TRAIN, READY ---------------------------------------------------------------------------- */

static void a_slow_client_is_left_behind_at_the_deadline(void **state)
{
    struct stage s;
    stage_init(&s, 4);
    s.config.deadlines.ready_ms = 30000;
    stage_start(&s);
    stage_connect_all(&s);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_ready(&s, i);
    stage_told(&s);
    stage_pass(&s, 29000);
    stage_expect(&s, "");
    stage_pass(&s, 1000);
    stage_expect(&s, "alice bob charlie <- COMMIT 1 of alice bob charlie, T 1, from 0 0 0\n");
    stage_deinit(&s);
}

static void a_dead_client_is_not_waited_for(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_connect_all);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_ready(&s, i);
    stage_drop(&s, DAVID);
    stage_expect(&s, "alice bob charlie <- COMMIT 1 of alice bob charlie, T 1, from 0 0 0\n");
    stage_deinit(&s);
}

static void a_client_that_left_has_time_to_come_back(void **state)
{
    struct stage s;
    stage_init(&s, 4);
    s.config.wait_ms = 5000;
    stage_start(&s);
    stage_connect_all(&s);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_ready(&s, i);
    stage_drop(&s, DAVID);
    stage_told(&s);
    stage_tick(&s, 1000);
    stage_reincarnate(&s, DAVID);
    stage_connect(&s, DAVID);
    stage_ready(&s, DAVID);
    stage_expect(&s, "david <- OPEN 1\n"
                     "alice bob charlie david <- COMMIT 1 of alice bob charlie david, T 2, "
                     "from 0 0 0 0 0 0\n");
    stage_deinit(&s);
}

static void who_declines_is_not_waited_for(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_connect_all);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_ready(&s, i);
    stage_decline(&s, DAVID);
    stage_expect(&s, "alice bob charlie <- COMMIT 1 of alice bob charlie, T 1, from 0 0 0\n");
    stage_deinit(&s);
}

static void too_few_ready_skips_the_round(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    s.config.deadlines.ready_ms = 30000;
    stage_start(&s);
    stage_connect_all(&s);
    stage_ready(&s, ALICE);
    stage_ready(&s, BOB);
    stage_decline(&s, CHARLIE);
    stage_told(&s);
    stage_pass(&s, 30000);
    stage_expect(&s, "alice bob charlie <- SKIP 1 (0): 2 of at least 3 clients were READY in time; "
                     "charlie declined (policy): not today\n"
                     "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

/* ---- COMMIT ---------------------------------------------------------------------------------- */

static void who_refuses_the_view_is_left_out(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_to_commit);
    stage_reject(&s, DAVID, FED_POLICY);
    stage_expect(&s, "alice bob charlie david <- ABORT 1: david rejected it (policy): because\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

static void a_stale_start_excludes_nobody(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_commit);
    s.clients[ALICE].cursor[BOB] = 500;
    stage_reject(&s, ALICE, FED_STALE);
    stage_expect(&s, "alice bob charlie <- ABORT 1: alice rejected it (stale): because\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 500 76 76\n");
    stage_deinit(&s);
}

static void attempts_are_bounded(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_commit);
    for (int i = 0; i < 4; i++)
        stage_reject(&s, ALICE, FED_STALE);
    stage_told(&s);
    stage_reject(&s, ALICE, FED_STALE);
    stage_expect(&s, "alice bob charlie <- ABORT 5: alice rejected it (stale): because\n"
                     "alice bob charlie <- SKIP 1 (0): 5 attempts failed; the last one: "
                     "alice rejected it (stale): because\n"
                     "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

static void with_nobody_to_spare_a_refusal_skips_the_round(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_commit);
    stage_reject(&s, BOB, FED_VIEW);
    stage_expect(&s, "alice bob charlie <- ABORT 1: bob rejected it (view): because\n"
                     "alice bob charlie <- SKIP 1 (0): 2 of at least 3 clients were left; "
                     "bob rejected it (view): because\n"
                     "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

/* ---- burn, read: too little key -------------------------------------------------------------- */

static void a_pair_without_key_costs_one_of_its_clients(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_to_commit);
    s.clients[CHARLIE].end[DAVID] = 10;
    s.clients[CHARLIE].end[ALICE] = 500;
    stage_reject(&s, CHARLIE, FED_NO_KEY);
    stage_expect(&s, "alice bob charlie david <- ABORT 1: charlie rejected it (no key): because\n"
                     "alice bob david <- COMMIT 2 of alice bob david, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

static void no_key_without_a_reason_leaves_the_client_out(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_to_commit);
    stage_reject(&s, CHARLIE, FED_NO_KEY);
    stage_expect(&s, "alice bob charlie david <- ABORT 1: charlie rejected it (no key): because\n"
                     "alice bob david <- COMMIT 2 of alice bob david, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

static void the_round_waits_for_key(void **state)
{
    struct stage s;
    setup(&s, 3);
    s.clients[BOB].end[CHARLIE] = 75;
    stage_to_commit(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n");
    s.clients[BOB].end[CHARLIE] = 76;
    stage_levels(&s, BOB);
    stage_expect(&s, "alice bob charlie <- COMMIT 1 of alice bob charlie, T 1, from 0 0 0\n");
    stage_deinit(&s);
}

static void without_key_the_round_is_skipped_and_the_pair_named(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    s.config.deadlines.wait_key_ms = 5000;
    stage_start(&s);
    s.clients[BOB].end[CHARLIE] = 75;
    stage_to_commit(&s);
    stage_told(&s);
    stage_pass(&s, 5000);
    stage_expect(&s,
        "alice bob charlie <- SKIP 1 (0): no key for bob-charlie: not enough confirmed key "
        "(75 of 76 bytes)\n"
        "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

/* A key pool is killed and started again: the client says READY anew when it is back. */
static void who_lost_its_key_pool_may_come_back(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_commit);
    stage_reject(&s, BOB, FED_VAULT);
    stage_expect(&s, "alice bob charlie <- ABORT 1: bob rejected it (key pool): because\n"
                     "bob <- OPEN 1\n");
    stage_ready(&s, BOB);
    stage_expect(&s, "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

/* ---- CONFIRM --------------------------------------------------------------------------------- */

static void a_missing_tag_ends_the_attempt_at_the_deadline(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_to_commit);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_confirm(&s, i);
    stage_told(&s);
    stage_pass(&s, 10000);
    stage_expect(&s, "alice bob charlie david <- ABORT 1: no CONFIRM in time from david\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

static void a_wrong_tag_is_an_alarm_and_excludes_nobody(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_lock);
    stage_reject(&s, BOB, FED_TAG);
    stage_expect(&s, "! attempt 1: bob received a wrong tag: peer or relay\n"
                     "alice bob charlie <- ABORT 1: bob rejected it (tag): because\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

/* ---- before LOCKED --------------------------------------------------------------------------- */

static void a_crash_before_locked_aborts_at_once(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_to_lock);
    stage_drop(&s, DAVID);
    stage_expect(&s, "");
    stage_reincarnate(&s, DAVID);
    stage_connect(&s, DAVID);
    stage_expect(&s, "alice bob charlie david <- ABORT 1: david has lost its part of attempt 1\n"
                     "david <- OPEN 1\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

static void lost_before_locked_aborts_at_once(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_to_commit);
    stage_lost(&s, BOB);
    stage_expect(&s,
        "alice bob charlie david <- ABORT 1: bob has lost its part of attempt 1\n"
        "bob <- OPEN 1\n"
        "alice charlie david <- COMMIT 2 of alice charlie david, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

static void who_stays_away_before_locked_ends_the_attempt_at_the_deadline(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_to_lock);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_locked(&s, i);
    stage_drop(&s, DAVID);
    stage_pass(&s, 9000);
    stage_expect(&s, "");
    stage_pass(&s, 1000);
    stage_expect(&s, "alice bob charlie <- ABORT 1: no LOCKED in time from david\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

static void a_broken_link_before_confirm_gets_the_view_again(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_commit);
    stage_confirm(&s, ALICE);
    stage_drop(&s, BOB);
    stage_told(&s);
    stage_connect(&s, BOB);
    stage_expect(&s, "bob <- COMMIT 1 of alice bob charlie, T 1, from 0 0 0\n"
                     "bob <- RELAY from alice\n");
    stage_deinit(&s);
}

static void a_broken_link_after_confirm_gets_view_and_tags_again(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_lock);
    stage_drop(&s, BOB);
    stage_connect(&s, BOB);
    stage_expect(&s, "bob <- COMMIT 1 of alice bob charlie, T 1, from 0 0 0\n"
                     "bob <- RELAY from alice\n"
                     "bob <- RELAY from charlie\n");
    stage_confirm(&s, BOB);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_locked(&s, i);
    stage_expect(&s, "alice bob charlie <- GO 1 from 0\n");
    stage_deinit(&s);
}

/* Its key pool was lost while it was away, and its refusal with the connection. */
static void an_attempt_given_up_after_confirm_ends_with_the_view_said_again(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_lock);
    stage_drop(&s, BOB);
    stage_connect(&s, BOB);
    stage_told(&s);
    stage_reject(&s, BOB, FED_STALE);
    stage_expect(&s, "alice bob charlie <- ABORT 1: bob rejected it (stale): because\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

/* LOCKED got lost, the outbox says it. */
static void an_outbox_of_the_attempt_counts_as_locked(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_lock);
    stage_locked(&s, ALICE);
    stage_locked(&s, CHARLIE);
    stage_drop(&s, BOB);
    stage_reincarnate(&s, BOB);
    s.clients[BOB].outbox = 1;
    stage_connect(&s, BOB);
    stage_expect(&s, "alice bob charlie <- GO 1 from 0\n");
    stage_deinit(&s);
}

/* ---- GO, UPLOAD ------------------------------------------------------------------------------ */

static void an_upload_goes_on_where_it_broke(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_go);
    stage_upload(&s, BOB, 0, 2, 1);
    stage_drop(&s, BOB);
    stage_reincarnate(&s, BOB);
    stage_connect(&s, BOB);
    stage_expect(&s, "bob <- GO 1 from 2\n");
    stage_upload(&s, BOB, 2, STAGE_CHUNKS, 1);
    stage_upload(&s, ALICE, 0, STAGE_CHUNKS, 1);
    stage_upload(&s, CHARLIE, 0, STAGE_CHUNKS, 1);
    stage_expect(&s, "alice bob charlie <- RESULT 1 of attempt 1, K 3\n");
    stage_deinit(&s);
}

static void chunks_that_come_twice_count_once(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_go);
    stage_upload(&s, ALICE, 0, 2, 1);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_upload(&s, i, 0, STAGE_CHUNKS, 1);
    stage_expect(&s, "alice bob charlie <- RESULT 1 of attempt 1, K 3\n");
    assert_true(aggregator_query(s.a).model[0] == 3 * (1.0 / 42));
    stage_deinit(&s);
}

static void without_its_outbox_the_round_is_skipped_at_once(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_go);
    stage_upload(&s, ALICE, 0, STAGE_CHUNKS, 1);
    stage_drop(&s, BOB);
    stage_reincarnate(&s, BOB);
    s.clients[BOB].outbox = 0;
    stage_connect(&s, BOB);
    stage_expect(&s, "alice bob charlie <- SKIP 1 (1): bob has lost its part of attempt 1\n"
                     "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

static void lost_after_go_skips_the_round_at_once(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_go);
    stage_lost(&s, CHARLIE);
    stage_expect(&s, "alice bob charlie <- SKIP 1 (1): charlie has lost its part of attempt 1\n"
                     "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

static void gone_for_good_skips_the_round_at_the_deadline(void **state)
{
    struct stage s;
    setup_to(&s, 4, stage_to_go);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_upload(&s, i, 0, STAGE_CHUNKS, 1);
    stage_drop(&s, DAVID);
    stage_pass(&s, 10000);
    stage_expect(&s, "alice bob charlie <- SKIP 1 (1): no upload in time from david\n"
                     "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

static void progress_extends_the_deadline(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_go);
    stage_pass(&s, 8000);
    stage_upload(&s, ALICE, 0, 1, 1);
    stage_pass(&s, 8000);
    stage_expect(&s, "");
    stage_pass(&s, 2000);
    stage_expect(&s, "alice bob charlie <- SKIP 1 (1): no upload in time from alice bob charlie\n"
                     "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

static void wrong_canaries_skip_the_round_with_an_alarm(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_go);
    stage_upload(&s, ALICE, 0, STAGE_CHUNKS, 1);
    stage_upload(&s, BOB, 0, STAGE_CHUNKS, 1);
    static const uint8_t garbage[8] = {9, 9, 9, 9, 9, 9, 9, 9};
    stage_chunk(&s, CHARLIE, 1, 0, garbage, 8);
    stage_upload(&s, CHARLIE, 1, STAGE_CHUNKS, 1);
    stage_expect(&s,
        "! round 1: the sum does not decode: 2 canary words are wrong\n"
        "alice bob charlie <- SKIP 1 (1): the sum does not decode: 2 canary words are wrong\n"
        "alice bob charlie <- OPEN 2\n");
    assert_true(aggregator_query(s.a).model[0] == 0);
    stage_deinit(&s);
}

/* ---- RESULT ---------------------------------------------------------------------------------- */

static void a_result_that_was_missed_comes_with_the_connection(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_go);
    for (int i = ALICE; i <= BOB; i++)
        stage_upload(&s, i, 0, STAGE_CHUNKS, 1);
    stage_upload(&s, CHARLIE, 0, STAGE_CHUNKS - 1, 1);
    stage_drop(&s, ALICE);
    stage_upload(&s, CHARLIE, STAGE_CHUNKS - 1, STAGE_CHUNKS, 1);
    stage_done(&s, BOB);
    stage_done(&s, CHARLIE);
    stage_told(&s);
    s.result_chunks = 0;
    stage_connect(&s, ALICE);
    stage_expect(&s, "alice <- RESULT 1 of attempt 1, K 3\n"
                     "alice bob charlie <- OPEN 2\n");
    assert_int_equal(s.result_chunks, STAGE_CHUNKS);
    stage_deinit(&s);
}

static void who_does_not_say_done_is_waited_for_until_the_deadline(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_to_result);
    stage_done(&s, ALICE);
    stage_done(&s, BOB);
    stage_pass(&s, 9000);
    stage_expect(&s, "");
    stage_pass(&s, 1000);
    stage_expect(&s, "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

static void the_model_is_sent_to_whoever_asks(void **state)
{
    struct stage s;
    setup_to(&s, 3, stage_connect_all);
    stage_model_get(&s, BOB);
    assert_int_equal(s.model_chunks, 1);
    stage_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_client_is_left_behind_at_the_deadline),
        cmocka_unit_test(a_dead_client_is_not_waited_for),
        cmocka_unit_test(a_client_that_left_has_time_to_come_back),
        cmocka_unit_test(who_declines_is_not_waited_for),
        cmocka_unit_test(too_few_ready_skips_the_round),
        cmocka_unit_test(who_refuses_the_view_is_left_out),
        cmocka_unit_test(a_stale_start_excludes_nobody),
        cmocka_unit_test(attempts_are_bounded),
        cmocka_unit_test(with_nobody_to_spare_a_refusal_skips_the_round),
        cmocka_unit_test(a_pair_without_key_costs_one_of_its_clients),
        cmocka_unit_test(no_key_without_a_reason_leaves_the_client_out),
        cmocka_unit_test(the_round_waits_for_key),
        cmocka_unit_test(without_key_the_round_is_skipped_and_the_pair_named),
        cmocka_unit_test(who_lost_its_key_pool_may_come_back),
        cmocka_unit_test(a_missing_tag_ends_the_attempt_at_the_deadline),
        cmocka_unit_test(a_wrong_tag_is_an_alarm_and_excludes_nobody),
        cmocka_unit_test(a_crash_before_locked_aborts_at_once),
        cmocka_unit_test(lost_before_locked_aborts_at_once),
        cmocka_unit_test(who_stays_away_before_locked_ends_the_attempt_at_the_deadline),
        cmocka_unit_test(a_broken_link_before_confirm_gets_the_view_again),
        cmocka_unit_test(a_broken_link_after_confirm_gets_view_and_tags_again),
        cmocka_unit_test(an_attempt_given_up_after_confirm_ends_with_the_view_said_again),
        cmocka_unit_test(an_outbox_of_the_attempt_counts_as_locked),
        cmocka_unit_test(an_upload_goes_on_where_it_broke),
        cmocka_unit_test(chunks_that_come_twice_count_once),
        cmocka_unit_test(without_its_outbox_the_round_is_skipped_at_once),
        cmocka_unit_test(lost_after_go_skips_the_round_at_once),
        cmocka_unit_test(gone_for_good_skips_the_round_at_the_deadline),
        cmocka_unit_test(progress_extends_the_deadline),
        cmocka_unit_test(wrong_canaries_skip_the_round_with_an_alarm),
        cmocka_unit_test(a_result_that_was_missed_comes_with_the_connection),
        cmocka_unit_test(who_does_not_say_done_is_waited_for_until_the_deadline),
        cmocka_unit_test(the_model_is_sent_to_whoever_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
