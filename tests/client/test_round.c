/* SPDX-License-Identifier: Apache-2.0 */
/* One client's conversations with server and vault: a story per row of the failure table. */
#include "tests/client/rig.h"

#include "client/outbox.h"
#include "common/util.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- the undisturbed round -------------------------------------------------------------------- */

static void a_round_from_hello_to_done(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, 1);
    rig_connect_vault(&r);
    rig_connect_server(&r);
    rig_expect(&r, "server: HELLO round 0, attempt 0, outbox 0, 3 levels\n");
    rig_open(&r, 1);
    rig_expect(&r, "server: MODEL_GET\n");
    rig_send_model(&r);
    rig_expect(&r, "server: READY 1 n=10, 3 levels\n");
    rig_plan(&r, 7);
    rig_commit(&r);
    rig_expect(&r, "vault: RESERVE 7 0+76 0+76 0+76\n"
                   "server: CONFIRM 7 to alice charlie david\n");
    rig_relay(&r, "alice");
    rig_relay(&r, "david");
    rig_expect(&r, "");
    rig_relay(&r, "charlie");
    rig_expect(&r, "vault: RELEASE 7\nserver: LOCKED 7\n");
    rig_go(&r, 7, 0);
    rig_expect(&r, "server: CHUNK 0 of 7\nserver: CHUNK 1 of 7\n"
                   "server: CHUNK 2 of 7\nserver: CHUNK 3 of 7\n");
    rig_result(&r, 1, 7, 3);
    rig_expect(&r, "server: DONE 7\n");
    assert_true(rig_phase(&r, "idle"));
    assert_memory_equal(participant_query(r.p).model, r.model, sizeof(r.model));
    assert_int_equal(disk_size(disk_sim_disk(r.disk), OUTBOX_FILE), -2 /* ENOENT */);
    rig_deinit(&r);
}

/* ---- TRAIN, READY ------------------------------------------------------------------------------ */

static void a_failed_training_declines_with_its_sentence(void **state)
{
    struct rig *r = *state;
    r->trainer.fails = true;
    rig_open(r, 1);
    rig_send_model(r);
    rig_expect(r, "server: MODEL_GET\nserver: DECLINE 1 TRAINING: the data set cannot be read\n");
    r->trainer.fails = false;
    rig_open(r, 2);
    rig_expect(r, "server: READY 2 n=10, 3 levels\n");
}

static void a_slow_training_is_overtaken_by_the_next_round(void **state)
{
    struct rig *r = *state;
    r->is_job_slow = true;
    rig_open(r, 1);
    rig_send_model(r);
    rig_skip(r, 1, 0);
    rig_open(r, 2);
    assert_int_equal(r->trainer.runs, 0);
    rig_finish_job(r); /* of round 1: its result does not count, the trainer is free again */
    assert_true(rig_phase(r, "training"));
    rig_forget(r);
    rig_finish_job(r);
    rig_expect(r, "server: READY 2 n=10, 3 levels\n");
    assert_int_equal(participant_query(r->p).training, 2);
}

static void a_round_that_goes_on_without_a_straggler(void **state)
{
    struct rig *r = *state;
    r->is_job_slow = true;
    rig_open(r, 1);
    rig_send_model(r);
    rig_forget(r);
    rig_result(r, 1, 5, 2);
    rig_expect(r, ""); /* DONE is for those who had an outbox */
    assert_memory_equal(participant_query(r->p).model, r->model, sizeof(r->model));
    rig_finish_job(r);
    assert_true(rig_phase(r, "idle"));
    rig_expect(r, "");
}

static void a_model_that_is_not_the_one_named(void **state)
{
    struct rig *r = *state;
    rig_open(r, 1);
    r->model[3] += 1;
    rig_forget(r);
    rig_send_model(r);
    rig_expect(r,
        "alarm: the model received is not the one that the round names\n"
        "server: DECLINE 1 POLICY: the model received is not the one that the round names\n");
    assert_int_equal(r->trainer.runs, 0);
}

static void a_server_lost_while_the_model_comes(void **state)
{
    struct rig *r = *state;
    rig_open(r, 1);
    rig_lose_server(r);
    rig_forget(r);
    rig_connect_server(r);
    rig_expect(r, "server: HELLO round 0, attempt 0, outbox 0, 3 levels\nserver: MODEL_GET\n");
    rig_open(r, 1); /* the server says it again */
    rig_send_model(r);
    rig_expect(r, "server: READY 1 n=10, 3 levels\n");
}

static void a_server_lost_after_ready_hears_it_again(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_lose_server(r);
    rig_connect_server(r);
    rig_expect(r, "server: HELLO round 1, attempt 0, outbox 0, model, 3 levels\n");
    rig_open(r, 1);
    rig_expect(r, "server: READY 1 n=10, 3 levels\n");
    assert_int_equal(r->trainer.runs, 1);
}

