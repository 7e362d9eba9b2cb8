/* SPDX-License-Identifier: Apache-2.0 */
/* One session per site; strangers, second instances, and peers that break the protocol. */
#include "server/sessions.h"
#include "tests/server/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { ALICE, BOB, CHARLIE };

static void setup_to(struct stage *s, void (*to)(struct stage *s))
{
    stage_init(s, 3);
    stage_start(s);
    to(s);
    stage_told(s);
}

static void open_as(struct stage *s, uint32_t conn, enum role role, const char *site)
{
    struct event event = {.kind = EVENT_OPENED, .conn = conn, .now_ms = s->now_ms};
    event.opened.role = role;
    event.opened.site = site;
    stage_event(s, event);
}

static void a_stranger_is_refused(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    open_as(&s, 500, ROLE_CLIENT, "mallory");
    stage_expect(&s, "! mallory is not in the roster of federation demo: refused\n"
                     "newcomer closed: not in the roster of this federation\n");
    open_as(&s, 501, ROLE_KME, "alice");
    stage_expect(&s, "newcomer closed: a kme has no business here\n");
    stage_deinit(&s);
}

static void one_peer_cannot_take_all_connections(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    for (uint32_t i = 0; i < 3; i++)
        open_as(&s, 500 + i, ROLE_CLIENT, "bob");
    stage_expect(&s, "");
    open_as(&s, 503, ROLE_CLIENT, "bob");
    stage_expect(&s, "newcomer closed: too many connections of this peer\n");
    stage_deinit(&s);
}

static void the_same_process_replaces_its_old_connection_at_once(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_commit);
    uint32_t old = s.clients[BOB].conn;
    stage_connect_only(&s, BOB);
    assert_true(s.clients[BOB].conn != old);
    stage_hello(&s, BOB);
    stage_expect(&s, "newcomer closed: the same process has connected again\n"
                     "bob <- COMMIT 1 of alice bob charlie, T 1, from 0 0 0\n");
    stage_deinit(&s);
}

/* Bob's first process stays at `first` while the second says hello. */
static uint32_t second_instance(struct stage *s)
{
    uint32_t first = s->clients[BOB].conn;
    stage_reincarnate(s, BOB);
    stage_connect(s, BOB);
    return first;
}

static void another_process_is_refused_while_the_first_answers(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    uint32_t second_conn;
    uint32_t first = second_instance(&s);
    stage_expect(&s, "newcomer <- PING\n");
    second_conn = s.clients[BOB].conn;
    s.clients[BOB].conn = first;
    stage_frame(&s, BOB, LINK_PONG, NULL, 0);
    stage_expect(&s,
        "! bob: a second process claims this site while the first one answers; refused\n"
        "newcomer closed: another process of this site is connected\n");
    assert_true(second_conn != first);
    stage_tick(&s, 2000);
    stage_expect(&s, "");
    stage_deinit(&s);
}

static void another_process_replaces_a_silent_one_after_a_second(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    second_instance(&s);
    stage_told(&s);
    stage_tick(&s, 999);
    stage_expect(&s, "");
    stage_wait(&s);
    stage_expect(&s, "newcomer closed: silent, and another process takes its place\n"
                     "bob <- OPEN 1\n");
    stage_deinit(&s);
}

static void another_process_takes_its_place_when_the_first_goes(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    uint32_t first = second_instance(&s);
    stage_told(&s);
    stage_event(&s, (struct event){.kind = EVENT_CLOSED, .conn = first});
    stage_expect(&s, "bob <- OPEN 1\n");
    stage_deinit(&s);
}

static void a_silent_client_is_pinged_and_let_go(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    stage_tick(&s, 4000);
    stage_expect(&s, "charlie bob alice <- PING\n");
    stage_frame(&s, ALICE, LINK_PONG, NULL, 0);
    stage_frame(&s, BOB, LINK_PONG, NULL, 0);
    stage_tick(&s, 6000);
    assert_non_null(strstr(stage_told(&s), "charlie closed: fed: silent for 10000 ms\n"));
    stage_deinit(&s);
}

static void a_connection_without_hello_is_closed(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    stage_start(&s);
    stage_connect_only(&s, ALICE);
    stage_wait(&s);
    stage_expect(&s, "alice closed: fed: no hello within 5000 ms\n");
    stage_deinit(&s);
}

/* ---- breaking the protocol closes that connection, and nothing else -------------------------- */

static void garbage_closes_the_connection(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_go);
    stage_frame(&s, ALICE, FED_CHUNK, "\xff\xff\xff", 3);
    stage_expect(&s, "alice closed: fed: Chunk is malformed\n");
    stage_connect(&s, ALICE);
    stage_expect(&s, "alice <- GO 1 from 0\n");
    stage_deinit(&s);
}

static void expect_refused_chunk(uint64_t attempt, uint32_t index, size_t len, const char *text)
{
    static const uint8_t data[16];
    struct stage s;
    setup_to(&s, stage_to_go);
    stage_chunk(&s, BOB, attempt, index, data, len);
    stage_expect(&s, text);
    assert_non_null(strstr(stage_ask(&s, "metrics", ""), "\"chunks_added\":0"));
    stage_deinit(&s);
}

