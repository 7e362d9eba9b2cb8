/* SPDX-License-Identifier: Apache-2.0 */
/* What the host costs: one server host, CLIENTS client hosts in processes of their own, each sending
 * frames of 256 KiB over TLS on loopback, against as many bare OpenSSL streams of the same bytes (goal: 0.8
 * of their rate). The cores only count. Both figures are taken alternately, medians are compared. The
 * receiver's CPU time tells more than the rate when the machine has other things to do.
 * Usage: host_bench [CLIENTS [MIB_EACH [RUNS]]]
 */
#include "common/host.h"
#include "common/util.h"
#include "tests/bench/bare_tls.h"
#include "tests/bench/stand.h"
#include "tests/bench/stand_pki.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define FRAME_BYTES ((size_t)256 * 1024)
#define RUNS_MAX    9

enum { FRAME_BEGIN = 16, FRAME_DATA };

/* ---- the server: waits for everybody, says begin, counts ---- */

struct counter {
    size_t clients;
    size_t open;
    uint32_t conns[1024];
    uint64_t wanted;
    uint64_t heard;
    double began_s;
    double ended_s;
    double cpu_s; /* in between */
};

static int begin(struct counter *s, struct update *u)
{
    s->began_s = stand_now_s();
    s->cpu_s = -stand_cpu_s();
    for (size_t i = 0; i < s->open; i++)
        if (update_send(u, s->conns[i], FRAME_BEGIN, NULL) < 0)
            return -ENOMEM;
    return 0;
}

static int count(void *core, const struct event *e, struct update *u)
{
    struct counter *s = core;
    if (e->kind == EVENT_OPENED) {
        s->conns[s->open++] = e->conn;
        int r = update_limit(u, e->conn, FRAME_BYTES);
        return r == 0 && s->open == s->clients ? begin(s, u) : r;
    }
    if (e->kind != EVENT_FRAME)
        return 0;
    s->heard += e->frame.len;
    if (s->heard < s->wanted)
        return 0;
    s->ended_s = stand_now_s();
    s->cpu_s += stand_cpu_s();
    return update_stop(u, 0, "all is heard");
}

/* ---- a client: sends when told ---- */

struct sender {
    uint64_t bytes;
    struct blob *body;
};

static int send_all(void *core, const struct event *e, struct update *u)
{
    struct sender *s = core;
    if (e->kind == EVENT_CLOSED)
        return update_stop(u, 0, "done");
    if (e->kind != EVENT_FRAME)
        return 0;
    for (uint64_t at = 0; at < s->bytes; at += FRAME_BYTES)
        if (update_send(u, e->conn, FRAME_DATA, blob_ref(s->body)) < 0)
            return -ENOMEM;
    return 0;
}

static uint64_t never(const void *core)
{
    return NEVER_MS;
}

/* ---- the measurement ---- */

static struct host *make_host(
    void *core, int (*step)(void *, const struct event *, struct update *))
{
    struct err e = {""};
    struct log *log = log_new("bench", LOG_TEXT, NOTE_ALARM);
    const struct host_core c = {core, step, never};
    struct host *h = host_new(&c, log, &e);
    stand_must(h != NULL, "host", &e);
    struct host_limits limits = host_limits_default();
    limits.queue_bytes = SIZE_MAX; /* a sender queues all of its frames at once */
    host_set_limits(h, &limits);
    return h;
}

static void run_client(const struct stand_pki *pki, uint16_t port, uint64_t bytes)
{
    char address[32];
    stand_pin(STAND_SENDER);
    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    struct sender s = {.bytes = bytes, .body = blob_new(FRAME_BYTES)};
    stand_must(s.body != NULL, "memory", NULL);
    memset(s.body->data, 1, FRAME_BYTES);
    struct host *h = make_host(&s, send_all);
    struct err e = {""};
    stand_must(host_dial_tls(h, address, ROLE_SERVER, "aggregator",
                   stand_pki_tls(pki, ROLE_CLIENT, "c000"), &e) == 0,
        "dial", &e);
    _exit(host_run(h, NULL));
}

static double host_rate(
    const struct stand_pki *pki, size_t clients, uint64_t bytes_each, double *cpu)
{
    struct counter s = {.clients = clients, .wanted = clients * bytes_each};
    struct host *h = make_host(&s, count);
    struct tls_context *tls = stand_pki_tls(pki, ROLE_SERVER, "aggregator");
    struct err e = {""};
    stand_must(host_listen_tls(h, "127.0.0.1:0", ROLE_CLIENT, tls, &e) == 0, "listen", &e);
    for (size_t i = 0; i < clients; i++)
        if (stand_fork("sender") == 0)
            run_client(pki, host_port(h), bytes_each);
    stand_must(host_run(h, NULL) == 0 && s.heard >= s.wanted, "the server ended early", NULL);
    host_free(h);
    tls_context_free(tls);
    stand_wait();
    *cpu = s.cpu_s;
    return (double)s.heard / (s.ended_s - s.began_s);
}

struct figures {
    double rate[RUNS_MAX];
    double cpu[RUNS_MAX]; /* seconds per 10^9 bytes */
};

static void measure(const struct stand_pki *pki, size_t clients, uint64_t each, size_t runs)
{
    struct figures host;
    struct figures bare;
    double giga = (double)(clients * each) / 1e9;
    for (size_t i = 0; i < runs; i++) {
        struct bare_figures f = bare_tls_run(pki->dir, clients, each);
        bare.rate[i] = giga * 1e9 / f.seconds;
        bare.cpu[i] = f.cpu_s / giga;
        double cpu = 0;
        host.rate[i] = host_rate(pki, clients, each, &cpu);
        host.cpu[i] = cpu / giga;
    }
    double h = stand_median(host.rate, runs);
    double b = stand_median(bare.rate, runs);
    printf("%zu clients x %.0f MiB: %.0f MB/s; as many bare OpenSSL streams %.0f MB/s; ratio %.2f "
           "(goal "
           "0.8); receiver's CPU %.2f s/GB; bare %.2f s/GB; median of %zu\n",
        clients, (double)each / 1048576, h / 1e6, b / 1e6, h / b, stand_median(host.cpu, runs),
        stand_median(bare.cpu, runs), runs);
}

int main(int argc, char **argv)
{
    size_t clients = argc > 1 ? (size_t)atoi(argv[1]) : 100;
    uint64_t each = (argc > 2 ? (uint64_t)atoi(argv[2]) : 8) << 20;
    size_t runs = argc > 3 ? (size_t)atoi(argv[3]) : 3;
    stand_must(clients >= 1 && clients <= 1024 && runs >= 1 && runs <= RUNS_MAX,
        "usage: host_bench [CLIENTS [MIB_EACH [RUNS]]]", NULL);
    stand_pin(STAND_RECEIVER);
    struct stand_pki pki;
    stand_pki_init(&pki);
    stand_pki_issue(&pki, ROLE_SERVER, "aggregator");
    stand_pki_issue(&pki, ROLE_CLIENT, "c000");
    measure(&pki, clients, each, runs);
    stand_pki_deinit(&pki);
    return 0;
}