static void a_vault_that_is_away_delays_ready_then_declines(void **state)
{
    struct rig *r = *state;
    rig_lose_vault(r);
    rig_open(r, 1);
    rig_send_model(r);
    rig_forget(r);
    rig_wait(r, 1999);
    assert_true(rig_phase(r, "leveling"));
    rig_expect(r, "");
    rig_wait(r, 1);
    rig_expect(r, "server: DECLINE 1 VAULT: the key pool cannot be reached\n");
    rig_lose_server(r); /* which asks again when it is back */
    rig_connect_server(r);
    rig_open(r, 1);
    rig_forget(r);
    rig_wait(r, 2000);
    rig_expect(r, "server: DECLINE 1 VAULT: the key pool cannot be reached\n");
    rig_connect_vault(r);
    rig_expect(r, "server: READY 1 n=10, 3 levels\n");
}

static void levels_are_told_when_they_change(void **state)
{
    struct rig *r = *state;
    r->vault.streams[0].end = 5000;
    rig_wait(r, 2000);
    rig_expect(r, "server: LEVELS\n");
    r->vault.streams[0].end += 100;
    rig_wait(r, 1900);
    rig_expect(r, "");
    r->vault.streams[1].in_step = false;
    rig_wait(r, 3000);
    assert_non_null(strstr(r->story, "server: LEVELS\n"));
}

/* ---- COMMIT, RESERVE ---------------------------------------------------------------------------- */

static void a_refused_view_touches_no_key(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    r->plan.members[3].site = (char *)"zoe";
    rig_commit(r);
    rig_expect(r, "server: REJECT 7 POLICY: the participant 'zoe' is not on this site's roster\n");
    assert_int_equal(r->vault.handed_out, 0);
    rig_plan(r, 8);
    rig_commit(r);
    assert_true(rig_phase(r, "confirming"));
}

static void garbage_instead_of_a_view(void **state)
{
    struct rig *r = *state;
    Fed__Commit m = FED__COMMIT__INIT;
    uint8_t bytes[] = {1, 2, 3};
    rig_ready(r, 1);
    m.attempt = 7;
    m.view = (ProtobufCBinaryData){sizeof(bytes), bytes};
    rig_say(r, FED_COMMIT, &m.base);
    rig_expect(r, "server: REJECT 7 VIEW: view: malformed\n");
}

static void a_stale_start_is_refused_with_fresh_cursors(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    r->vault.streams[1].cursor = 10;
    rig_commit(r);
    rig_expect(r, "server: REJECT 7 STALE: the key for charlie starts at 0, the cursor is at 10\n");
}

/* Its KME link may be dead without knowing it: the others' key is not burnt for ever. */
static void starts_that_do_not_come_right_end_in_no_key(void **state)
{
    static const char *const heard[] = {"STALE", "STALE", "NO_KEY"};
    struct rig *r = *state;
    rig_ready(r, 1);
    for (size_t i = 0; i < ARRAY_SIZE(heard); i++) {
        char expected[64];
        snprintf(expected, sizeof(expected),
            "REJECT %d %s: the key for charlie starts at 1000, far", (int)i + 7, heard[i]);
        rig_plan(r, i + 7);
        plan_edge(&r->plan, 1, 2)->start = 1000;
        rig_commit(r);
        assert_non_null(strstr(r->story, expected));
        rig_forget(r);
    }
    rig_ready(r, 2);
    rig_plan(r, 10);
    plan_edge(&r->plan, 1, 2)->start = 1000;
    rig_commit(r);
    assert_non_null(strstr(r->story, "REJECT 10 STALE"));
}

static void the_vault_has_not_enough_key(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    r->vault.refuse = VAULT_NO_KEY;
    rig_commit(r);
    rig_expect(r, "vault: RESERVE 7 0+76 0+76 0+76\nserver: REJECT 7 NO_KEY: the vault says no\n");
    assert_true(rig_phase(r, "ready"));
    rig_plan(r, 8);
    rig_commit(r);
    rig_expect(r, "vault: RESERVE 8 0+76 0+76 0+76\nserver: CONFIRM 8 to alice charlie david\n");
}

static void what_the_vault_refuses_and_what_the_server_hears(void **state)
{
    static const struct {
        uint32_t code;
        const char *heard;
    } rows[] = {
        {VAULT_OLD_ATTEMPT, "STALE"}, {VAULT_LOST, "STALE"}, {VAULT_OUT_OF_STEP, "NO_KEY"},
        {VAULT_NO_STREAM, "NO_KEY"}, {VAULT_BAD_REQUEST, "VAULT"},
        {VAULT_REUSE, "NO_KEY"}, /* stale too, but for the third time in this round */
    };
    struct rig *r = *state;
    rig_ready(r, 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "REJECT %d %s: ", (int)i + 7, rows[i].heard);
        rig_plan(r, i + 7);
        r->vault.refuse = rows[i].code;
        rig_commit(r);
        assert_non_null(strstr(r->story, expected));
        rig_forget(r);
    }
}

