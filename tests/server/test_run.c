/* SPDX-License-Identifier: Apache-2.0 */
/* Runs begin, wait, end, stop and drain; what operators see and may order; a full disk. */
#include "tests/server/stage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { ALICE, BOB, CHARLIE, DAVID };

static void setup_to(struct stage *s, void (*to)(struct stage *s))
{
    stage_init(s, 3);
    stage_start(s);
    to(s);
    stage_told(s);
}

/* ---- begin, wait ----------------------------------------------------------------------------- */

static void a_run_waits_for_the_others(void **state)
{
    struct stage s;
    stage_init(&s, 4);
    s.config.wait_ms = 3000;
    stage_start(&s);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_connect(&s, i);
    stage_tick(&s, 2999);
    stage_expect(&s, "");
    stage_wait(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n");
    stage_deinit(&s);
}

static void a_run_does_not_wait_when_all_are_here(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    s.config.wait_ms = 3000;
    stage_start(&s);
    stage_connect_all(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n");
    stage_deinit(&s);
}

static void two_clients_are_not_enough(void **state)
{
    struct stage s;
    stage_init(&s, 4);
    stage_start(&s);
    stage_connect(&s, ALICE);
    stage_connect(&s, BOB);
    stage_pass(&s, 60000);
    stage_expect(&s, "");
    stage_deinit(&s);
}

static void a_latecomer_takes_part(void **state)
{
    struct stage s;
    stage_init(&s, 4);
    stage_start(&s);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_connect(&s, i);
    stage_told(&s);
    stage_connect(&s, DAVID);
    for (int i = ALICE; i <= DAVID; i++)
        stage_ready(&s, i);
    stage_expect(&s, "david <- OPEN 1\n"
                     "alice bob charlie david <- COMMIT 1 of alice bob charlie david, T 2, "
                     "from 0 0 0 0 0 0\n");
    stage_deinit(&s);
}

static void a_manual_run_begins_on_order(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    s.config.start_auto = false;
    stage_start(&s);
    stage_connect_all(&s);
    stage_expect(&s, "");
    assert_string_equal(stage_ask(&s, "run-start", ""), "{}");
    stage_expect(&s, "alice bob charlie <- OPEN 1\n");
    assert_string_equal(stage_ask(&s, "run-start", ""), "75: a run is under way: round 1 of 3");
    stage_deinit(&s);
}

/* ---- end ------------------------------------------------------------------------------------- */

static void a_run_ends_after_its_rounds(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    s.config.rounds = 1;
    s.config.exit_when_done = true;
    stage_start(&s);
    stage_to_result(&s);
    stage_told(&s);
    stage_finish(&s);
    stage_expect(&s, "alice bob charlie <- RUN_END: all rounds are done\n"
                     "stop 0: the run has ended\n");
    assert_true(aggregator_query(s.a).ended);
    stage_deinit(&s);
}

static void skipped_rounds_count(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    s.config.rounds = 1;
    stage_start(&s);
    stage_to_go(&s);
    stage_told(&s);
    stage_lost(&s, ALICE);
    stage_expect(&s, "alice bob charlie <- SKIP 1 (1): alice has lost its part of attempt 1\n"
                     "alice bob charlie <- RUN_END: all rounds are done\n");
    stage_deinit(&s);
}

static void another_run_starts_from_the_first_model_with_other_attempts(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    s.config.rounds = 1;
    stage_start(&s);
    stage_to_result(&s);
    stage_finish(&s);
    stage_told(&s);
    assert_string_equal(stage_ask(&s, "run-start", "{}"), "{}");
    assert_true(aggregator_query(s.a).model[0] == 0);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_ready(&s, i);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

/* Clients that stay connected have said in their HELLO how far they were in the last one. */
static void another_run_begins_at_round_1_however_long_the_last_was(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    s.config.rounds = 1;
    stage_start(&s);
    stage_connect_all(&s);
    stage_kill(&s);
    for (int i = ALICE; i <= CHARLIE; i++)
        s.clients[i].round = 1;
    stage_start(&s);
    stage_to_result(&s);
    stage_finish(&s);
    stage_told(&s);
    assert_string_equal(stage_ask(&s, "run-start", "{}"), "{}");
    stage_expect(&s, "alice bob charlie <- OPEN 1\n");
    stage_deinit(&s);
}

static void stop_gives_up_what_was_not_released(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_lock);
    stage_ask(&s, "run-stop", "");
    stage_expect(&s, "alice bob charlie <- ABORT 1: the operator ends the run\n"
                     "alice bob charlie <- SKIP 1 (0): the operator ends the run\n"
                     "alice bob charlie <- RUN_END: the operator has ended it\n");
    assert_string_equal(stage_ask(&s, "run-stop", ""), "69: no run is under way");
    stage_deinit(&s);
}

static void stop_finishes_what_was_released(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_go);
    stage_ask(&s, "run-stop", "");
    stage_expect(&s, "");
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_upload(&s, i, 0, STAGE_CHUNKS, 1);
    stage_finish(&s);
    stage_expect(&s, "alice bob charlie <- RESULT 1 of attempt 1, K 3\n"
                     "alice bob charlie <- RUN_END: the operator has ended it\n");
    stage_deinit(&s);
}

static void drain_in_open_ends_at_once_and_the_round_opens_again(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    stage_ask(&s, "drain", "");
    stage_expect(&s, "stop 0: drained; the round opens again after a restart\n");
    stage_kill(&s);
    stage_start(&s);
    stage_connect_all(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n");
    stage_deinit(&s);
}

static void drain_aborts_what_was_not_released(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_commit);
    aggregator_drain(s.a);
    stage_tick(&s, 0);
    stage_expect(&s, "alice bob charlie <- ABORT 1: the server is stopping\n"
                     "stop 0: drained; the round opens again after a restart\n");
    stage_deinit(&s);
}

static void drain_finishes_what_was_released(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_go);
    stage_ask(&s, "drain", "");
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_upload(&s, i, 0, STAGE_CHUNKS, 1);
    stage_expect(&s, "alice bob charlie <- RESULT 1 of attempt 1, K 3\n");
    stage_finish(&s);
    stage_expect(&s, "stop 0: drained\n");
    stage_deinit(&s);
}

