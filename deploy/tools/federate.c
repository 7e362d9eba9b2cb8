/* SPDX-License-Identifier: Apache-2.0 */
/* federate: runs a task's federation in memory over many seeds and prints what came out as JSON.
 *
 * A seed decides the data, the first model, the order of the samples and the rounding. Every figure of
 * docs/experiments.md is made with it.
 */
#include "client/tasks/evaluate.h"
#include "client/tasks/federation.h"
#include "client/trainers/trainers.h"
#include "common/util.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#define OPTIONS_MAX 16
#define CLIENTS_MAX 200

struct experiment {
    struct task_request request;
    struct task_option options[OPTIONS_MAX];
    uint32_t clients;
    uint64_t first_seed, last_seed;
    bool has_data_seed;
    uint64_t data_seed;
    bool exact, curve, row;
    /* 0 (or negative): the task's default. */
    double q, clip, rounds, lr, batch, local_epochs;
    int rounding;
};

/* One seed's federation. */
struct trial {
    const struct experiment *x;
    struct task *tasks[CLIENTS_MAX];
    struct trainer *trainers[CLIENTS_MAX];
    json_t *curve;
    uint64_t clipped;
    double largest;
    double rms; /* of the first round */
    double *model;
    struct err *e;
};

static const char usage[] =
    "usage: federate --task NAME [--clients N] [--seeds A..B] [--samples N] [--test-samples N]\n"
    "                [--option NAME=VALUE]... [--data DIR] [--data-seed N] [--rounds N]\n"
    "                [--q Q] [--clip C] [--rounding stochastic|nearest] [--exact]\n"
    "                [--lr X] [--batch N] [--local-epochs N] [--curve] [--row]\n"
    "--curve adds loss and accuracy after every round; --row prints a row of "
    "docs/experiments.md.\n";

static void trial_deinit(struct trial *t)
{
    for (uint32_t i = 0; i < t->x->clients; i++) {
        if (t->trainers[i])
            t->trainers[i]->ops->free(t->trainers[i]);
        task_free(t->tasks[i]);
    }
    free(t->model);
}

static void override(struct task_defaults *d, const struct experiment *x)
{
    d->q = x->q > 0 ? (unsigned)x->q : d->q;
    d->clip = x->clip > 0 ? x->clip : d->clip;
    d->rounds = x->rounds > 0 ? (uint64_t)x->rounds : d->rounds;
    d->lr = x->lr > 0 ? x->lr : d->lr;
    d->batch = x->batch > 0 ? (uint32_t)x->batch : d->batch;
    d->local_epochs = x->local_epochs > 0 ? (uint32_t)x->local_epochs : d->local_epochs;
    d->rounding = x->rounding >= 0 ? (enum rounding)x->rounding : d->rounding;
}

static int open_clients(struct trial *t, uint64_t seed)
{
    struct task_request request = t->x->request;
    request.seed = t->x->has_data_seed ? t->x->data_seed : seed;
    request.shards = t->x->clients;
    uint32_t parameters = 0;
    if (t->x->clients == 0)
        return err_set(t->e, -1, "a federation of no clients");
    for (uint32_t i = 0; i < t->x->clients; i++) {
        request.shard = i;
        int r = task_open(&t->tasks[i], &request, t->e);
        if (r < 0)
            return r;
        override(&t->tasks[i]->defaults, t->x);
        r = trainer_open(&t->trainers[i], t->tasks[i]->trainer, t->tasks[i], t->e);
        if (r < 0)
            return r;
        parameters = t->tasks[i]->parameters;
    }
    t->model = calloc(parameters, sizeof(double));
    return t->model ? 0 : err_set(t->e, -1, "no memory");
}

static int on_round(void *arg, const struct federation_round *round)
{
    struct trial *t = arg;
    t->clipped += round->clipped;
    t->largest = fmax(t->largest, round->largest);
    t->rms = round->round == 1 ? round->rms : t->rms;
    if (!t->curve)
        return 0;
    struct evaluation v;
    int r = evaluate_model(t->tasks[0], round->model, &v, t->e);
    if (r == 0)
        json_array_append_new(t->curve, json_pack("[f, f]", v.loss, v.accuracy));
    return r;
}