static void the_vault_is_lost_at_every_step_before_locked(void **state)
{
    static const struct {
        const char *phase;
        size_t answers; /* of the vault before it is gone */
        bool relays;
    } rows[] = {
        {"checking", 0, false},
        {"reserving", 1, false},
        {"opening", 3, false},
        {"confirming", 5, false},
        {"masking", 6, true},
    };
    struct rig *r = *state;
    rig_ready(r, 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char expected[128];
        uint64_t attempt = 10 + i;
        snprintf(expected, sizeof(expected),
            "server: REJECT %d VAULT: the connection to the key pool was lost\n", (int)attempt);
        rig_plan(r, attempt);
        r->is_vault_slow = true;
        rig_commit(r);
        rig_answer(r, rows[i].answers);
        if (rows[i].relays) {
            rig_relay_all(r);
            rig_answer(r, 2);
        }
        assert_true(rig_phase(r, rows[i].phase));
        rig_forget(r);
        rig_lose_vault(r);
        rig_expect(r, expected);
        assert_true(rig_phase(r, "ready"));
        r->is_vault_slow = false;
        rig_connect_vault(r);
        rig_forget(r);
    }
}

static void a_vault_back_after_a_loss_is_told_what_to_destroy(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    rig_lose_vault(r);
    rig_forget(r);
    rig_connect_vault(r);
    rig_expect(r, "vault: RELEASE 7\n");
}

static void a_vault_that_answers_with_other_bytes_than_asked_for(void **state)
{
    struct rig *r = *state;
    Vault__Pad pad = VAULT__PAD__INIT;
    uint8_t bytes[48] = {1};
    rig_ready(r, 1);
    rig_plan(r, 7);
    r->is_vault_slow = true;
    rig_commit(r);
    rig_answer(r, 2);
    assert_true(rig_phase(r, "opening"));
    pad.attempt = 7;
    pad.range = 1;
    pad.data = (ProtobufCBinaryData){sizeof(bytes), bytes};
    rig_forget(r);
    struct blob *body = codec_pack(&pad.base);
    rig_frame(r, r->pool, VAULT_PAD, body->data, body->len);
    blob_unref(body);
    rig_expect(r, "closed vault: PAD: not the head that was asked for\n"
                  "server: REJECT 7 VAULT: the connection to the key pool was lost\n");
}

static void a_key_pool_of_another_site_ends_the_daemon(void **state)
{
    struct rig *r = *state;
    r->vault.site = "mallory";
    rig_lose_vault(r);
    rig_connect_vault(r);
    rig_expect(r, "stop 78: the key pool is that of site 'mallory', this client is 'bob'\n");
}

/* ---- CONFIRM ------------------------------------------------------------------------------------ */

static void tags_may_come_before_the_own_heads(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    r->is_vault_slow = true;
    rig_commit(r);
    rig_relay_all(r);
    assert_true(rig_phase(r, "checking"));
    r->is_vault_slow = false;
    rig_answer(r, 1);
    assert_true(rig_phase(r, "locked"));
}

static void a_wrong_tag_is_an_alarm_and_the_end_of_the_attempt(void **state)
{
    struct rig *r = *state;
    uint8_t tag[16] = {0};
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    rig_relay(r, "alice");
    rig_forget(r);
    rig_relay_tag(r, "charlie", tag);
    rig_expect(r,
        "alarm: attempt 7: the tag of charlie does not fit the view: it or the relay saw another "
        "one\n"
        "server: REJECT 7 TAG: the tag of charlie does not fit the view: it or the relay saw "
        "another one\n"
        "vault: RELEASE 7\n");
    rig_relay(r, "charlie"); /* one try */
    rig_relay(r, "david");
    assert_true(rig_phase(r, "ready"));
}

static void the_first_tag_of_a_neighbour_decides(void **state)
{
    struct rig *r = *state;
    uint8_t tag[16] = {0};
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    rig_relay(r, "alice");
    rig_relay_tag(r, "alice", tag); /* the first was good */
    assert_true(rig_phase(r, "confirming"));
    rig_relay(r, "charlie");
    rig_relay(r, "david");
    assert_true(rig_phase(r, "locked"));
}

/* A split view: bob holds another weight table than the one charlie's tag is over. */
static void a_tag_over_another_view_does_not_pass(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    r->plan.members[3].samples = 11;
    rig_commit(r);
    rig_relay(r, "alice");
    rig_relay(r, "david");
    blob_unref(r->view);
    r->plan.members[3].samples = 10; /* what charlie was shown */
    r->view = view_encode(&r->plan.view);
    rig_forget(r);
    rig_relay(r, "charlie");
    assert_non_null(strstr(r->story, "alarm: attempt 7: the tag of charlie"));
    assert_int_equal(r->vault.handed_out, 3 * 48);
}

static void no_pad_is_taken_before_every_tag_is_valid(void **state)
{
    static const char *const orders[][3] = {{"alice", "charlie", "david"},
        {"david", "charlie", "alice"}, {"charlie", "alice", "david"}};
    struct rig *r = *state;
    rig_ready(r, 1);
    for (uint64_t i = 0; i < ARRAY_SIZE(orders); i++) {
        uint64_t before = r->vault.handed_out;
        rig_plan(r, 7 + i);
        rig_commit(r);
        rig_relay(r, orders[i][0]);
        rig_relay(r, orders[i][1]);
        assert_int_equal(r->vault.handed_out - before, 3 * 48);
        assert_true(rig_phase(r, "confirming"));
        rig_relay(r, orders[i][2]);
        assert_int_equal(r->vault.handed_out - before, 3 * (48 + 28));
        rig_abort(r, 7 + i);
    }
}

