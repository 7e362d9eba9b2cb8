/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmark (c): one server, 100 clients uploading 1,000,000 words of 32 bits each over TLS on loopback,
 * against bare OpenSSL streams of the same bytes on the same machine (goal: 0.8 of their rate).
 *
 * The server is the real core on the real host; the clients are processes of their own that neither
 * train nor mask (tests/bench/uploader.h): as a real client they have their chunks ready before GO.
 * Timed is from GO until the last chunk is there. Beside it (bare_tls.h), with a receiver that does
 * nothing with what it gets: as many senders as the server has, a process each, and one sender. The
 * receiver has the first processor for itself and the senders the others, in all three: on a
 * server's machine there are no clients. The receivers' CPU times tell more than the rates when the
 * machine has other things to do. The three take turns, medians are printed.
 * Usage: upload_bench [CLIENTS [WORDS [RUNS]]]
 */
#include "common/host.h"
#include "common/util.h"
#include "proto/fed.pb-c.h"
#include "server/aggregator.h"
#include "tests/bench/bare_tls.h"
#include "tests/bench/stand.h"
#include "tests/bench/stand_pki.h"
#include "tests/bench/uploader.h"
#include "tests/sim/store_sim.h"

#include <stdio.h>
#include <unistd.h>

#define BENCH_CHUNK 65536
#define RUNS_MAX    9

/* Of one round, told by the server's process. */
struct figures {
    double upload_s;  /* from GO until the last chunk is there */
    double cpu_s;     /* of the server, meanwhile */
    double publish_s; /* from the last chunk to RESULT */
    double peak_mb;   /* of the server when RESULT goes out */
};

/* ---- the server, timed from outside ------------------------------------------------------------ */

struct timed_server {
    struct aggregator *core;
    struct figures f;
    bool has_gone;
    bool has_result;
};

static bool has_sent(const struct update *u, size_t from, uint16_t type)
{
    for (size_t i = from; i < u->n; i++)
        if (u->effects[i].kind == EFFECT_SEND && u->effects[i].type == type)
            return true;
    return false;
}

static int timed_step(void *core, const struct event *event, struct update *update)
{
    struct timed_server *s = core;
    size_t before = update->n;
    double now = stand_now_s();
    double cpu = stand_cpu_s();
    int r = aggregator_step(s->core, event, update);
    if (!s->has_gone && has_sent(update, before, FED_GO)) {
        s->has_gone = true;
        s->f.upload_s = -stand_now_s();
        s->f.cpu_s = -stand_cpu_s();
    }
    if (!s->has_result && has_sent(update, before, FED_RESULT)) {
        s->has_result = true;
        s->f.upload_s += now;
        s->f.publish_s = stand_now_s() - now;
        s->f.cpu_s += cpu;
        s->f.peak_mb = stand_peak_mb();
    }
    return r;
}

static uint64_t timed_deadline_ms(const void *core)
{
    return aggregator_deadline_ms(((const struct timed_server *)core)->core);
}

static void tell_port(int fd, uint16_t port)
{
    stand_must(write(fd, &port, sizeof(port)) == sizeof(port), "port", NULL);
}

static struct figures serve_round(
    const struct stand_pki *pki, size_t clients, uint32_t parameters, int tell_fd)
{
    struct err e = {0};
    char(*names)[UPLOADER_NAME] = calloc(clients, sizeof(*names));
    const char **roster = calloc(clients, sizeof(*roster));
    double *model = calloc(parameters, sizeof(*model));
    stand_must(names && roster && model, "memory", NULL);
    for (size_t i = 0; i < clients; i++) {
        uploader_name(names[i], i);
        roster[i] = names[i];
    }
    Fed__Params params = FED__PARAMS__INIT;
    params.task = (char *)"bench";
    params.trainer = (char *)"none";
    params.parameters = parameters;
    params.q = 32;
    params.clip = 1;
    params.chunk_words = BENCH_CHUNK;
    const struct aggregator_config config = {.federation = "bench",
        .roster = roster,
        .sites = clients,
        .min_clients = (uint32_t)clients,
        .rounds = 1,
        .start_auto = true,
        .exit_when_done = true,
        .params = &params,
        .model = model,
        .seed = {1}};
    struct timed_server server = {0};
    struct store *store = store_sim_store(store_sim_new(1));
    struct log *log = log_new("server", LOG_TEXT, NOTE_ALARM);
    stand_must(aggregator_new(&server.core, &config, store, 0, &e) == 0, "aggregator", &e);
    const struct host_core core = {&server, timed_step, timed_deadline_ms};
    struct host *host = host_new(&core, log, &e);
    stand_must(host != NULL, "host", &e);
    struct tls_context *tls = stand_pki_tls(pki, ROLE_SERVER, "aggregator");
    stand_must(host_listen_tls(host, "127.0.0.1:0", ROLE_CLIENT, tls, &e) == 0, "listen", &e);
    tell_port(tell_fd, host_port(host));
    stand_must(host_run(host, NULL) == 0, "the server ended early", NULL);
    host_free(host);
    stand_must(server.has_result, "no round was summed", NULL);
    return server.f;
}

