/* SPDX-License-Identifier: Apache-2.0 */
/* What the host costs: one server host, CLIENTS client hosts in processes of their own, each sending
 * frames of 256 KiB over TLS on loopback, against a bare OpenSSL stream of the same bytes (goal: 0.8 of
 * its rate). The cores only count. Both figures are taken alternately, medians are compared. The
 * receiver's CPU time tells more than the rate when the machine has other things to do.
 * Usage: host_bench [CLIENTS [MIB_EACH [RUNS]]]
 */
#include "common/host.h"
#include "common/pki.h"
#include "common/util.h"
#include "tests/bench/bare_tls.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BYTES ((size_t)256 * 1024)
#define RUNS_MAX    9

enum { FRAME_BEGIN = 16, FRAME_DATA };

static void must(bool ok, const char *what, const struct err *e)
{
    if (ok)
        return;
    fprintf(stderr, "host_bench: %s: %s\n", what, e ? e->text : strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* CPU time of this process: the receiver in both measurements. */
static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

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
    s->began_s = now_s();
    s->cpu_s = -cpu_s();
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
    s->ended_s = now_s();
    s->cpu_s += cpu_s();
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

static struct tls_context *load_tls(const char *dir, enum role role, const char *site)
{
    char certificate[128];
    char key[128];
    char ca[128];
    snprintf(certificate, sizeof(certificate), "%s/%s/cert.pem", dir, site);
    snprintf(key, sizeof(key), "%s/%s/key.pem", dir, site);
    snprintf(ca, sizeof(ca), "%s/%s/ca.pem", dir, site);
    const struct tls_files files = {.certificate = certificate,
        .key = key,
        .ca = ca,
        .federation = "bench",
        .role = role,
        .site = site};
    struct tls_context *t = NULL;
    struct err e = {""};
    must(tls_context_new(&t, &files, &e) == 0, "TLS", &e);
    return t;
}

static struct host *make_host(
    void *core, int (*step)(void *, const struct event *, struct update *))
{
    struct err e = {""};
    struct log *log = log_new("bench", LOG_TEXT, NOTE_ALARM);
    const struct host_core c = {core, step, never};
    struct host *h = host_new(&c, log, &e);
    must(h != NULL, "host", &e);
    struct host_limits limits = host_limits_default();
    limits.queue_bytes = SIZE_MAX; /* a sender queues all of its frames at once */
    host_set_limits(h, &limits);
    return h;
}

static void run_client(const char *dir, uint16_t port, uint64_t bytes)
{
    char address[32];
    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    struct sender s = {.bytes = bytes, .body = blob_new(FRAME_BYTES)};
    must(s.body != NULL, "memory", NULL);
    memset(s.body->data, 1, FRAME_BYTES);
    struct host *h = make_host(&s, send_all);
    struct err e = {""};
    must(host_dial_tls(
             h, address, ROLE_SERVER, "aggregator", load_tls(dir, ROLE_CLIENT, "c000"), &e) == 0,
        "dial", &e);
    _exit(host_run(h, NULL));
}

static double host_rate(const char *dir, size_t clients, uint64_t bytes_each, double *cpu)
{
    struct counter s = {.clients = clients, .wanted = clients * bytes_each};
    struct host *h = make_host(&s, count);
    struct tls_context *tls = load_tls(dir, ROLE_SERVER, "aggregator");
    struct err e = {""};
    must(host_listen_tls(h, "127.0.0.1:0", ROLE_CLIENT, tls, &e) == 0, "listen", &e);
    for (size_t i = 0; i < clients; i++)
        if (fork() == 0)
            run_client(dir, host_port(h), bytes_each);
    must(host_run(h, NULL) == 0 && s.heard >= s.wanted, "the server ended early", NULL);
    host_free(h);
    tls_context_free(tls);
    while (wait(NULL) > 0)
        ;
    *cpu = s.cpu_s;
    return (double)s.heard / (s.ended_s - s.began_s);
}

static void make_certificates(const char *dir)
{
    static const struct {
        enum role role;
        const char *site;
    } members[] = {{ROLE_SERVER, "aggregator"}, {ROLE_CLIENT, "c000"}};
    struct err e = {""};
    char ca[64];
    snprintf(ca, sizeof(ca), "%s/ca", dir);
    must(pki_init(ca, "bench", PKI_P256, 1, &e) == 0, "CA", &e);
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        char out[96];
        snprintf(out, sizeof(out), "%s/%s", dir, members[i].site);
        const struct pki_request q = {
            .role = members[i].role, .site = members[i].site, .lifetime_s = 3600};
        must(pki_issue(ca, &q, out, &e) == 0, "certificate", &e);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void remove_tree(const char *dir)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", dir, (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

struct figures {
    double rate[RUNS_MAX];
    double cpu[RUNS_MAX]; /* seconds per 10^9 bytes */
};

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof(double), compare);
    return values[n / 2];
}

static void measure(const char *dir, size_t clients, uint64_t each, int runs)
{
    struct figures host;
    struct figures bare;
    double giga = (double)(clients * each) / 1e9;
    for (int i = 0; i < runs; i++) {
        double start = cpu_s();
        bare.rate[i] = bare_tls_rate(dir, clients * each);
        bare.cpu[i] = (cpu_s() - start) / giga;
        double cpu = 0;
        host.rate[i] = host_rate(dir, clients, each, &cpu);
        host.cpu[i] = cpu / giga;
    }
    double h = median(host.rate, runs);
    double b = median(bare.rate, runs);
    printf("%zu clients x %.0f MiB: %.0f MB/s; bare OpenSSL stream %.0f MB/s; ratio %.2f (goal "
           "0.8); receiver's CPU %.2f s/GB; bare %.2f s/GB; median of %d\n",
        clients, (double)each / 1048576, h / 1e6, b / 1e6, h / b, median(host.cpu, runs),
        median(bare.cpu, runs), runs);
}

int main(int argc, char **argv)
{
    size_t clients = argc > 1 ? (size_t)atoi(argv[1]) : 100;
    uint64_t each = (argc > 2 ? (uint64_t)atoi(argv[2]) : 8) << 20;
    int runs = argc > 3 ? MIN(atoi(argv[3]), RUNS_MAX) : 3;
    char dir[] = "/tmp/qfl-bench.XXXXXX";
    must(clients >= 1 && clients <= 1024 && runs >= 1, "usage", NULL);
    must(mkdtemp(dir) != NULL, "directory", NULL);
    make_certificates(dir);
    measure(dir, clients, each, runs);
    remove_tree(dir);
    return 0;
}