static void a_tag_of_a_stranger_breaks_the_rules(void **state)
{
    struct rig *r = *state;
    uint8_t tag[16] = {0};
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    rig_forget(r);
    rig_relay_tag(r, "mallory", tag);
    rig_expect(r, "closed server: RELAY: 'mallory' is not a neighbour in the view\n");
}

/* ---- before LOCKED: ABORT ----------------------------------------------------------------------- */

static void an_aborted_attempt_lends_its_update_to_the_next(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    int64_t before[RIG_PARAMETERS];
    memcpy(before, r->quantised, sizeof(before));
    rig_abort(r, 7);
    assert_true(rig_phase(r, "ready"));
    assert_int_equal(disk_size(disk_sim_disk(r->disk), OUTBOX_FILE), -2 /* ENOENT */);
    rig_go(r, 7, 0);
    rig_expect(r, "server: LOST 7\n");
    rig_plan(r, 8);
    rig_commit(r);
    rig_relay_all(r);
    rig_expect(r, "vault: RESERVE 8 76+76 76+76 76+76\n"
                  "server: CONFIRM 8 to alice charlie david\n"
                  "vault: RELEASE 8\nserver: LOCKED 8\n");
    assert_int_equal(r->trainer.runs, 1);
    assert_memory_equal(before, r->quantised, sizeof(before));
}

static void an_abort_at_every_step_destroys_the_key(void **state)
{
    static const struct {
        const char *phase;
        size_t answers;
        const char *story;
    } rows[] = {
        {"checking", 0, ""},
        {"reserving", 1, "vault: RELEASE 11\n"},
        {"opening", 3, "vault: RELEASE 12\n"},
        {"confirming", 5, "vault: RELEASE 13\n"},
    };
    struct rig *r = *state;
    rig_ready(r, 1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        rig_plan(r, 10 + i);
        r->is_vault_slow = true;
        rig_commit(r);
        rig_answer(r, rows[i].answers);
        assert_true(rig_phase(r, rows[i].phase));
        rig_forget(r);
        rig_abort(r, 10 + i);
        rig_expect(r, rows[i].story);
        r->is_vault_slow = false;
        rig_answer(r, 10); /* what was on its way means nothing any more */
        assert_true(rig_phase(r, "ready"));
        rig_expect(r, "");
    }
}

static void a_new_attempt_takes_the_place_of_one_whose_abort_was_lost(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_plan(r, 8);
    rig_commit(r);
    rig_expect(r, "vault: RESERVE 8 76+76 76+76 76+76\n"
                  "server: CONFIRM 8 to alice charlie david\n");
    rig_go(r, 7, 0);
    rig_expect(r, "server: LOST 7\n");
}

/* The server is gone, or keeps everybody waiting: no key stays reserved for ever. */
static void an_attempt_of_which_nothing_is_heard_is_given_up(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    rig_wait(r, 30000);
    rig_lose_server(r);
    rig_forget(r);
    rig_wait(r, 89000);
    rig_expect(r, "");
    rig_wait(r, 1000);
    rig_expect(r, "vault: RELEASE 7\n");
    assert_true(rig_phase(r, "ready"));
    rig_connect_server(r);
    rig_forget(r);
    rig_commit(r); /* it hears so when it comes back */
    rig_expect(r, "server: REJECT 7 STALE: attempt 7 is not above 7, the last one seen\n");
}

static void what_is_locked_waits_for_go_however_long(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_lose_server(r);
    rig_forget(r);
    rig_wait(r, 3600 * 1000);
    rig_expect(r, "");
    assert_true(rig_phase(r, "locked"));
}

static void go_before_locked_is_an_alarm(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    rig_forget(r);
    rig_go(r, 7, 0);
    rig_expect(r, "alarm: attempt 7: GO came before LOCKED\nvault: RELEASE 7\nserver: LOST 7\n");
    assert_int_equal(r->chunks_seen, 0);
}

static void a_commit_with_two_views_is_an_alarm(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    r->plan.members[0].samples = 11;
    rig_forget(r);
    rig_commit(r);
    rig_expect(r, "alarm: attempt 7 comes with two views\n"
                  "server: REJECT 7 TAG: the attempt came with another view\n"
                  "vault: RELEASE 7\n");
}

static void a_commit_said_again_is_answered_again(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    rig_lose_server(r);
    rig_connect_server(r);
    rig_forget(r);
    rig_commit(r);
    rig_expect(r, "server: CONFIRM 7 to alice charlie david\n");
    rig_relay_all(r);
    rig_forget(r);
    rig_commit(r);
    rig_expect(r, "server: CONFIRM 7 to alice charlie david\nserver: LOCKED 7\n");
    assert_int_equal(r->vault.handed_out, 3 * (48 + 28));
}

/* ---- GO, UPLOAD --------------------------------------------------------------------------------- */