static int federate(struct trial *t, uint64_t seed)
{
    const struct task_defaults *d = &t->tasks[0]->defaults;
    struct federation f = {
        .trainers = t->trainers,
        .clients = t->x->clients,
        .quantiser = {.q = d->q, .clip = d->clip, .rounding = d->rounding},
        .exact = t->x->exact,
        .rounds = d->rounds,
        .on_round = on_round,
        .arg = t,
    };
    put_u64le(f.seed, seed);
    int r = task_initial_model(t->tasks[0], seed, t->model, t->e);
    return r < 0 ? r : federation_simulate(&f, t->model, t->e);
}

static int centralise(struct trial *t, uint64_t seed, struct evaluation *v)
{
    const struct task *first = t->tasks[0];
    int r = task_initial_model(first, seed, t->model, t->e);
    if (r == 0)
        r = evaluate_centralised((const struct task *const *)t->tasks, t->x->clients,
            first->defaults.rounds * first->defaults.local_epochs, seed, t->model, t->e);
    return r < 0 ? r : evaluate_model(first, t->model, v, t->e);
}

/* "120 rounds, q 16, clip 0.25" and so on. */
static void describe(char settings[160], const struct trial *t)
{
    const struct task_defaults *d = &t->tasks[0]->defaults;
    char q[32] = "plaintext";
    if (!t->x->exact)
        snprintf(q, sizeof(q), "q %u%s", d->q, d->rounding == ROUNDING_NEAREST ? " nearest" : "");
    snprintf(settings, 160, "%" PRIu64 " rounds, %s, clip %g, lr %g, batch %u", d->rounds, q,
        d->clip, d->lr, d->batch);
}

static json_t *run_seed(
    const struct experiment *x, uint64_t seed, char note[160], char settings[160], struct err *e)
{
    cleanup(trial_deinit) struct trial t = {.x = x, .e = e};
    struct evaluation federated, centralised;
    if (open_clients(&t, seed) < 0)
        return NULL;
    t.curve = x->curve ? json_array() : NULL;
    if (federate(&t, seed) != 0 || evaluate_model(t.tasks[0], t.model, &federated, e) < 0 ||
        centralise(&t, seed, &centralised) < 0) {
        json_decref(t.curve);
        return NULL;
    }
    memcpy(note, t.tasks[0]->note, 160);
    describe(settings, &t);
    json_t *out = json_pack("{s:I, s:f, s:f, s:f, s:f, s:I, s:f, s:f}", "seed", (json_int_t)seed,
        "accuracy", federated.accuracy, "loss", federated.loss, "centralised_accuracy",
        centralised.accuracy, "centralised_loss", centralised.loss, "clipped",
        (json_int_t)t.clipped, "largest_update", t.largest, "first_rms", t.rms);
    if (t.curve)
        json_object_set_new(out, "curve", t.curve);
    return out;
}

static json_t *summary(const json_t *runs, const char *key)
{
    double sum = 0, square = 0, low = INFINITY, high = -INFINITY;
    size_t n = json_array_size(runs);
    for (size_t i = 0; i < n; i++) {
        double v = json_number_value(json_object_get(json_array_get(runs, i), key));
        sum += v;
        square += v * v;
        low = fmin(low, v);
        high = fmax(high, v);
    }
    double mean = sum / (double)n;
    double variance = n > 1 ? fmax(0, square - sum * mean) / (double)(n - 1) : 0;
    return json_pack(
        "{s:f, s:f, s:f, s:f}", "mean", mean, "sd", sqrt(variance), "min", low, "max", high);
}

static double of(const json_t *out, const char *key, const char *what)
{
    return json_number_value(json_object_get(json_object_get(out, key), what));
}

/* task | clients | settings | accuracy | centralised | clipped | largest update */
static void print_row(const struct experiment *x, const json_t *out, const char *settings)
{
    printf("| %s: %s | %u | %s | %.3f +- %.3f (%.3f to %.3f) | %.3f +- %.3f | %.0f | %.3f |\n",
        x->request.task, json_string_value(json_object_get(out, "note")), x->clients, settings,
        of(out, "accuracy", "mean"), of(out, "accuracy", "sd"), of(out, "accuracy", "min"),
        of(out, "accuracy", "max"), of(out, "centralised", "mean"), of(out, "centralised", "sd"),
        of(out, "clipped", "max"), of(out, "largest_update", "max"));
}

static json_t *run_seeds(const struct experiment *x, char note[160], char settings[160])
{
    json_t *runs = json_array();
    for (uint64_t seed = x->first_seed; seed <= x->last_seed; seed++) {
        struct err e = {0};
        json_t *one = run_seed(x, seed, note, settings, &e);
        if (!one) {
            fprintf(stderr, "federate: %s\n", e.text);
            json_decref(runs);
            return NULL;
        }
        json_array_append_new(runs, one);
    }
    return runs;
}