/* ---- questions ------------------------------------------------------------------------------- */

static void status_shows_phases_and_key(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_commit);
    stage_confirm(&s, BOB);
    const char *status = stage_ask(&s, "status", "");
    assert_non_null(strstr(status, "\"round\":1,\"rounds\":3,\"phase\":\"confirm\",\"attempt\":1,"
                                   "\"participants\":3,\"T\":1,"));
    assert_non_null(strstr(status, "{\"site\":\"alice\",\"connected\":true,\"phase\":\"checking\","
                                   "\"participant\":true,\"samples\":100}"));
    assert_non_null(strstr(status, "{\"site\":\"bob\",\"connected\":true,\"phase\":\"masking\","));
    /* 100,000 bytes, of which 76 are proposed; 76 each round */
    assert_non_null(
        strstr(status, "{\"pair\":\"alice-bob\",\"state\":\"in step\",\"simulated\":false,"
                       "\"available_bits\":799392,\"rounds_left\":1314}"));
    stage_deinit(&s);
}

static void the_published_sum_can_be_asked_for(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_result);
    const char *sum = stage_ask(&s, "sum", "{\"round\": 1}");
    assert_non_null(strstr(sum, "{\"round\":1,\"attempt\":1,\"participants\":3,"
                                "\"sites\":[\"alice\",\"bob\",\"charlie\"],\"sum\":[6,6,6,"));
    assert_string_equal(
        stage_ask(&s, "sum", "{\"round\": 2}"), "66: the sum of round 2 is not kept");
    stage_deinit(&s);
}

static void wrong_questions_are_answered_with_a_sentence(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    assert_string_equal(stage_ask(&s, "dance", ""), "64: no verb \"dance\" here");
    assert_string_equal(stage_ask(&s, "status", "[1"), "64: the arguments are not a JSON object");
    assert_string_equal(stage_ask(&s, "sum", "{}"), "64: sum takes {\"round\": N}");
    assert_string_equal(stage_ask(&s, "evaluation", "{\"round\": 1}"),
        "64: evaluation takes {\"round\": N, \"loss\": X, \"accuracy\": Y}");
    assert_string_equal(
        stage_ask(&s, "evaluation", "{\"round\": 1, \"loss\": 0.5, \"accuracy\": 1}"), "{}");
    stage_deinit(&s);
}