static void an_upload_is_resumed_with_the_same_bytes(void **state)
{
    struct rig *r = *state;
    uint8_t first[RIG_CHUNKS][RIG_CHUNK * 4];
    rig_lock(r, 1, 7);
    rig_go(r, 7, 0);
    memcpy(first, r->chunks, sizeof(first));
    rig_lose_server(r);
    rig_connect_server(r);
    memset(r->chunks, 0, sizeof(r->chunks));
    rig_forget(r);
    rig_go(r, 7, 2);
    rig_expect(r, "server: CHUNK 2 of 7\nserver: CHUNK 3 of 7\n");
    rig_go(r, 7, 0);
    assert_memory_equal(first, r->chunks, sizeof(first));
}

static void after_a_restart_only_the_own_attempt_may_send_the_outbox(void **state)
{
    struct rig *r = *state;
    uint8_t first[RIG_CHUNKS][RIG_CHUNK * 4];
    rig_lock(r, 1, 7);
    rig_go(r, 7, 0);
    memcpy(first, r->chunks, sizeof(first));
    rig_crash(r);
    rig_connect_vault(r);
    rig_forget(r);
    rig_connect_server(r);
    rig_expect(r, "server: HELLO round 1, attempt 7, outbox 7, 3 levels\n");
    rig_open(r, 1);
    rig_expect(
        r, "server: DECLINE 1 SPENT: an update for round 1 may have been released already\n");
    rig_go(r, 6, 0);
    rig_expect(r, "server: LOST 6\n");
    rig_commit(r);
    rig_expect(r, "server: LOCKED 7\n");
    memset(r->chunks, 0, sizeof(r->chunks));
    rig_go(r, 7, 0);
    assert_memory_equal(first, r->chunks, sizeof(first));
    rig_forget(r);
    rig_result(r, 1, 7, 1); /* the model is not here: the next OPEN brings it */
    rig_expect(r, "server: DONE 7\n");
    rig_open(r, 2);
    rig_expect(r, "server: MODEL_GET\n");
    assert_int_equal(disk_size(disk_sim_disk(r->disk), OUTBOX_FILE), -2 /* ENOENT */);
}

/* It may never have been released: the client died after LOCKED, and the server went on without it. */
static void an_abort_of_an_outbox_found_at_start_is_no_alarm(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_crash(r);
    rig_connect_vault(r);
    rig_connect_server(r);
    rig_forget(r);
    rig_abort(r, 7);
    rig_expect(r, "");
    assert_int_equal(disk_size(disk_sim_disk(r->disk), OUTBOX_FILE), -2 /* ENOENT */);
    rig_open(r, 1);
    rig_expect(
        r, "server: DECLINE 1 SPENT: an update for round 1 may have been released already\n");
}

static void a_restart_before_locked_is_lost_at_once(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    rig_restart(r);
    rig_connect_vault(r);
    rig_connect_server(r);
    rig_forget(r);
    rig_go(r, 7, 0);
    rig_commit(r);
    rig_expect(r, "server: LOST 7\nserver: LOST 7\n");
    rig_open(r, 1); /* nothing was released: it may take part, with another update */
    rig_send_model(r);
    rig_expect(r, "server: MODEL_GET\nserver: READY 1 n=10, 3 levels\n");
    assert_int_equal(participant_query(r->p).training, 2);
}

static void a_skipped_release_is_dead_for_good(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_go(r, 7, 0);
    rig_skip(r, 1, 7);
    assert_true(rig_phase(r, "idle"));
    rig_forget(r);
    rig_open(r, 1);
    rig_expect(
        r, "server: DECLINE 1 SPENT: an update for round 1 may have been released already\n");
    rig_crash(r);
    rig_connect_vault(r);
    rig_connect_server(r);
    rig_forget(r);
    rig_open(r, 1);
    rig_expect(
        r, "server: DECLINE 1 SPENT: an update for round 1 may have been released already\n");
}

static void a_released_update_is_refused_to_another_attempt(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_go(r, 7, 0);
    rig_plan(r, 8);
    rig_forget(r);
    rig_commit(r);
    rig_expect(r,
        "server: REJECT 8 SPENT: the update of this round has been released in another attempt\n");
    rig_abort(r, 7); /* no honest server says that after GO */
    rig_expect(r, "alarm: attempt 7 was aborted after its release: somebody was slow\n");
    rig_commit(r);
    rig_expect(r,
        "server: REJECT 8 SPENT: the update of this round has been released in another attempt\n");
    rig_open(r, 1);
    rig_expect(r, "server: DECLINE 1 SPENT: the update of this round has been released\n");
    rig_go(r, 7, 0);
    rig_expect(r, "server: LOST 7\n");
}

static void an_outbox_is_destroyed_by_the_next_round(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_restart(r);
    rig_connect_vault(r);
    rig_connect_server(r);
    rig_forget(r);
    rig_open(r, 2);
    rig_expect(r, "server: MODEL_GET\n");
    assert_int_equal(disk_size(disk_sim_disk(r->disk), OUTBOX_FILE), -2 /* ENOENT */);
}

