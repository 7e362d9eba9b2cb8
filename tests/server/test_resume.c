/* SPDX-License-Identifier: Apache-2.0 */
/* The server dies: it resumes from the journal, in whatever phase it was. */
#include "tests/server/puppets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { ALICE, BOB, CHARLIE };

/* A federation of three in the given state, whose server is then killed and started again. */
static void restart_in(struct stage *s, void (*to)(struct stage *s))
{
    stage_init(s, 3);
    stage_start(s);
    to(s);
    stage_kill(s);
    stage_start(s);
    stage_told(s);
}

static void in_open_the_same_round_opens_again(void **state)
{
    struct stage s;
    restart_in(&s, stage_connect_all);
    stage_connect_all(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n");
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_ready(&s, i);
    stage_expect(&s, "alice bob charlie <- COMMIT 1 of alice bob charlie, T 1, from 0 0 0\n");
    stage_deinit(&s);
}

static void in_commit_the_attempt_is_aborted(void **state)
{
    struct stage s;
    restart_in(&s, stage_to_lock);
    stage_to_commit(&s);
    stage_expect(&s, "alice <- ABORT 1: the server was restarted\n"
                     "bob <- ABORT 1: the server was restarted\n"
                     "charlie <- ABORT 1: the server was restarted\n"
                     "alice bob charlie <- OPEN 1\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

static void an_outbox_of_an_aborted_attempt_is_answered(void **state)
{
    struct stage s;
    restart_in(&s, stage_to_lock);
    s.clients[BOB].outbox = 1;
    stage_connect(&s, BOB);
    stage_expect(&s, "bob <- ABORT 1: the attempt was aborted\n");
    stage_deinit(&s);
}

static void in_go_all_uploads_start_again(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    stage_start(&s);
    stage_to_go(&s);
    stage_upload(&s, ALICE, 0, STAGE_CHUNKS, 1);
    stage_upload(&s, BOB, 0, 2, 1);
    stage_kill(&s);
    stage_start(&s);
    stage_told(&s);
    stage_connect_all(&s);
    stage_expect(&s, "alice <- GO 1 from 0\nbob <- GO 1 from 0\ncharlie <- GO 1 from 0\n");
    for (int i = ALICE; i <= CHARLIE; i++)
        stage_upload(&s, i, 0, STAGE_CHUNKS, 1);
    stage_expect(&s, "alice bob charlie <- RESULT 1 of attempt 1, K 3\n");
    assert_true(aggregator_query(s.a).model[0] == 3 * (1.0 / 42));
    stage_deinit(&s);
}

static void in_go_who_does_not_come_back_skips_the_round(void **state)
{
    struct stage s;
    restart_in(&s, stage_to_go);
    stage_connect(&s, ALICE);
    stage_connect(&s, BOB);
    stage_told(&s);
    stage_pass(&s, 10000);
    stage_expect(&s, "alice bob <- SKIP 1 (1): no upload in time from alice bob charlie\n");
    stage_connect(&s, CHARLIE);
    stage_expect(&s, "charlie <- SKIP 0 (1): the round was skipped\n"
                     "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

static void after_the_result_an_outbox_is_answered(void **state)
{
    struct stage s;
    restart_in(&s, stage_to_result);
    assert_true(aggregator_query(s.a).model[0] == 6 * (1.0 / 42));
    stage_connect_all(&s);
    stage_expect(&s, "alice <- RESULT 1 of attempt 1, K 3\n"
                     "bob <- RESULT 1 of attempt 1, K 3\n"
                     "charlie <- RESULT 1 of attempt 1, K 3\n"
                     "alice bob charlie <- OPEN 2\n");
    assert_int_equal(s.result_chunks, 2 * 3 * STAGE_CHUNKS);
    stage_deinit(&s);
}

static void after_the_end_nothing_starts_again(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    s.config.rounds = 1;
    stage_start(&s);
    stage_to_result(&s);
    stage_finish(&s);
    stage_kill(&s);
    stage_start(&s);
    stage_told(&s);
    stage_connect_all(&s);
    stage_expect(&s, "alice <- RUN_END: the run has ended\n"
                     "bob <- RUN_END: the run has ended\n"
                     "charlie <- RUN_END: the run has ended\n");
    stage_deinit(&s);
}

static void attempts_stay_above_any_that_a_client_has_seen(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    stage_start(&s);
    s.clients[BOB].last_attempt = 41;
    stage_to_commit(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n"
                     "alice bob charlie <- COMMIT 42 of alice bob charlie, T 1, from 0 0 0\n");
    stage_deinit(&s);
}

/* A journal restored from a backup: no attempt number and no key range comes again. */
static void a_restored_journal_goes_on_above_what_clients_report(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    stage_start(&s);
    struct store_sim *backup = store_sim_snapshot(s.store);
    stage_to_result(&s);
    stage_kill(&s);
    store_sim_restore(s.store, backup);
    store_sim_free(backup);
    stage_start(&s);
    stage_told(&s);
    stage_to_commit(&s);
    stage_expect(&s, "alice <- SKIP 0 (1): no such attempt is known\n"
                     "bob <- SKIP 0 (1): no such attempt is known\n"
                     "charlie <- SKIP 0 (1): no such attempt is known\n"
                     "alice bob charlie <- OPEN 1\n"
                     "alice bob charlie <- COMMIT 2 of alice bob charlie, T 1, from 76 76 76\n");
    stage_deinit(&s);
}

/* It would be refused round after round: it goes on behind the last one that most have been in. */
static void a_restored_journal_catches_up_with_the_rounds_of_its_clients(void **state)
{
    struct stage s;
    stage_init(&s, 5);
    s.config.rounds = 100;
    stage_start(&s);
    stage_connect_all(&s);
    stage_kill(&s);
    struct store_sim *backup = store_sim_snapshot(s.store);
    const uint64_t rounds[] = {7, 48, 49, 50, 99};
    for (int i = 0; i < 5; i++)
        s.clients[i].round = rounds[i];
    stage_start(&s);
    stage_told(&s);
    for (int i = 4; i >= 2; i--)
        stage_connect(&s, i);
    stage_expect(&s, "! clients have been in round 49, the journal knows of 0 rounds: "
                     "restored from a backup?\n"
                     "charlie david erin <- OPEN 50\n");
    stage_kill(&s);
    store_sim_restore(s.store, backup);
    store_sim_free(backup);
    stage_start(&s);
    stage_told(&s);
    stage_connect_all(&s);
    stage_expect(&s, "! clients have been in round 7, the journal knows of 0 rounds: "
                     "restored from a backup?\n"
                     "alice bob charlie <- OPEN 8\n"
                     "david <- OPEN 8\n"
                     "alice bob charlie david <- SKIP 8 (0): "
                     "clients have been in round 48 already\n"
                     "! clients have been in round 48, the journal knows of 8 rounds: "
                     "restored from a backup?\n"
                     "alice bob charlie david <- OPEN 49\n"
                     "erin <- OPEN 49\n");
    stage_deinit(&s);
}

/* ... and no one client decides which that is. */
static void one_client_alone_moves_no_round(void **state)
{
    struct stage s;
    restart_in(&s, stage_connect_all);
    s.clients[BOB].round = UINT32_MAX;
    stage_connect_all(&s);
    stage_expect(&s, "alice bob charlie <- OPEN 1\n");
    stage_deinit(&s);
}

static void attempts_of_a_round_are_counted_over_restarts(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    stage_start(&s);
    stage_to_commit(&s);
    for (int i = 0; i < 3; i++)
        stage_reject(&s, ALICE, FED_STALE);
    stage_kill(&s);
    stage_start(&s);
    stage_to_commit(&s);
    stage_told(&s);
    stage_reject(&s, ALICE, FED_STALE);
    stage_expect(&s, "alice bob charlie <- ABORT 5: alice rejected it (stale): because\n"
                     "alice bob charlie <- SKIP 1 (0): 5 attempts failed; the last one: "
                     "alice rejected it (stale): because\n"
                     "alice bob charlie <- OPEN 2\n");
    stage_deinit(&s);
}

/* ---- the power goes at every single write ---------------------------------------------------- */

/* A run of one round, with the power going in write n; what it yields must be the same each time. */
static bool round_with_power_cut(uint64_t n, uint64_t seed)
{
    struct puppets p;
    struct stage *s = &p.stage;
    puppets_init(&p, 3);
    s->config.rounds = 1;
    store_sim_free(s->store);
    s->store = store_sim_new(seed);
    store_sim_cut_at(s->store, n);
    bool was_cut = stage_try_start(s) < 0;
    puppets_play(&p);
    was_cut |= s->is_dead;
    if (was_cut) {
        store_sim_restart(s->store);
        stage_kill(s);
        stage_start(s);
        memset(p.puppets, 0, sizeof(p.puppets));
        puppets_play(&p);
    }
    assert_true(aggregator_query(s->a).ended);
    assert_int_equal(aggregator_query(s->a).rounds_summed, 1);
    assert_true(aggregator_query(s->a).model[0] == 6 * (1.0 / 42));
    puppets_deinit(&p);
    return was_cut;
}

static void power_cut_at_every_write(void **state)
{
    int cuts = 0;
    for (uint64_t n = 1; n <= 8; n++)
        for (uint64_t seed = 1; seed <= 6; seed++)
            cuts += round_with_power_cut(n, seed);
    assert_true(cuts >= 6 * 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_open_the_same_round_opens_again),
        cmocka_unit_test(in_commit_the_attempt_is_aborted),
        cmocka_unit_test(an_outbox_of_an_aborted_attempt_is_answered),
        cmocka_unit_test(in_go_all_uploads_start_again),
        cmocka_unit_test(in_go_who_does_not_come_back_skips_the_round),
        cmocka_unit_test(after_the_result_an_outbox_is_answered),
        cmocka_unit_test(after_the_end_nothing_starts_again),
        cmocka_unit_test(attempts_stay_above_any_that_a_client_has_seen),
        cmocka_unit_test(a_restored_journal_goes_on_above_what_clients_report),
        cmocka_unit_test(a_restored_journal_catches_up_with_the_rounds_of_its_clients),
        cmocka_unit_test(one_client_alone_moves_no_round),
        cmocka_unit_test(attempts_of_a_round_are_counted_over_restarts),
        cmocka_unit_test(power_cut_at_every_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