static void run_uploader(
    const struct stand_pki *pki, uint16_t port, size_t self, size_t clients, uint32_t words)
{
    struct err e = {0};
    char address[32];
    stand_pin(STAND_SENDER);
    snprintf(address, sizeof(address), "127.0.0.1:%u", port);
    char site[UPLOADER_NAME];
    uploader_name(site, self);
    struct log *log = log_new(site, LOG_TEXT, NOTE_ALARM);
    struct uploader *u = uploader_new(self, clients, words, BENCH_CHUNK);
    const struct host_core core = {u, uploader_step, uploader_deadline_ms};
    struct host *host = host_new(&core, log, &e);
    stand_must(host != NULL, "host", &e);
    struct tls_context *tls = stand_pki_tls(pki, ROLE_CLIENT, site);
    stand_must(host_dial_tls(host, address, ROLE_SERVER, "aggregator", tls, &e) == 0, "dial", &e);
    _exit(host_run(host, NULL));
}

static struct figures measure_round(
    const struct stand_pki *pki, size_t clients, uint32_t words, uint32_t parameters)
{
    int result[2];
    struct figures f = {0};
    stand_must(pipe(result) == 0, "pipe", NULL);
    if (stand_fork("server") == 0) {
        f = serve_round(pki, clients, parameters, result[1]);
        _exit(write(result[1], &f, sizeof(f)) == sizeof(f) ? 0 : 1);
    }
    close(result[1]);
    uint16_t port = 0;
    stand_must(read(result[0], &port, sizeof(port)) == sizeof(port), "port", NULL);
    for (size_t i = 0; i < clients; i++)
        if (stand_fork("uploader") == 0)
            run_uploader(pki, port, i, clients, words);
    stand_must(read(result[0], &f, sizeof(f)) == sizeof(f), "round", NULL);
    close(result[0]);
    stand_wait();
    return f;
}

/* ---- side by side ------------------------------------------------------------------------------ */

struct series {
    double rate[RUNS_MAX]; /* bytes per second */
    double cpu[RUNS_MAX];  /* of the receiver, seconds per 10^9 bytes */
};

static void note(struct series *s, size_t run, uint64_t bytes, double seconds, double cpu_s)
{
    s->rate[run] = (double)bytes / seconds;
    s->cpu[run] = cpu_s * 1e9 / (double)bytes;
}

/* Median of a / b, run by run: what slowed one run down did so to both. */
static double ratio(const double *a, const double *b, size_t runs)
{
    double ratios[RUNS_MAX];
    for (size_t i = 0; i < runs; i++)
        ratios[i] = a[i] / b[i];
    return stand_median(ratios, runs);
}

static void print_ratios(const struct series *round, const struct series *bare, size_t runs)
{
    printf("    the server has %.2f of this rate (goal 0.8) and needs %.2f of this CPU time\n",
        ratio(round->rate, bare->rate, runs), ratio(round->cpu, bare->cpu, runs));
}

/* Sorts. */
static void print(const char *name, struct series *s, size_t runs)
{
    printf("%s: %.0f MB/s, receiver's CPU %.2f s/GB\n", name, stand_median(s->rate, runs) / 1e6,
        stand_median(s->cpu, runs));
}

static void measure(
    const struct stand_pki *pki, size_t clients, uint32_t words, uint32_t parameters, size_t runs)
{
    struct series one, many, round;
    double publish_ms[RUNS_MAX], peak_mb[RUNS_MAX];
    uint64_t each = (uint64_t)words * 4;
    for (size_t i = 0; i < runs; i++) {
        struct bare_figures bare = bare_tls_run(pki->dir, 1, clients * each);
        note(&one, i, clients * each, bare.seconds, bare.cpu_s);
        bare = bare_tls_run(pki->dir, clients, each);
        note(&many, i, clients * each, bare.seconds, bare.cpu_s);
        struct figures f = measure_round(pki, clients, words, parameters);
        note(&round, i, clients * each, f.upload_s, f.cpu_s);
        publish_ms[i] = f.publish_s * 1e3;
        peak_mb[i] = f.peak_mb;
    }
    printf("%zu clients x %u words of 32 bits, medians of %zu:\n", clients, words, runs);
    struct series sorted = many;
    print("bare OpenSSL, as many senders", &sorted, runs);
    print_ratios(&round, &many, runs);
    sorted = one;
    print("bare OpenSSL, one sender", &sorted, runs);
    print_ratios(&round, &one, runs);
    print("the server", &round, runs);
    printf("then %.0f ms to RESULT; peak of the server %.0f MB, the model being %.0f MB as sum and "
           "%.0f MB as weights\n",
        stand_median(publish_ms, runs), stand_median(peak_mb, runs), words * 4e-6,
        parameters * 8e-6);
}

int main(int argc, char **argv)
{
    size_t clients = argc > 1 ? (size_t)atoi(argv[1]) : 100;
    uint32_t parameters = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000000;
    size_t runs = argc > 3 ? (size_t)atoi(argv[3]) : 3;
    stand_must(clients >= 3 && clients <= 1000 && parameters >= 1 && runs >= 1 && runs <= RUNS_MAX,
        "usage: upload_bench [CLIENTS [WORDS [RUNS]]]", NULL);
    const struct quantiser z = {.q = 32,
        .participants = (uint32_t)clients,
        .parameters = parameters,
        .chunk_words = BENCH_CHUNK,
        .clip = 1};
    stand_pin(STAND_RECEIVER);
    struct stand_pki pki;
    stand_pki_init(&pki);
    stand_pki_issue(&pki, ROLE_SERVER, "aggregator");
    for (size_t i = 0; i < clients; i++) {
        char site[UPLOADER_NAME];
        uploader_name(site, i);
        stand_pki_issue(&pki, ROLE_CLIENT, site);
    }
    measure(&pki, clients, quantiser_words(&z), parameters, runs);
    stand_pki_deinit(&pki);
    return 0;
}