static void a_wrong_chunk_is_not_added(void **state)
{
    expect_refused_chunk(1, 1, 8, "bob closed: chunk 1 where 0 comes next\n");
    expect_refused_chunk(1, 400, 8, "bob closed: chunk 400 where 0 comes next\n");
    expect_refused_chunk(1, 0, 9, "bob closed: chunk 0 of 9 bytes, not 8\n");
    expect_refused_chunk(1, 0, 0, "bob closed: chunk 0 of 0 bytes, not 8\n");
    expect_refused_chunk(2, 0, 8, "bob closed: a chunk of no attempt\n");
    expect_refused_chunk(0, 0, 8, "");
}

static void a_chunk_before_go_is_not_added(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_lock);
    stage_upload(&s, BOB, 0, 1, 1);
    stage_expect(&s, "bob closed: a chunk of an attempt that was not released to it\n");
    stage_deinit(&s);
}

static void a_late_chunk_of_a_skipped_attempt_is_dropped(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_go);
    stage_lost(&s, ALICE);
    stage_told(&s);
    stage_upload(&s, BOB, 0, 1, 1);
    stage_expect(&s, "");
    stage_deinit(&s);
}

static void resending_without_end_is_stopped(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_go);
    for (int i = 0; i <= STAGE_CHUNKS; i++)
        stage_upload(&s, BOB, 0, 1, 1);
    stage_expect(&s, "");
    stage_upload(&s, BOB, 0, 1, 1);
    stage_expect(&s, "bob closed: chunks come again and again\n");
    stage_deinit(&s);
}

static void out_of_turn(void **state)
{
    struct stage s;
    setup_to(&s, stage_to_commit);
    stage_locked(&s, ALICE);
    stage_expect(&s, "alice closed: LOCKED before CONFIRM\n");
    stage_done(&s, BOB);
    stage_expect(&s, "bob closed: DONE before RESULT\n");
    s.attempt = 77;
    stage_lost(&s, CHARLIE);
    stage_expect(&s, "charlie closed: speaks of no attempt\n");
    stage_deinit(&s);
}

static void a_client_outside_the_attempt_cannot_end_it(void **state)
{
    struct stage s;
    stage_init(&s, 4);
    stage_start(&s);
    s.clients[3].end[ALICE] = s.clients[3].end[BOB] = s.clients[3].end[CHARLIE] = 1;
    stage_to_commit(&s);
    stage_told(&s);
    stage_reject(&s, 3, FED_POLICY);
    stage_expect(&s, "david closed: speaks in an attempt that it is not part of\n");
    stage_deinit(&s);
}

static void too_many_messages_are_stopped(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    for (uint32_t i = 0; i < SESSION_BUDGET - 1; i++)
        stage_levels(&s, BOB);
    stage_expect(&s, "");
    stage_levels(&s, BOB);
    stage_expect(&s, "bob closed: too many messages\n");
    stage_deinit(&s);
}

static void the_same_model_is_not_sent_for_ever(void **state)
{
    struct stage s;
    setup_to(&s, stage_connect_all);
    for (int i = 0; i < 4; i++)
        stage_model_get(&s, BOB);
    stage_expect(&s, "");
    stage_model_get(&s, BOB);
    stage_expect(&s, "bob closed: asks for the same model again and again\n");
    stage_deinit(&s);
}

static void a_hello_that_does_not_fit_is_refused(void **state)
{
    struct stage s;
    stage_init(&s, 3);
    stage_start(&s);
    s.clients[ALICE].last_attempt = (uint64_t)1 << 40;
    stage_connect(&s, ALICE);
    stage_expect(&s, "alice closed: its attempts are far ahead of this server's: another "
                     "federation's client?\n");
    stage_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_is_refused),
        cmocka_unit_test(one_peer_cannot_take_all_connections),
        cmocka_unit_test(the_same_process_replaces_its_old_connection_at_once),
        cmocka_unit_test(another_process_is_refused_while_the_first_answers),
        cmocka_unit_test(another_process_replaces_a_silent_one_after_a_second),
        cmocka_unit_test(another_process_takes_its_place_when_the_first_goes),
        cmocka_unit_test(a_silent_client_is_pinged_and_let_go),
        cmocka_unit_test(a_connection_without_hello_is_closed),
        cmocka_unit_test(garbage_closes_the_connection),
        cmocka_unit_test(a_wrong_chunk_is_not_added),
        cmocka_unit_test(a_chunk_before_go_is_not_added),
        cmocka_unit_test(a_late_chunk_of_a_skipped_attempt_is_dropped),
        cmocka_unit_test(resending_without_end_is_stopped),
        cmocka_unit_test(out_of_turn),
        cmocka_unit_test(a_client_outside_the_attempt_cannot_end_it),
        cmocka_unit_test(too_many_messages_are_stopped),
        cmocka_unit_test(the_same_model_is_not_sent_for_ever),
        cmocka_unit_test(a_hello_that_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