static void a_damaged_outbox_is_never_sent(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    assert_int_equal(disk_sim_flip(r->disk, OUTBOX_FILE, 8 * 165), 0);
    rig_restart(r);
    rig_connect_vault(r);
    rig_connect_server(r);
    rig_expect(r, "alarm: the outbox was damaged and is destroyed; this site sits out round 1\n"
                  "server: HELLO round 1, attempt 7, outbox 0, 3 levels\n");
    rig_go(r, 7, 0);
    rig_open(r, 1);
    rig_expect(r,
        "server: LOST 7\n"
        "server: DECLINE 1 SPENT: an update for round 1 may have been released already\n");
}

/* ---- RESULT ------------------------------------------------------------------------------------- */

static void another_digest(Fed__Result *m)
{
    m->digest.data[0] ^= 1;
}

static void more_participants(Fed__Result *m)
{
    m->participants = 5;
}

static void results_that_are_not_believed(void **state)
{
    static const struct {
        void (*bend)(Fed__Result *);
        long spoil;
        const char *story;
    } rows[] = {
        {another_digest, -1,
            "alarm: round 1: the digest of the result is wrong; the model is "
            "fetched anew\nserver: DONE 7\n"},
        {more_participants, -1,
            "alarm: round 1: the result is of 5 participants, the view of 4; "
            "the model is fetched anew\nserver: DONE 7\n"},
        {NULL, 1,
            "alarm: round 1: the sum does not make the model that the result names; the "
            "model is fetched anew\nserver: DONE 7\n"},
        {NULL, 0,
            "alarm: round 1: 1 canary words of the sum are wrong; the model is fetched "
            "anew\nserver: DONE 7\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        void *fixture;
        rig_setup(&fixture);
        struct rig *r = fixture;
        double before[RIG_PARAMETERS];
        rig_lock(r, 1, 7);
        rig_go(r, 7, 0);
        memcpy(before, r->model, sizeof(before));
        rig_forget(r);
        rig_result_bent(r, 1, 7, 3, rows[i].bend, rows[i].spoil);
        rig_expect(r, rows[i].story);
        assert_memory_equal(participant_query(r->p).model, before, sizeof(before));
        rig_open(r, 2);
        rig_expect(r, "server: MODEL_GET\n");
        rig_teardown(&fixture);
    }
    (void)state;
}

static void rounds_that_do_not_follow_the_last_result(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_go(r, 7, 0);
    rig_result(r, 1, 7, 3);
    rig_forget(r);
    r->previous[0] ^= 1;
    rig_open(r, 2);
    rig_expect(r, "server: DECLINE 2 POLICY: the round follows another result than the last one "
                  "seen\n");
    r->previous[0] ^= 1;
    rig_open(r, 2);
    rig_expect(r, "server: READY 2 n=10, 3 levels\n");
}

static void a_result_said_again_changes_nothing(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_go(r, 7, 0);
    rig_result(r, 1, 7, 3);
    double model[RIG_PARAMETERS];
    memcpy(model, r->model, sizeof(model));
    rig_lose_server(r);
    rig_connect_server(r);
    rig_forget(r);
    rig_result(r, 1, 7, 3);
    rig_expect(r, "");
    assert_memory_equal(participant_query(r->p).model, model, sizeof(model));
}

/* ---- OPEN --------------------------------------------------------------------------------------- */

static void rounds_never_go_back(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 3);
    rig_skip(r, 3, 0);
    rig_forget(r);
    rig_open(r, 2);
    rig_expect(r, "server: DECLINE 2 POLICY: round 2 comes after round 3\n");
}

static void the_terms_of_a_round_do_not_change(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    r->params.clip = 0.5;
    rig_open(r, 1);
    rig_expect(r, "server: DECLINE 1 POLICY: the terms of round 1 have changed\n");
}

static void a_new_run_waits_for_the_operator(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, 1);
    participant_free(r.p);
    r.config.policy.any_run = false;
    rig_start(&r);
    rig_connect_vault(&r);
    rig_connect_server(&r);
    rig_forget(&r);
    rig_open(&r, 1);
    rig_expect(&r, "server: DECLINE 1 POLICY: run 72727272727272727272727272727272 waits for the "
                   "operator of site bob (qflctl approve)\n");
    rig_ask(&r, "approve", "{\"run\": \"72727272727272727272727272727272\"}");
    rig_expect(&r, "server: MODEL_GET\n");
    rig_restart(&r); /* the approval is durable */
    rig_connect_vault(&r);
    rig_connect_server(&r);
    rig_forget(&r);
    rig_open(&r, 1);
    rig_expect(&r, "server: MODEL_GET\n");
    memset(r.run, 'x', sizeof(r.run));
    rig_open(&r, 1);
    assert_non_null(strstr(r.story, "DECLINE 1 POLICY: run 7878"));
    rig_deinit(&r);
}

static void the_end_of_the_run_destroys_everything(void **state)
{
    struct rig *r = *state;
    Fed__RunEnd m = FED__RUN_END__INIT;
    m.run = (ProtobufCBinaryData){16, r->run};
    rig_lock(r, 1, 7);
    rig_say(r, FED_RUN_END, &m.base);
    assert_true(rig_phase(r, "idle"));
    assert_int_equal(disk_size(disk_sim_disk(r->disk), OUTBOX_FILE), -2 /* ENOENT */);
}

/* ---- strict ------------------------------------------------------------------------------------- */

