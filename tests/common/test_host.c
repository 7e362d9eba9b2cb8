/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts talk over TLS and AF_UNIX: what their cores hear, and how a host begins and ends. */
#include "tests/common/stage.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
    struct stage *s = malloc(sizeof(*s));
    stage_init(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    stage_deinit(*state);
    free(*state);
    return 0;
}

/* ---- two ends ---- */

static const char *socket_path(const struct stage *s)
{
    return scratch_path(&s->scratch, "socket");
}

static void listen_unix(struct stage *s, struct actor *a)
{
    struct err e = {""};
    int r = host_listen_unix(a->host, socket_path(s), ROLE_CLIENT, "alice", NULL, 0, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
}

static void dial_unix(struct stage *s, struct actor *a)
{
    struct err e = {""};
    assert_int_equal(host_dial_unix(a->host, socket_path(s), ROLE_VAULT, "vault", &e), 0);
}

static void listen_tls(struct stage *s, struct actor *a)
{
    struct err e = {""};
    int r =
        host_listen_tls(a->host, "127.0.0.1:0", ROLE_CLIENT, stage_tls(s, ROLE_SERVER, "hub"), &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
}

static void dial_tls(struct stage *s, struct actor *a, const struct actor *server)
{
    struct err e = {""};
    int r = host_dial_tls(
        a->host, stage_address(server), ROLE_SERVER, "hub", stage_tls(s, ROLE_CLIENT, "alice"), &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
}

/* Sends every frame back. */
static int echo(struct actor *a, const struct event *e, struct update *u)
{
    if (e->kind == EVENT_OPENED)
        return update_limit(u, e->conn, 4 << 20);
    if (e->kind != EVENT_FRAME)
        return 0;
    struct blob *body = blob_new(e->frame.len);
    assert_non_null(body);
    memcpy(body->data, e->frame.body, body->len);
    return update_send(u, e->conn, e->frame.type, body);
}

static int raise_limit(struct actor *a, const struct event *e, struct update *u)
{
    return e->kind == EVENT_OPENED ? update_limit(u, e->conn, 4 << 20) : 0;
}

struct pair {
    struct actor *server;
    struct actor *client;
};

static struct pair connect_pair(struct stage *s, bool is_tls,
    int (*serve)(struct actor *, const struct event *, struct update *),
    int (*ask)(struct actor *, const struct event *, struct update *))
{
    struct pair p = {stage_enter(s, serve), stage_enter(s, ask)};
    if (is_tls) {
        listen_tls(s, p.server);
        dial_tls(s, p.client, p.server);
    } else {
        listen_unix(s, p.server);
        dial_unix(s, p.client);
    }
    stage_play(s, has_opened, p.client);
    stage_play(s, has_opened, p.server);
    return p;
}

static void check_echo(struct stage *s, bool is_tls)
{
    static const size_t sizes[] = {
        0, 1, 5, 16377, 16378, 16379, 16384, 40000, 0, 1 << 20, 3000001, 7};
    struct pair p = connect_pair(s, is_tls, echo, raise_limit);
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct blob *body = stage_body(sizes[i], (unsigned)i);
        sum = stage_checksum(sum, body->data, body->len);
        assert_int_equal(
            update_send(&p.client->pending, p.client->conn, (uint16_t)(16 + i), body), 0);
    }
    stage_act(p.client);
    stage_play_frames(s, p.client, ARRAY_SIZE(sizes));
    assert_true(p.client->checksum == sum && p.server->checksum == sum);
    assert_string_equal(p.client->said, "");
    assert_string_equal(p.server->said, "");
}

static void test_echo_over_tls(void **state)
{
    struct stage *s = *state;
    check_echo(s, true);
    assert_int_equal(
        strncmp(s->actors[0].story, "opened client alice|16: 0 bytes|17: 1 bytes|", 44), 0);
    assert_int_equal(
        strncmp(s->actors[1].story, "opened server hub|16: 0 bytes|17: 1 bytes|", 42), 0);
}

static void test_echo_over_unix(void **state)
{
    struct stage *s = *state;
    check_echo(s, false);
    assert_int_equal(strncmp(s->actors[0].story, "opened client alice|", 20), 0);
    assert_int_equal(strncmp(s->actors[1].story, "opened vault vault|", 19), 0);
}

/* ---- effects ---- */

static void test_a_closed_connection_gives_away_what_was_sent(void **state)
{
    struct stage *s = *state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        struct pair p = connect_pair(s, is_tls, NULL, raise_limit);
        struct update *u = &p.server->pending;
        assert_int_equal(update_send(u, p.server->conn, 16, stage_body(2000000, 1)), 0);
        assert_int_equal(update_close(u, p.server->conn, "enough"), 0);
        assert_int_equal(update_send(u, p.server->conn, 17, stage_body(5, 1)), 0); /* too late */
        stage_act(p.server);
        stage_play(s, has_closed, p.server); /* hears of it at once */
        stage_play(s, has_closed, p.client);
        assert_non_null(strstr(p.client->story, "|16: 2000000 bytes|closed|"));
        assert_null(strstr(p.client->story, "17:"));
        assert_non_null(strstr(p.server->said, ": enough|"));
        stage_leave(p.client);
        stage_leave(p.server);
    }
}

static int close_on_frame(struct actor *a, const struct event *e, struct update *u)
{
    return e->kind == EVENT_FRAME ? update_close(u, e->conn, "no") : 0;
}

static void test_nothing_is_heard_after_a_close(void **state)
{
    struct stage *s = *state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        struct pair p = connect_pair(s, is_tls, close_on_frame, NULL);
        for (int i = 0; i < 10; i++)
            assert_int_equal(
                update_send(&p.client->pending, p.client->conn, 16, stage_body(100, 1)), 0);
        stage_act(p.client);
        stage_play(s, has_closed, p.server);
        stage_play(s, has_closed, p.client);
        assert_int_equal(p.server->frames, 1);
        stage_leave(p.client);
        stage_leave(p.server);
    }
}

