/* SPDX-License-Identifier: Apache-2.0 */
/* One server, 100 clients uploading 1,000,000 words of 32 bits each over TLS on loopback, against a
 * bare OpenSSL stream of the same bytes on the same machine (goal: 0.8 of its rate).
 *
 * The server is the real core on the real host; the clients are processes of their own that neither
 * train nor mask (tests/bench/uploader.h). Both figures are taken alternately, medians are compared.
 * Usage: upload_bench [CLIENTS [WORDS [RUNS]]]
 */
#include "common/host.h"
#include "common/pki.h"
#include "common/util.h"
#include "proto/fed.pb-c.h"
#include "server/aggregator.h"
#include "tests/bench/bare_tls.h"
#include "tests/bench/uploader.h"
#include "tests/sim/store_sim.h"

#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BENCH_ADDRESS "127.0.0.1:17399"
#define BENCH_CHUNK   65536

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(bool ok, const char *what, const struct err *e)
{
    if (ok)
        return;
    fprintf(stderr, "upload_bench: %s: %s\n", what, e ? e->text : "");
    exit(1);
}

static void issue(const char *dir, enum role role, const char *site)
{
    char ca[64];
    char out[96];
    struct err e = {0};
    snprintf(ca, sizeof(ca), "%s/ca", dir);
    snprintf(out, sizeof(out), "%s/%s", dir, site);
    const struct pki_request q = {.role = role, .site = site, .lifetime_s = 3600};
    must(pki_issue(ca, &q, out, &e) == 0, "certificate", &e);
}

static struct tls_context *load_tls(const char *dir, enum role role, const char *site)
{
    char certificate[128];
    char key[128];
    char ca[128];
    snprintf(certificate, sizeof(certificate), "%s/%s/cert.pem", dir, site);
    snprintf(key, sizeof(key), "%s/%s/key.pem", dir, site);
    snprintf(ca, sizeof(ca), "%s/%s/ca.pem", dir, site);
    const struct tls_files files = {certificate, key, ca, "bench", role, site};
    struct tls_context *t = NULL;
    struct err e = {0};
    must(tls_context_new(&t, &files, &e) == 0, "TLS", &e);
    return t;
}

/* ---- the server, with the time between GO and RESULT measured from outside ---------------------- */

struct timed_server {
    struct aggregator *core;
    double go_s;
    double result_s;
};

static int timed_step(void *core, const struct event *event, struct update *update)
{
    struct timed_server *s = core;
    size_t before = update->n;
    int r = aggregator_step(s->core, event, update);
    for (size_t i = before; i < update->n; i++) {
        if (update->effects[i].kind != EFFECT_SEND)
            continue;
        if (update->effects[i].type == FED_GO && s->go_s == 0)
            s->go_s = now_s();
        if (update->effects[i].type == FED_RESULT && s->result_s == 0)
            s->result_s = now_s();
    }
    return r;
}

static uint64_t timed_deadline_ms(const void *core)
{
    return aggregator_deadline_ms(((const struct timed_server *)core)->core);
}

/* Runs one round and returns the seconds from GO to RESULT. */
static double serve_round(const char *dir, size_t clients, uint32_t parameters)
{
    struct err e = {0};
    char(*names)[UPLOADER_NAME] = calloc(clients, sizeof(*names));
    const char **roster = calloc(clients, sizeof(*roster));
    double *model = calloc(parameters, sizeof(*model));
    must(names && roster && model, "memory", NULL);
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
    must(aggregator_new(&server.core, &config, store, 0, &e) == 0, "aggregator", &e);
    const struct host_core core = {&server, timed_step, timed_deadline_ms};
    struct host *host = host_new(&core, log, &e);
    must(host != NULL, "host", &e);
    struct tls_context *tls = load_tls(dir, ROLE_SERVER, "aggregator");
    must(host_listen_tls(host, BENCH_ADDRESS, ROLE_CLIENT, tls, &e) == 0, "listen", &e);
    must(host_run(host, NULL) == 0, "the server ended early", NULL);
    host_free(host);
    must(server.go_s > 0 && server.result_s > 0, "no round was summed", NULL);
    return server.result_s - server.go_s;
}

static void run_uploader(const char *dir, size_t self, size_t clients, uint32_t words)
{
    struct err e = {0};
    char site[UPLOADER_NAME];
    uploader_name(site, self);
    struct log *log = log_new(site, LOG_TEXT, NOTE_ALARM);
    struct uploader *u = uploader_new(self, clients, words, BENCH_CHUNK);
    const struct host_core core = {u, uploader_step, uploader_deadline_ms};
    struct host *host = host_new(&core, log, &e);
    must(host != NULL, "host", &e);
    struct tls_context *tls = load_tls(dir, ROLE_CLIENT, site);
    must(host_dial_tls(host, BENCH_ADDRESS, ROLE_SERVER, "aggregator", tls, &e) == 0, "dial", &e);
    _exit(host_run(host, NULL));
}

static double measure_round(const char *dir, size_t clients, uint32_t words, uint32_t parameters)
{
    int result[2];
    must(pipe(result) == 0, "pipe", NULL);
    pid_t server = fork();
    if (server == 0) {
        double s = serve_round(dir, clients, parameters);
        _exit(write(result[1], &s, sizeof(s)) == sizeof(s) ? 0 : 1);
    }
    for (size_t i = 0; i < clients; i++)
        if (fork() == 0)
            run_uploader(dir, i, clients, words);
    double seconds = 0;
    must(read(result[0], &seconds, sizeof(seconds)) == sizeof(seconds), "round", NULL);
    close(result[0]);
    close(result[1]);
    while (wait(NULL) > 0)
        ;
    return (double)clients * words * 4 / seconds;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
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

int main(int argc, char **argv)
{
    size_t clients = argc > 1 ? (size_t)atoi(argv[1]) : 100;
    uint32_t parameters = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000000;
    int runs = MIN(argc > 3 ? atoi(argv[3]) : 3, 9);
    const struct quantiser z = {.q = 32,
        .participants = (uint32_t)clients,
        .parameters = parameters,
        .chunk_words = BENCH_CHUNK,
        .clip = 1};
    uint32_t words = quantiser_words(&z);
    char dir[] = "/tmp/qfl-bench.XXXXXX";
    char ca[64];
    struct err e = {0};
    must(mkdtemp(dir) != NULL, "directory", NULL);
    snprintf(ca, sizeof(ca), "%s/ca", dir);
    must(pki_init(ca, "bench", PKI_P256, 1, &e) == 0, "CA", &e);
    issue(dir, ROLE_SERVER, "aggregator");
    for (size_t i = 0; i < clients; i++) {
        char site[UPLOADER_NAME];
        uploader_name(site, i);
        issue(dir, ROLE_CLIENT, site);
    }
    double rounds[9];
    double bare[9];
    for (int i = 0; i < runs; i++) {
        bare[i] = bare_tls_rate(dir, (uint64_t)clients * words * 4);
        rounds[i] = measure_round(dir, clients, words, parameters);
    }
    remove_tree(dir);
    qsort(bare, (size_t)runs, sizeof(double), compare);
    qsort(rounds, (size_t)runs, sizeof(double), compare);
    printf(
        "%zu clients x %u words of 32 bits: %.0f MB/s; bare OpenSSL stream %.0f MB/s; ratio %.2f "
        "(goal 0.8), median of %d\n",
        clients, words, rounds[runs / 2] / 1e6, bare[runs / 2] / 1e6,
        rounds[runs / 2] / bare[runs / 2], runs);
    return 0;
}