static void strict_wants_the_same_participants_after_a_skip(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, 1);
    participant_free(r.p);
    r.config.policy.strict = true;
    rig_start(&r);
    rig_connect_vault(&r);
    rig_connect_server(&r);
    rig_lock(&r, 1, 7);
    rig_go(&r, 7, 0);
    rig_skip(&r, 1, 7);
    rig_crash(&r); /* it is remembered */
    rig_connect_vault(&r);
    rig_connect_server(&r);
    rig_ready(&r, 2);
    rig_plan(&r, 8);
    r.plan.view.n_members = 3;
    r.plan.component.tolerance = 1;
    plan_cut(&r.plan, 0, 3);
    plan_cut(&r.plan, 1, 3);
    plan_cut(&r.plan, 2, 3);
    rig_commit(&r);
    rig_expect(&r, "server: REJECT 8 POLICY: the participants have changed since the round that "
                   "was skipped (policy strict)\n");
    rig_plan(&r, 9);
    rig_commit(&r);
    assert_true(rig_phase(&r, "confirming"));
    rig_deinit(&r);
}

/* ---- budget ------------------------------------------------------------------------------------- */

static void provoked_aborts_end_at_the_budget(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, 1);
    participant_free(r.p);
    r.config.policy.key_budget_bytes_per_hour = 200;
    rig_start(&r);
    rig_connect_vault(&r);
    rig_connect_server(&r);
    rig_ready(&r, 1);
    for (uint64_t attempt = 7; attempt < 9; attempt++) {
        rig_plan(&r, attempt);
        rig_commit(&r);
        rig_abort(&r, attempt);
    }
    rig_forget(&r);
    rig_plan(&r, 9);
    rig_commit(&r);
    rig_expect(&r, "server: REJECT 9 POLICY: 152 bytes of key with alice were burnt without a "
                   "release within the hour, the budget is 200\n");
    r.now_ms += 3600 * 1000;
    rig_lose_server(&r);
    rig_connect_server(&r);
    rig_plan(&r, 10);
    rig_commit(&r);
    assert_true(rig_phase(&r, "confirming"));
    rig_deinit(&r);
}

static void released_key_is_no_burden_on_the_budget(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, 1);
    participant_free(r.p);
    r.config.policy.key_budget_bytes_per_hour = 100;
    rig_start(&r);
    rig_connect_vault(&r);
    rig_connect_server(&r);
    for (uint64_t round = 1; round < 4; round++) {
        rig_lock(&r, round, round);
        rig_go(&r, round, 0);
        rig_result(&r, round, round, 1);
    }
    assert_true(rig_phase(&r, "idle"));
    rig_deinit(&r);
}

/* ---- operator ----------------------------------------------------------------------------------- */

static void what_qflctl_is_told(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_ask(r, "status", "");
    assert_int_equal(r->reply_code, 0);
    assert_non_null(strstr(r->reply, "\"phase\":\"locked\""));
    assert_non_null(
        strstr(r->reply, "\"participants\":4,\"T\":2,\"neighbours\":3,\"confirmed\":3"));
    rig_ask(r, "metrics", "");
    assert_non_null(strstr(r->reply, "\"key_burnt_bytes\":228"));
    rig_ask(r, "dance", "");
    assert_int_equal(r->reply_code, 64);
    rig_ask(r, "approve", "{\"run\": 7}");
    assert_int_equal(r->reply_code, 64);
}

static void draining_between_rounds_stops_at_once(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_ask(r, "drain", "");
    rig_expect(r, "server: DECLINE 1 DRAIN: the client is stopping\nstop 0: drained\n");
}

static void draining_lets_the_attempt_end(void **state)
{
    struct rig *r = *state;
    rig_lock(r, 1, 7);
    rig_ask(r, "drain", "");
    rig_go(r, 7, 0);
    rig_forget(r);
    rig_result(r, 1, 7, 1);
    rig_expect(r, "server: DONE 7\nstop 0: drained\n");
}

static void draining_gives_up_at_its_deadline(void **state)
{
    struct rig *r = *state;
    rig_ready(r, 1);
    rig_plan(r, 7);
    rig_commit(r);
    rig_forget(r);
    participant_drain(r->p);
    rig_wait(r, 5000);
    assert_null(strstr(r->story, "stop"));
    rig_lose_server(r); /* its silence is another story */
    rig_connect_server(r);
    rig_forget(r);
    rig_wait(r, 5000);
    assert_non_null(strstr(r->story, "server: REJECT 7 DRAIN: the client is stopping\n"
                                     "vault: RELEASE 7\nstop 0: drained\n"));
}

/* ---- bad frames --------------------------------------------------------------------------------- */

static void a_server_of_another_federation(void **state)
{
    struct rig *r = *state;
    rig_lose_server(r);
    r->config.federation = "other";
    participant_free(r->p);
    rig_start(r);
    rig_connect_server(r);
    assert_non_null(strstr(
        r->story, "closed server: the server is of federation 'test', this client of 'other'"));
}

static void a_silent_server_is_given_up(void **state)
{
    struct rig *r = *state;
    rig_wait(r, 11000);
    assert_non_null(strstr(r->story, "server: PING\n"));
    assert_non_null(strstr(r->story, "closed server: fed: silent for"));
}