static void test_effects_on_connections_that_are_gone_are_ignored(void **state)
{
    struct stage *s = *state;
    struct actor *a = stage_enter(s, NULL);
    assert_int_equal(update_send(&a->pending, 77, 16, stage_body(10, 1)), 0);
    assert_int_equal(update_send_secret(&a->pending, 77, 16, stage_body(10, 1)), 0);
    assert_int_equal(update_close(&a->pending, 77, "x"), 0);
    assert_int_equal(update_limit(&a->pending, 77, 5), 0);
    stage_act(a);
    assert_string_equal(a->story, "");
}

static bool has_ticked(void *arg)
{
    return ((const struct actor *)arg)->ticks > 0;
}

static int forget_deadline(struct actor *a, const struct event *e, struct update *u)
{
    assert_true(e->kind != EVENT_TICK || e->now_ms >= a->deadline_ms);
    a->deadline_ms = NEVER_MS;
    return 0;
}

static void test_the_deadline_brings_a_tick(void **state)
{
    struct stage *s = *state;
    struct actor *a = stage_enter(s, forget_deadline);
    a->deadline_ms = host_now_ms(a->host) + 5;
    stage_play(s, has_ticked, a);
    assert_int_equal(a->ticks, 1);
    a->deadline_ms = 0; /* long past */
    a->ticks = 0;
    stage_play(s, has_ticked, a);
    assert_int_equal(a->ticks, 1);
}

static void test_a_core_that_wants_the_past_does_not_stop_its_sockets(void **state)
{
    struct stage *s = *state;
    struct pair p = connect_pair(s, false, echo, NULL);
    p.server->deadline_ms = 0; /* for ever */
    assert_int_equal(update_send(&p.client->pending, p.client->conn, 16, stage_body(5, 1)), 0);
    stage_act(p.client);
    stage_play_frames(s, p.client, 1);
    stage_play(s, has_ticked, p.server);
}