/* ---- a full disk ----------------------------------------------------------------------------- */

static void a_full_store_lets_the_clients_go_and_serves_operators(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_lock);
    store_sim_fail_at(s.store, 1, -ENOSPC);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_locked(&s, i);
    static const char full[] = "the store is full: make room and restart the server";
    assert_non_null(strstr(stage_told(&s), full));
    for (int i = ALICE; i <= CHARLIE; i++)
        assert_int_equal(s.clients[i].conn, 0);
    assert_non_null(strstr(stage_ask(&s, "status", ""), full));
    stage_connect_only(&s, ALICE);
    stage_expect(&s, "alice closed: the store is full: make room and restart the server\n");
    stage_ask(&s, "drain", "");
    stage_tick(&s, 0);
    assert_true(s.stopped);
    stage_kill(&s);
    stage_start(&s);
    stage_told(&s);
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_connect(&s, i);
    stage_expect(&s, "alice <- ABORT 1: the attempt was aborted\n"
                     "bob <- ABORT 1: the attempt was aborted\n"
                     "charlie <- ABORT 1: the attempt was aborted\n"
                     "alice bob charlie <- OPEN 1\n");
    stage_deinit(&s);
}

/* ---- refused at start ------------------------------------------------------------------------ */

static void expect_refused(struct stage *s, const char *sentence)
{
    struct err e = {0};
    assert_int_equal(
        aggregator_new(&s->a, &s->config, store_sim_store(s->store), s->now_ms, &e), -EINVAL);
    assert_string_equal(e.text, sentence);
    stage_deinit(s);
}

static void what_cannot_work_is_refused_at_start(void **state)
{
    struct stage s;
    stage_init(&s, 8);
    s.params.q = 4;
    expect_refused(&s, "a federation of 8 sites: q = 4 is too small for 8 participants: the least "
                       "is q = 5");
    stage_init(&s, 3);
    s.config.min_clients = 2;
    expect_refused(&s, "min_clients is 2: a sum of fewer than 3 updates hides none of them");
    stage_init(&s, 3);
    s.config.min_clients = 4;
    expect_refused(&s, "a roster of 3 sites cannot make min_clients 4");
    static const char *const twice[] = {"alice", "alice", "bob"};
    stage_init(&s, 3);
    s.config.roster = twice;
    expect_refused(&s, "alice stands twice in the roster");
    stage_init(&s, 3);
    s.params.q = 32;
    s.params.chunk_words = 524288;
    s.params.parameters = 1000000;
    expect_refused(&s, "chunks of 524288 words of 32 bits are larger than 1048576 bytes");
}

static void a_model_of_another_size_is_refused_while_the_run_lasts(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    stage_kill(&s);
    s.params.parameters = STAGE_PARAMETERS - 1;
    expect_refused(&s,
        "the run in the store has a model of 20 parameters, the configured one has "
        "19: restore the configuration, or start anew with an empty state directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_waits_for_the_others),
        cmocka_unit_test(a_run_does_not_wait_when_all_are_here),
        cmocka_unit_test(two_clients_are_not_enough),
        cmocka_unit_test(a_latecomer_takes_part),
        cmocka_unit_test(a_manual_run_begins_on_order),
        cmocka_unit_test(a_run_ends_after_its_rounds),
        cmocka_unit_test(skipped_rounds_count),
        cmocka_unit_test(another_run_starts_from_the_first_model_with_other_attempts),
        cmocka_unit_test(another_run_begins_at_round_1_however_long_the_last_was),
        cmocka_unit_test(stop_gives_up_what_was_not_released),
        cmocka_unit_test(stop_finishes_what_was_released),
        cmocka_unit_test(drain_in_open_ends_at_once_and_the_round_opens_again),
        cmocka_unit_test(drain_aborts_what_was_not_released),
        cmocka_unit_test(drain_finishes_what_was_released),
        cmocka_unit_test(status_shows_phases_and_key),
        cmocka_unit_test(the_published_sum_can_be_asked_for),
        cmocka_unit_test(wrong_questions_are_answered_with_a_sentence),
        cmocka_unit_test(a_full_store_lets_the_clients_go_and_serves_operators),
        cmocka_unit_test(what_cannot_work_is_refused_at_start),
        cmocka_unit_test(a_model_of_another_size_is_refused_while_the_run_lasts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