/* On a slow line the server's pings wait behind the model that it sends. */
static void who_only_listens_shows_that_it_lives(void **state)
{
    struct rig *r = *state;
    rig_open(r, 1);
    assert_true(rig_phase(r, "fetching"));
    rig_forget(r);
    const size_t part = sizeof(r->model) / 5;
    for (uint32_t i = 0; i < 4; i++) {
        Fed__ModelChunk m = FED__MODEL_CHUNK__INIT;
        m.model_hash = (ProtobufCBinaryData){32, r->model_hash};
        m.index = i;
        m.count = 5;
        m.data = (ProtobufCBinaryData){part, (uint8_t *)r->model + i * part};
        rig_say(r, FED_MODEL_CHUNK, &m.base);
        rig_expect(r, i == 2 ? "server: PING\n" : "");
        rig_wait(r, 1500);
    }
}

static void frames_of_a_role_that_clients_do_not_know(void **state)
{
    struct rig *r = *state;
    struct update u = {0};
    struct event event = {.kind = EVENT_OPENED, .now_ms = r->now_ms, .conn = 77};
    event.opened.role = ROLE_KME;
    event.opened.site = "bob";
    assert_int_equal(participant_step(r->p, &event, &u), 0);
    assert_int_equal(u.effects[0].kind, EFFECT_CLOSE);
    update_deinit(&u);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_from_hello_to_done),
        STORY(a_failed_training_declines_with_its_sentence),
        STORY(a_slow_training_is_overtaken_by_the_next_round),
        STORY(a_round_that_goes_on_without_a_straggler),
        STORY(a_model_that_is_not_the_one_named),
        STORY(a_server_lost_while_the_model_comes),
        STORY(a_server_lost_after_ready_hears_it_again),
        STORY(a_vault_that_is_away_delays_ready_then_declines),
        STORY(levels_are_told_when_they_change),
        STORY(a_refused_view_touches_no_key),
        STORY(garbage_instead_of_a_view),
        STORY(a_stale_start_is_refused_with_fresh_cursors),
        STORY(starts_that_do_not_come_right_end_in_no_key),
        STORY(the_vault_has_not_enough_key),
        STORY(what_the_vault_refuses_and_what_the_server_hears),
        STORY(the_vault_is_lost_at_every_step_before_locked),
        STORY(a_vault_back_after_a_loss_is_told_what_to_destroy),
        STORY(a_vault_that_answers_with_other_bytes_than_asked_for),
        STORY(a_key_pool_of_another_site_ends_the_daemon),
        STORY(tags_may_come_before_the_own_heads),
        STORY(a_wrong_tag_is_an_alarm_and_the_end_of_the_attempt),
        STORY(the_first_tag_of_a_neighbour_decides),
        STORY(a_tag_over_another_view_does_not_pass),
        STORY(no_pad_is_taken_before_every_tag_is_valid),
        STORY(a_tag_of_a_stranger_breaks_the_rules),
        STORY(an_aborted_attempt_lends_its_update_to_the_next),
        STORY(an_abort_at_every_step_destroys_the_key),
        STORY(a_new_attempt_takes_the_place_of_one_whose_abort_was_lost),
        STORY(an_attempt_of_which_nothing_is_heard_is_given_up),
        STORY(what_is_locked_waits_for_go_however_long),
        STORY(go_before_locked_is_an_alarm),
        STORY(a_commit_with_two_views_is_an_alarm),
        STORY(a_commit_said_again_is_answered_again),
        STORY(an_upload_is_resumed_with_the_same_bytes),
        STORY(after_a_restart_only_the_own_attempt_may_send_the_outbox),
        STORY(an_abort_of_an_outbox_found_at_start_is_no_alarm),
        STORY(a_restart_before_locked_is_lost_at_once),
        STORY(a_skipped_release_is_dead_for_good),
        STORY(a_released_update_is_refused_to_another_attempt),
        STORY(an_outbox_is_destroyed_by_the_next_round),
        STORY(a_damaged_outbox_is_never_sent),
        cmocka_unit_test(results_that_are_not_believed),
        STORY(rounds_that_do_not_follow_the_last_result),
        STORY(a_result_said_again_changes_nothing),
        STORY(rounds_never_go_back),
        STORY(the_terms_of_a_round_do_not_change),
        cmocka_unit_test(a_new_run_waits_for_the_operator),
        STORY(the_end_of_the_run_destroys_everything),
        cmocka_unit_test(strict_wants_the_same_participants_after_a_skip),
        cmocka_unit_test(provoked_aborts_end_at_the_budget),
        cmocka_unit_test(released_key_is_no_burden_on_the_budget),
        STORY(what_qflctl_is_told),
        STORY(draining_between_rounds_stops_at_once),
        STORY(draining_lets_the_attempt_end),
        STORY(draining_gives_up_at_its_deadline),
        STORY(a_server_of_another_federation),
        STORY(a_silent_server_is_given_up),
        STORY(who_only_listens_shows_that_it_lives),
        STORY(frames_of_a_role_that_clients_do_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