/* ---- jobs ---- */

struct toy_job {
    struct job job; /* first */
    int *ran;
    int *freed;
};

static void toy_run(struct job *job)
{
    __atomic_add_fetch(((struct toy_job *)job)->ran, 1, __ATOMIC_SEQ_CST);
}

static void toy_free(struct job *job)
{
    ++*((struct toy_job *)job)->freed;
    free(job);
}

static struct job *toy_job(int *ran, int *freed)
{
    struct toy_job *j = malloc(sizeof(*j));
    assert_non_null(j);
    *j = (struct toy_job){{toy_run, toy_free}, ran, freed};
    return &j->job;
}

static bool has_job(void *arg)
{
    return ((const struct actor *)arg)->jobs == 3;
}

static void test_jobs_are_run_and_given_back(void **state)
{
    struct stage *s = *state;
    struct actor *a = stage_enter(s, NULL);
    int ran = 0;
    int freed = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(update_job(&a->pending, toy_job(&ran, &freed)), 0);
    stage_act(a);
    stage_play(s, has_job, a);
    assert_int_equal(ran, 3);
    assert_int_equal(freed, 3); /* by the core */
    assert_string_equal(a->story, "job|job|job|");
}

static void test_jobs_of_a_host_that_ends_are_freed(void **state)
{
    struct stage *s = *state;
    struct actor *a = stage_enter(s, NULL);
    int ran = 0;
    int freed = 0;
    for (int i = 0; i < 100; i++)
        assert_int_equal(update_job(&a->pending, toy_job(&ran, &freed)), 0);
    assert_int_equal(update_stop(&a->pending, 0, "done"), 0);
    assert_int_equal(update_job(&a->pending, toy_job(&ran, &freed)), 0);
    stage_act(a);
    stage_leave(a);
    assert_int_equal(freed, 101);
    assert_int_equal(a->jobs, 0); /* the core was not called any more */
}

static void never_run_out(struct job *job)
{
    for (;;)
        pause();
}

static int stop_with_a_job(struct actor *a, const struct event *e, struct update *u)
{
    if (e->kind != EVENT_TICK)
        return 0;
    static int unused;
    struct toy_job *j = (struct toy_job *)toy_job(&unused, &unused);
    j->job.run = never_run_out;
    int r = update_job(u, &j->job);
    return r < 0 ? r : update_stop(u, 7, "done");
}

