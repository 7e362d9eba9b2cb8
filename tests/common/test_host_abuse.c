/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that are strangers, silent, greedy, deaf or broken: what becomes of them, and that nobody else
 * notices. */
#include "tests/common/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
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

/* ---- peers without a host ---- */

static int connect_tcp(const struct actor *server)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(host_port(server->host)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* The far end has closed: whatever is left can be read, then the end or a reset. */
static bool is_hung_up(void *arg)
{
    char rest[4096];
    ssize_t n;
    while ((n = recv(*(int *)arg, rest, sizeof(rest), MSG_DONTWAIT)) > 0)
        ;
    return n == 0 || errno != EAGAIN;
}

/* ---- a server with one good client ---- */

static int raise_limit(struct actor *a, const struct event *e, struct update *u)
{
    return e->kind == EVENT_OPENED ? update_limit(u, e->conn, 4 << 20) : 0;
}

static const char *socket_path(const struct stage *s)
{
    return scratch_path(&s->scratch, "socket");
}

static struct actor *enter_server(struct stage *s, const struct host_limits *limits)
{
    struct actor *server = stage_enter(s, NULL);
    host_set_limits(server->host, limits);
    struct err e = {""};
    int r = host_listen_tls(
        server->host, "127.0.0.1:0", ROLE_CLIENT, stage_tls(s, ROLE_SERVER, "hub"), &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
    return server;
}

static struct actor *enter_client(
    struct stage *s, const struct actor *server, enum role role, const char *site)
{
    struct actor *client = stage_enter(s, NULL);
    struct err e = {""};
    assert_int_equal(host_dial_tls(client->host, stage_address(server), ROLE_SERVER, "hub",
                         stage_tls(s, role, site), &e),
        0);
    return client;
}

/* The good client is connected still and can be heard. */
static void expect_unharmed(struct stage *s, struct actor *server, struct actor *good)
{
    size_t before = server->frames;
    assert_int_equal(good->closed, 0);
    assert_int_equal(update_send(&good->pending, good->conn, 16, stage_body(100, 1)), 0);
    stage_act(good);
    stage_play_frames(s, server, before + 1);
}

static bool has_said(void *arg)
{
    return ((const struct actor *)arg)->said[0] != '\0';
}

/* ---- strangers ---- */

static void test_a_wrong_role_never_reaches_the_core(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    struct actor *kme = enter_client(s, server, ROLE_KME, "mallory");
    stage_play(s, has_said, server);
    stage_play(s, has_closed, kme); /* in TLS 1.3 its end was open before it was refused */
    assert_string_equal(server->story, "");
    assert_non_null(strstr(
        server->said, ": the peer is kme mallory, but client of any site is expected here|"));
    assert_non_null(strstr(kme->said, "warning server hub at 127.0.0.1:"));
    assert_non_null(strstr(kme->said, ": the peer refuses qfl://metro/kme/mallory: role, site or "
                                      "federation is not expected there"));
}

static void test_a_wrong_server_never_reaches_the_core(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    struct actor *client = stage_enter(s, NULL);
    struct err e = {""};
    assert_int_equal(host_dial_tls(client->host, stage_address(server), ROLE_SERVER, "other",
                         stage_tls(s, ROLE_CLIENT, "alice"), &e),
        0);
    stage_play(s, has_said, client);
    stage_play(s, has_said, server);
    assert_string_equal(client->story, "");
    assert_string_equal(server->story, "");
    assert_non_null(strstr(client->said, ": the peer is server hub, but other is expected here|"));
    assert_non_null(strstr(server->said, ": the peer refuses qfl://metro/server/hub: "));
}

static void test_garbage_harms_nobody_else(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    struct actor *good = enter_client(s, server, ROLE_CLIENT, "alice");
    stage_play(s, has_opened, server);
    for (unsigned seed = 0; seed < 20; seed++) {
        int fd = connect_tcp(server);
        struct blob *noise = stage_body(5000, seed);
        if (seed % 2)
            memcpy(noise->data, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
        assert_int_equal(send(fd, noise->data, noise->len, MSG_NOSIGNAL), 5000);
        blob_unref(noise);
        stage_play(s, is_hung_up, &fd);
        close(fd);
    }
    expect_unharmed(s, server, good);
    assert_int_equal(server->opened, 1);
}

static void test_half_open_handshakes_are_dropped(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    limits.handshake_ms = 20;
    struct actor *server = enter_server(s, &limits);
    int fd = connect_tcp(server);
    assert_int_equal(send(fd, "\x16\x03\x01", 3, 0), 3); /* and no more */
    stage_play(s, is_hung_up, &fd);
    close(fd);
    assert_non_null(strstr(server->said, ": proved no identity within"));
    assert_string_equal(server->story, "");
}

static void test_the_oldest_handshake_makes_room(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    limits.handshakes = 3;
    struct actor *server = enter_server(s, &limits);
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = connect_tcp(server);
    stage_play(s, is_hung_up, &fds[0]);
    for (int i = 1; i < 4; i++)
        assert_false(is_hung_up(&fds[i]));
    struct actor *good = enter_client(s, server, ROLE_CLIENT, "alice");
    stage_play(s, has_opened, server);
    expect_unharmed(s, server, good);
    assert_non_null(strstr(server->said, ": made room for others: "));
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

static void test_there_is_a_limit_to_connections(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    limits.connections = 2;
    struct actor *server = enter_server(s, &limits);
    struct actor *good = enter_client(s, server, ROLE_CLIENT, "alice");
    stage_play(s, has_opened, server);
    int one = connect_tcp(server);
    int more = connect_tcp(server);
    stage_play(s, is_hung_up, &more);
    assert_false(is_hung_up(&one));
    assert_non_null(strstr(server->said, ": refused: there are 2 connections already|"));
    expect_unharmed(s, server, good);
    close(one);
    close(more);
}

static bool has_free_place(void *arg)
{
    const struct actor *a = arg;
    return SLIST_FIRST(&a->host->listeners)->connections == 0;
}

static void test_a_flood_of_refusals_is_not_a_flood_of_lines(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    for (int i = 0; i < 50; i++) {
        int fd = connect_tcp(server);
        assert_int_equal(send(fd, "xxxxxx", 6, 0), 6);
        stage_play(s, is_hung_up, &fd);
        close(fd);
    }
    stage_play(s, has_free_place, server);
    size_t lines = 0;
    for (const char *p = server->said; (p = strstr(p, "does not speak TLS|")) != NULL; p++)
        lines++;
    assert_int_equal(lines, 20);
    assert_int_equal(SLIST_FIRST(&server->host->listeners)->quiet.dropped, 30);
}

/* No new descriptor from here on; returns the limit to be set again. */
static struct rlimit use_up_descriptors(void)
{
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = open("/dev/null", O_RDONLY);
    assert_true(next >= 0);
    close(next);
    struct rlimit none = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

static void test_descriptors_may_run_out(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    struct actor *good = enter_client(s, server, ROLE_CLIENT, "alice");
    stage_play(s, has_opened, server);
    for (int has_reserve = 0; has_reserve < 2; has_reserve++) {
        if (!has_reserve) { /* libuv's own is gone: somebody else was faster */
            close(server->host->loop.emfile_fd);
            server->host->loop.emfile_fd = -1;
        }
        int fds[3];
        for (int i = 0; i < 3; i++)
            fds[i] = connect_tcp(server); /* the kernel has accepted them, the server has not */
        struct rlimit before = use_up_descriptors();
        for (int i = 0; i < 3; i++)
            stage_play(s, is_hung_up, &fds[i]);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        for (int i = 0; i < 3; i++)
            close(fds[i]);
    }
    assert_non_null(strstr(server->said, ": refused: out of descriptors|"));
    expect_unharmed(s, server, good);
}

/* ---- broken and greedy peers ---- */

static void test_a_long_frame_closes_only_its_connection(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    struct actor *good = enter_client(s, server, ROLE_CLIENT, "alice");
    struct actor *bad = enter_client(s, server, ROLE_CLIENT, "eve");
    stage_play(s, has_opened, good);
    stage_play(s, has_opened, bad);
    struct blob *body = stage_body(FRAME_FIRST_LIMIT + 1, 1);
    assert_int_equal(update_send(&bad->pending, bad->conn, 16, body), 0);
    stage_act(bad);
    stage_play(s, has_closed, bad);
    assert_int_equal(server->closed, 1);
    assert_int_equal(server->frames, 0);
    assert_non_null(strstr(server->said, "client eve at 127.0.0.1:"));
    assert_non_null(strstr(server->said, ": sent a frame longer than the 16384 bytes allowed|"));
    expect_unharmed(s, server, good);
}

/* Whom we call may say more at first: how many peers it has, for one. */
static void test_a_called_peer_may_send_a_longer_first_frame(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    struct actor *client = enter_client(s, server, ROLE_CLIENT, "alice");
    stage_play(s, has_opened, client);
    stage_play(s, has_opened, server);
    struct blob *longest = stage_body(FRAME_FIRST_LIMIT_CALLED, 1);
    struct blob *longer = stage_body(FRAME_FIRST_LIMIT_CALLED + 1, 1);
    assert_int_equal(update_send(&server->pending, server->conn, 16, longest), 0);
    assert_int_equal(update_send(&server->pending, server->conn, 16, longer), 0);
    stage_act(server);
    stage_play(s, has_closed, client);
    assert_int_equal(client->frames, 1);
}

static void test_the_core_raises_the_limit(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    server->react = raise_limit;
    struct actor *good = enter_client(s, server, ROLE_CLIENT, "alice");
    stage_play(s, has_opened, good);
    assert_int_equal(update_send(&good->pending, good->conn, 16, stage_body(4 << 20, 1)), 0);
    assert_int_equal(update_send(&good->pending, good->conn, 16, stage_body((4 << 20) + 1, 1)), 0);
    stage_act(good);
    stage_play(s, has_closed, good);
    assert_int_equal(server->frames, 1);
}

static struct actor *enter_unix_server(struct stage *s, const struct host_limits *limits)
{
    struct actor *server = stage_enter(s, NULL);
    host_set_limits(server->host, limits);
    struct err e = {""};
    assert_int_equal(
        host_listen_unix(server->host, socket_path(s), ROLE_CTL, "here", NULL, 0, &e), 0);
    return server;
}

static void test_a_frame_too_short_is_no_frame(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_unix_server(s, &limits);
    int fd = connect_unix(socket_path(s));
    assert_int_equal(send(fd, "\0\0\0\3\0\20x\0\0\0\1\0\20", 13, 0), 13);
    stage_play(s, has_closed, server);
    assert_string_equal(server->story, "opened ctl here|16: 1 bytes|closed|");
    assert_non_null(strstr(server->said, ": sent bytes that are no frame|"));
    close(fd);
}

/* ---- deaf peers ---- */

static void test_a_peer_that_does_not_read_is_dropped(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    limits.queue_bytes = 10 << 20;
    struct actor *server = enter_unix_server(s, &limits);
    int fd = connect_unix(socket_path(s));
    stage_play(s, has_opened, server);
    struct blob *model = stage_body(1 << 20, 1);
    for (int i = 0; i < 20 && server->closed == 0; i++) {
        assert_int_equal(update_send(&server->pending, server->conn, 16, blob_ref(model)), 0);
        stage_act(server);
        (void)host_turn(server->host);
    }
    assert_int_equal(server->closed, 1);
    assert_non_null(strstr(server->said, ": does not read: "));
    assert_true(model->refs < 20);
    stage_leave(server);
    assert_int_equal(model->refs, 1);
    blob_unref(model);
    close(fd);
}

static void test_only_a_little_ciphertext_exists(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    struct actor *client = enter_client(s, server, ROLE_CLIENT, "alice");
    client->react = raise_limit;
    stage_play(s, has_opened, server);
    struct conn *c = conn_find(server->host, server->conn);
    int small = 128 * 1024;
    assert_int_equal(uv_send_buffer_size(&c->handle, &small), 0);
    struct blob *model = stage_body(1 << 20, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(update_send(&server->pending, server->conn, 16, blob_ref(model)), 0);
    stage_act(server);
    for (int i = 0; i < 100; i++) { /* the client does not turn: the socket's buffers fill up */
        (void)host_turn(server->host);
        assert_true(c->out.cipher.len + tls_pending(c->tls) < 600 * 1024);
    }
    assert_true(c->out.queue.bytes > 2 << 20);
    assert_true(model->refs > 3); /* one copy for all */
    stage_play_frames(s, client, 4);
    assert_int_equal(client->bytes, 4 << 20);
    assert_int_equal(c->out.queue.bytes, 0);
    assert_int_equal(c->out.cipher.cap, 0); /* an idle connection keeps no buffer */
    assert_int_equal(model->refs, 1);
    blob_unref(model);
}

static void test_a_closing_connection_does_not_wait_for_ever(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    limits.linger_ms = 20;
    struct actor *server = enter_unix_server(s, &limits);
    int fd = connect_unix(socket_path(s));
    stage_play(s, has_opened, server);
    assert_int_equal(update_send(&server->pending, server->conn, 16, stage_body(4 << 20, 1)), 0);
    assert_int_equal(update_close(&server->pending, server->conn, "bye"), 0);
    stage_act(server);
    stage_play(s, has_closed, server);
    stage_play(s, has_free_place, server);
    assert_non_null(strstr(server->said, ": did not take the last "));
    close(fd);
}

static void test_the_end_does_not_wait_for_the_deaf(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    limits.drain_ms = 20;
    struct actor *server = enter_unix_server(s, &limits);
    int fd = connect_unix(socket_path(s));
    stage_play(s, has_opened, server);
    assert_int_equal(update_send(&server->pending, server->conn, 16, stage_body(4 << 20, 1)), 0);
    assert_int_equal(update_stop(&server->pending, 0, "end"), 0);
    stage_act(server);
    stage_play(s, has_ended, server);
    close(fd);
}

/* ---- AF_UNIX ---- */

static void test_a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    /* A socket whose process is dead. */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", socket_path(s));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    close(fd);
    struct actor *server = enter_unix_server(s, &limits);
    struct stat st;
    assert_int_equal(stat(socket_path(s), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* A second one for the same path. */
    struct actor *second = stage_enter(s, NULL);
    struct err e = {""};
    char expected[300];
    assert_int_equal(
        host_listen_unix(second->host, socket_path(s), ROLE_CTL, "x", NULL, 0, &e), -EADDRINUSE);
    snprintf(expected, sizeof(expected),
        "%s: in use by another program; stop it or choose another address", socket_path(s));
    assert_string_equal(e.text, expected);
    /* The first one's still works. */
    fd = connect_unix(socket_path(s));
    stage_play(s, has_opened, server);
    close(fd);
    stage_leave(server);
    assert_int_equal(stat(socket_path(s), &st), -1); /* gone with its host */
}

static void test_other_things_in_the_place_are_left_alone(void **state)
{
    struct stage *s = *state;
    struct actor *a = stage_enter(s, NULL);
    struct err e = {""};
    char expected[300];
    scratch_write(&s->scratch, "socket", "precious", 0600);
    assert_int_equal(
        host_listen_unix(a->host, socket_path(s), ROLE_CTL, "x", NULL, 0, &e), -EEXIST);
    snprintf(expected, sizeof(expected), "%s: is there and no socket; remove it", socket_path(s));
    assert_string_equal(e.text, expected);
    auto_free char *text = scratch_read(&s->scratch, "socket");
    assert_string_equal(text, "precious");
    assert_int_equal(
        host_listen_unix(a->host, "/no/such/folder/x", ROLE_CTL, "x", NULL, 0, &e), -ENOENT);
    assert_string_equal(e.text, "/no/such/folder/x: its folder does not exist; create it");
    char longer[200] = "/tmp/";
    memset(longer + 5, 'x', 150);
    assert_int_equal(host_listen_unix(a->host, longer, ROLE_CTL, "x", NULL, 0, &e), -ENAMETOOLONG);
    assert_int_equal(host_dial_unix(a->host, longer, ROLE_CTL, "x", &e), -ENAMETOOLONG);
    assert_non_null(strstr(e.text, ": longer than a socket's path may be"));
}

/* Connects as another user; needs root. */
static pid_t connect_as(uid_t uid, const char *path)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char byte;
    if (setgid(0) < 0 || setuid(uid) < 0)
        _exit(2);
    int fd = connect_unix(path);
    _exit(recv(fd, &byte, 1, 0) == 0 ? 0 : 1); /* until it is hung up */
}

static bool has_exited(void *arg)
{
    return waitpid(*(pid_t *)arg, NULL, WNOHANG) != 0;
}

static void test_users_are_checked(void **state)
{
    struct stage *s = *state;
    if (geteuid() != 0) {
        skip();
        return;
    }
    assert_int_equal(chmod(s->scratch.path, 0755), 0);
    struct actor *server = stage_enter(s, NULL);
    struct err e = {""};
    const uint32_t uids[] = {1234};
    assert_int_equal(
        host_listen_unix(server->host, socket_path(s), ROLE_CLIENT, "alice", uids, 1, &e), 0);
    struct stat st;
    assert_int_equal(stat(socket_path(s), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    pid_t stranger = connect_as(1235, socket_path(s));
    stage_play(s, has_exited, &stranger);
    assert_string_equal(server->story, "");
    char expected[300];
    snprintf(expected, sizeof(expected), "warning %s (uid 1235): this user may not connect|",
        socket_path(s));
    assert_string_equal(server->said, expected);
    pid_t friend = connect_as(1234, socket_path(s));
    stage_play(s, has_opened, server);
    assert_int_equal(update_close(&server->pending, server->conn, "bye"), 0);
    stage_act(server);
    stage_play(s, has_exited, &friend);
}

/* ---- addresses ---- */

static void test_bad_addresses_have_their_sentence(void **state)
{
    static const struct {
        const char *address;
        int result;
        const char *sentence;
    } rows[] = {
        {"7000", -EINVAL, "7000: must be address:port, such as 10.0.0.5:7000"},
        {":7000", -EINVAL, ":7000: must be address:port, such as 10.0.0.5:7000"},
        {"localhost:", -EINVAL, "localhost:: the port must be 0 to 65535"},
        {"localhost:http", -EINVAL, "localhost:http: the port must be 0 to 65535"},
        {"localhost:-1", -EINVAL, "localhost:-1: the port must be 0 to 65535"},
        {"localhost:65536", -EINVAL, "localhost:65536: the port must be 0 to 65535"},
        {"::1:7000", -EINVAL, "::1:7000: an IPv6 address needs brackets: [::1]:7000"},
        {"[]:7000", -EINVAL, "[]:7000: has no address before the port"},
        {"192.0.2.1:0", -EADDRNOTAVAIL, "192.0.2.1:0: not an address of this machine"},
    };
    struct stage *s = *state;
    struct actor *a = stage_enter(s, NULL);
    struct tls_context *tls = stage_tls(s, ROLE_SERVER, "hub");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct err e = {""};
        assert_int_equal(
            host_listen_tls(a->host, rows[i].address, ROLE_CLIENT, tls, &e), rows[i].result);
        assert_string_equal(e.text, rows[i].sentence);
        if (rows[i].result == -EINVAL)
            assert_int_equal(
                host_dial_tls(a->host, rows[i].address, ROLE_CLIENT, NULL, tls, &e), -EINVAL);
    }
}

static void test_a_port_in_use_has_its_sentence(void **state)
{
    struct stage *s = *state;
    struct host_limits limits = host_limits_default();
    struct actor *server = enter_server(s, &limits);
    struct actor *second = stage_enter(s, NULL);
    struct err e = {""};
    char expected[200];
    assert_int_equal(host_listen_tls(second->host, stage_address(server), ROLE_CLIENT,
                         stage_tls(s, ROLE_SERVER, "hub"), &e),
        -EADDRINUSE);
    snprintf(expected, sizeof(expected),
        "%s: in use by another program; stop it or choose another address", stage_address(server));
    assert_string_equal(e.text, expected);
}

static bool knows_two(void *arg)
{
    return ((const struct actor *)arg)->opened == 2;
}

static void test_every_address_of_the_machine_and_ipv6(void **state)
{
    struct stage *s = *state;
    struct actor *server = stage_enter(s, NULL);
    struct err e = {""};
    struct tls_context *tls = stage_tls(s, ROLE_SERVER, "hub");
    assert_int_equal(host_listen_tls(server->host, "*:0", ROLE_CLIENT, tls, &e), 0);
    struct actor *client = enter_client(s, server, ROLE_CLIENT, "alice");
    stage_play(s, has_opened, client);
    int r = host_listen_tls(server->host, "[::1]:0", ROLE_CLIENT, tls, &e);
    if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT)
        return; /* a machine without IPv6 */
    assert_int_equal(r, 0);
    char address[40];
    snprintf(address, sizeof(address), "[::1]:%u", host_port(server->host));
    struct actor *second = stage_enter(s, NULL);
    assert_int_equal(host_dial_tls(second->host, address, ROLE_SERVER, "hub",
                         stage_tls(s, ROLE_CLIENT, "bob"), &e),
        0);
    stage_play(s, has_opened, second);
    stage_play(s, knows_two, server);
    assert_non_null(strstr(server->story, "opened client bob|"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_wrong_role_never_reaches_the_core),
        TEST(test_a_wrong_server_never_reaches_the_core),
        TEST(test_garbage_harms_nobody_else),
        TEST(test_half_open_handshakes_are_dropped),
        TEST(test_the_oldest_handshake_makes_room),
        TEST(test_there_is_a_limit_to_connections),
        TEST(test_a_flood_of_refusals_is_not_a_flood_of_lines),
        TEST(test_descriptors_may_run_out),
        TEST(test_a_long_frame_closes_only_its_connection),
        TEST(test_a_called_peer_may_send_a_longer_first_frame),
        TEST(test_the_core_raises_the_limit),
        TEST(test_a_frame_too_short_is_no_frame),
        TEST(test_a_peer_that_does_not_read_is_dropped),
        TEST(test_only_a_little_ciphertext_exists),
        TEST(test_a_closing_connection_does_not_wait_for_ever),
        TEST(test_the_end_does_not_wait_for_the_deaf),
        TEST(test_a_stale_socket_is_replaced_and_a_live_one_is_not),
        TEST(test_other_things_in_the_place_are_left_alone),
        TEST(test_users_are_checked),
        TEST(test_bad_addresses_have_their_sentence),
        TEST(test_a_port_in_use_has_its_sentence),
        TEST(test_every_address_of_the_machine_and_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