static int run(const struct experiment *x)
{
    char note[160] = "", settings[160] = "";
    json_t *runs = run_seeds(x, note, settings);
    if (!runs)
        return 65;
    json_t *out = json_pack("{s:s, s:s, s:i, s:s, s:o, s:o, s:o, s:o}", "task", x->request.task,
        "note", note, "clients", (int)x->clients, "settings", settings, "accuracy",
        summary(runs, "accuracy"), "centralised", summary(runs, "centralised_accuracy"),
        "largest_update", summary(runs, "largest_update"), "clipped", summary(runs, "clipped"));
    json_object_set_new(out, "runs", runs);
    if (x->row) {
        print_row(x, out, settings);
    } else {
        json_dumpf(out, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(5));
        printf("\n");
    }
    json_decref(out);
    return 0;
}

static bool read_seeds(struct experiment *x, const char *text)
{
    char *end;
    x->first_seed = strtoull(text, &end, 10);
    x->last_seed = x->first_seed;
    if (strncmp(end, "..", 2) == 0)
        x->last_seed = strtoull(end + 2, &end, 10);
    return *end == 0 && x->last_seed >= x->first_seed;
}

static bool add_option(struct experiment *x, char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || x->request.n_options == OPTIONS_MAX)
        return false;
    *equals = 0;
    x->options[x->request.n_options++] = (struct task_option){text, equals + 1};
    return true;
}

static bool take_argument(struct experiment *x, const char *name, char *value)
{
    struct {
        const char *name;
        double *number;
    } const numbers[] = {{"q", &x->q}, {"clip", &x->clip}, {"rounds", &x->rounds}, {"lr", &x->lr},
        {"batch", &x->batch}, {"local-epochs", &x->local_epochs}};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].number = strtod(value, NULL);
            return *numbers[i].number > 0;
        }
    }
    if (strcmp(name, "task") == 0)
        x->request.task = value;
    else if (strcmp(name, "clients") == 0)
        x->clients = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "seeds") == 0)
        return read_seeds(x, value);
    else if (strcmp(name, "samples") == 0)
        x->request.samples = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "test-samples") == 0)
        x->request.test_samples = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "option") == 0)
        return add_option(x, value);
    else if (strcmp(name, "data") == 0)
        x->request.data_dir = value;
    else if (strcmp(name, "rounding") == 0)
        x->rounding = strcmp(value, "nearest") == 0 ? ROUNDING_NEAREST : ROUNDING_STOCHASTIC;
    else if (strcmp(name, "data-seed") == 0) {
        x->has_data_seed = true;
        x->data_seed = strtoull(value, NULL, 10);
    }
    return true;
}

static bool read_arguments(struct experiment *x, int argc, char **argv)
{
    static const struct option known[] = {{"task", 1, 0, 0}, {"clients", 1, 0, 0},
        {"seeds", 1, 0, 0}, {"samples", 1, 0, 0}, {"test-samples", 1, 0, 0}, {"option", 1, 0, 0},
        {"data", 1, 0, 0}, {"data-seed", 1, 0, 0}, {"rounds", 1, 0, 0}, {"q", 1, 0, 0},
        {"clip", 1, 0, 0}, {"rounding", 1, 0, 0}, {"lr", 1, 0, 0}, {"batch", 1, 0, 0},
        {"local-epochs", 1, 0, 0}, {"exact", 0, 0, 'x'}, {"row", 0, 0, 'r'}, {"curve", 0, 0, 'c'},
        {0}};
    int at, found;
    while ((found = getopt_long(argc, argv, "", known, &at)) != -1) {
        if (found == 'x')
            x->exact = true;
        else if (found == 'c')
            x->curve = true;
        else if (found == 'r')
            x->row = true;
        else if (found != 0 || !take_argument(x, known[at].name, optarg))
            return false;
    }
    return optind == argc && x->request.task && x->clients > 0 && x->clients <= CLIENTS_MAX;
}

int main(int argc, char **argv)
{
    struct experiment x = {.clients = 4, .first_seed = 1, .last_seed = 10, .rounding = -1};
    x.request.options = x.options;
    x.request.data_dir = getenv("QFL_DATA");
    if (!read_arguments(&x, argc, argv)) {
        fputs(usage, stderr);
        return 64;
    }
    return run(&x);
}