static void test_a_job_without_end_does_not_keep_the_process(void **state)
{
    struct stage *s = *state;
    pid_t pid = fork();
    if (pid == 0) {
        struct actor *a = stage_enter(s, stop_with_a_job);
        struct host_limits quick = host_limits_default();
        quick.drain_ms = 20;
        host_set_limits(a->host, &quick);
        a->deadline_ms = 0;
        (void)host_run(a->host, NULL);
        _exit(99); /* host_run does not return */
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

/* ---- the end ---- */

static void test_stop_drains_and_gives_its_status(void **state)
{
    struct stage *s = *state;
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        struct pair p = connect_pair(s, is_tls, NULL, raise_limit);
        assert_int_equal(
            update_send(&p.server->pending, p.server->conn, 16, stage_body(3000000, 2)), 0);
        assert_int_equal(update_stop(&p.server->pending, EX_TEMPFAIL, "out of order"), 0);
        stage_act(p.server);
        stage_play(s, has_ended, p.server);
        stage_play(s, has_closed, p.client);
        assert_non_null(strstr(p.client->story, "|16: 3000000 bytes|closed|"));
        assert_null(strstr(p.server->story, "closed")); /* the core is at rest */
        assert_int_equal(host_run(p.server->host, NULL), EX_TEMPFAIL);
        assert_string_equal(p.server->said, "alarm ends: out of order|");
        stage_leave(p.client);
        stage_leave(p.server);
    }
}

static int fail_on_frame(struct actor *a, const struct event *e, struct update *u)
{
    if (e->kind != EVENT_FRAME)
        return 0;
    assert_int_equal(update_send(u, e->conn, 17, stage_body(5, 1)), 0);
    return a->frames == 1 ? -EIO : 0;
}

static void test_a_failed_core_is_never_called_again(void **state)
{
    struct stage *s = *state;
    struct pair p = connect_pair(s, false, fail_on_frame, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(update_send(&p.client->pending, p.client->conn, 16, stage_body(5, 1)), 0);
    stage_act(p.client);
    stage_play(s, has_closed, p.client);
    assert_int_equal(p.client->frames, 0); /* the update was not carried out */
    assert_int_equal(p.server->frames, 1);
    assert_int_equal(host_run(p.server->host, NULL), EX_OSERR);
    assert_string_equal(p.server->said, "alarm ends: the core failed: Input/output error|");
}

struct hooked {
    struct actor *actor;
    int terms;
    int hups;
    bool drains;
};

static bool on_term(void *arg, struct host *h)
{
    struct hooked *hooked = arg;
    hooked->terms++;
    return hooked->drains;
}

static void on_hup(void *arg, struct host *h)
{
    struct hooked *hooked = arg;
    hooked->hups++;
    raise(SIGTERM);
}

/* A tick comes when the loop is running: only then may the signal. */
static int hang_up(struct actor *a, const struct event *e, struct update *u)
{
    a->deadline_ms = NEVER_MS;
    raise(SIGHUP);
    return 0;
}

static void test_signals(void **state)
{
    struct stage *s = *state;
    struct hooked hooked = {0};
    const struct host_hooks hooks = {&hooked, on_term, on_hup};
    struct actor *a = stage_enter(s, hang_up);
    a->deadline_ms = 0;
    assert_int_equal(host_run(a->host, &hooks), EX_OK);
    assert_int_equal(hooked.hups, 1);
    assert_int_equal(hooked.terms, 1);
}

static int stop_on_second_tick(struct actor *a, const struct event *e, struct update *u)
{
    if (a->ticks == 1) {
        raise(SIGTERM);
        return 0;
    }
    a->deadline_ms = NEVER_MS;
    return update_stop(u, 7, "drained");
}

static void test_a_core_may_drain_when_told_to_end(void **state)
{
    struct stage *s = *state;
    struct hooked hooked = {.drains = true};
    const struct host_hooks hooks = {&hooked, on_term, NULL};
    struct actor *a = stage_enter(s, stop_on_second_tick);
    a->deadline_ms = 0;
    assert_int_equal(host_run(a->host, &hooks), 7);
    assert_int_equal(hooked.terms, 1);
}

static int interrupt_at_every_tick(struct actor *a, const struct event *e, struct update *u)
{
    raise(SIGINT);
    return 0;
}

static void test_the_second_signal_ends_at_once(void **state)
{
    struct stage *s = *state;
    struct hooked hooked = {.drains = true};
    const struct host_hooks hooks = {&hooked, on_term, NULL};
    struct actor *a = stage_enter(s, interrupt_at_every_tick);
    a->deadline_ms = 0;
    assert_int_equal(host_run(a->host, &hooks), EX_OK);
    assert_int_equal(hooked.terms, 1);
    assert_non_null(strstr(a->said, "warning ends at once: told a second time|"));
}

/* ---- dialers ---- */

static void test_a_dialer_comes_back(void **state)
{
    struct stage *s = *state;
    struct host_limits quick = host_limits_default();
    quick.redial_min_ms = 1;
    quick.redial_max_ms = 10;
    struct actor *client = stage_enter(s, NULL);
    host_set_limits(client->host, &quick);
    dial_unix(s, client); /* nobody is there yet */
    for (unsigned i = 0; i < 3; i++) {
        s->n = 1;
        struct actor *server = stage_enter(s, NULL);
        listen_unix(s, server);
        stage_play(s, has_opened, client);
        stage_leave(server);
        stage_play(s, has_closed, client);
    }
    assert_string_equal(client->story, "opened vault vault|closed|opened vault vault|closed|"
                                       "opened vault vault|closed|");
    assert_int_equal(client->opened, 3);
}

static void test_the_same_failure_is_said_once(void **state)
{
    struct stage *s = *state;
    struct host_limits quick = host_limits_default();
    quick.redial_min_ms = 1;
    quick.redial_max_ms = 2;
    struct actor *client = stage_enter(s, NULL);
    host_set_limits(client->host, &quick);
    dial_unix(s, client);
    client->deadline_ms = host_now_ms(client->host) + 50;
    stage_play(s, has_ticked, client);
    char expected[200];
    snprintf(expected, sizeof(expected), "warning %s: no such file or directory; trying again|",
        socket_path(s));
    assert_string_equal(client->said, expected);
}

static void test_names_are_looked_up(void **state)
{
    struct stage *s = *state;
    struct pair p = {stage_enter(s, echo), stage_enter(s, NULL)};
    listen_tls(s, p.server);
    char address[40];
    struct err e = {""};
    snprintf(address, sizeof(address), "localhost:%u", host_port(p.server->host));
    struct host_limits quick = host_limits_default();
    quick.redial_min_ms = 1; /* localhost may be ::1 first */
    host_set_limits(p.client->host, &quick);
    assert_int_equal(host_dial_tls(p.client->host, address, ROLE_SERVER, NULL,
                         stage_tls(s, ROLE_CLIENT, "alice"), &e),
        0);
    stage_play(s, has_opened, p.client);
}

static void test_a_host_may_end_while_it_dials(void **state)
{
    struct stage *s = *state;
    struct err e = {""};
    struct tls_context *tls = stage_tls(s, ROLE_CLIENT, "alice");
    static const char *const addresses[] = {"localhost:1", "127.0.0.1:1", "[::1]:1"};
    for (int turns = 0; turns < 4; turns++) {
        s->n = 0;
        struct actor *a = stage_enter(s, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
            assert_int_equal(host_dial_tls(a->host, addresses[i], ROLE_SERVER, NULL, tls, &e), 0);
        dial_unix(s, a);
        for (int i = 0; i < turns; i++)
            (void)host_turn(a->host);
        stage_leave(a);
    }
}

/* ---- nothing is left ---- */

static void test_descriptors_do_not_leak(void **state)
{
    struct stage *s = *state;
    size_t before = 0;
    for (int i = 0; i < 4; i++) {
        s->n = 0;
        (void)connect_pair(s, i % 2, echo, NULL);
        for (size_t k = 0; k < s->n; k++)
            stage_leave(&s->actors[k]);
        if (i == 1) /* libuv keeps some for the process after its first loop */
            before = scratch_count_fds();
    }
    assert_int_equal(scratch_count_fds(), before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_echo_over_tls),
        TEST(test_echo_over_unix),
        TEST(test_a_closed_connection_gives_away_what_was_sent),
        TEST(test_nothing_is_heard_after_a_close),
        TEST(test_effects_on_connections_that_are_gone_are_ignored),
        TEST(test_the_deadline_brings_a_tick),
        TEST(test_a_core_that_wants_the_past_does_not_stop_its_sockets),
        TEST(test_jobs_are_run_and_given_back),
        TEST(test_jobs_of_a_host_that_ends_are_freed),
        TEST(test_a_job_without_end_does_not_keep_the_process),
        TEST(test_stop_drains_and_gives_its_status),
        TEST(test_a_failed_core_is_never_called_again),
        TEST(test_signals),
        TEST(test_a_core_may_drain_when_told_to_end),
        TEST(test_the_second_signal_ends_at_once),
        TEST(test_a_dialer_comes_back),
        TEST(test_the_same_failure_is_said_once),
        TEST(test_names_are_looked_up),
        TEST(test_a_host_may_end_while_it_dials),
        TEST(test_descriptors_do_not_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
