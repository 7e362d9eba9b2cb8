/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/task.h"

#include "client/tasks/draw.h"
#include "client/tasks/kinds.h"
#include "common/util.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

static const struct task_kind *const kinds[] = {
    &task_entanglement, &task_magic, &task_mnist_qnn, &task_idle};

const char *const *task_names(void)
{
    static const char *const names[] = {"entanglement", "magic", "mnist-qnn", "idle", NULL};
    return names;
}

static const struct task_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

const char *task_option(const struct task_request *r, const char *name, const char *fallback)
{
    for (size_t i = 0; i < r->n_options; i++)
        if (strcmp(r->options[i].name, name) == 0)
            return r->options[i].value;
    return fallback;
}

/* "a, b or c". */
static void list_names(char *text, size_t size, const char *const *names)
{
    size_t at = 0;
    text[0] = 0;
    for (size_t i = 0; names[i] && at < size; i++) {
        const char *before = i == 0 ? "" : names[i + 1] ? ", " : " or ";
        at += (size_t)snprintf(text + at, size - at, "%s%s", before, names[i]);
    }
}

int task_choice(
    const struct task_request *r, const char *name, const char *const *choices, struct err *e)
{
    const char *value = task_option(r, name, choices[0]);
    char known[200];
    for (int i = 0; choices[i]; i++)
        if (strcmp(choices[i], value) == 0)
            return i;
    list_names(known, sizeof(known), choices);
    return err_set(
        e, -EINVAL, "task %s: option %s is '%s', but it is one of %s", r->task, name, value, known);
}

static bool is_listed(const char *name, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static int check_options(const struct task_kind *kind, const struct task_request *r, struct err *e)
{
    static const char *const of_circuits[] = {"ansatz", "layers", "target", NULL};
    const char *const *common = of_circuits + (kind->size ? ARRAY_SIZE(of_circuits) - 1 : 0);
    char own[200];
    list_names(own, sizeof(own), kind->options);
    for (size_t i = 0; i < r->n_options; i++) {
        const char *name = r->options[i].name;
        if (!is_listed(name, common) && !is_listed(name, kind->options))
            return err_set(e, -EINVAL, "task %s: no option '%s'; there %s%s", kind->name, name,
                kind->size ? "is " : "are ansatz, layers, target and ", own);
    }
    return 0;
}

/* A number between limits, or nothing: then *value stays. */
static int read_number(const struct task_request *r, const char *name, double low, double high,
    double *value, struct err *e)
{
    const char *text = task_option(r, name, NULL);
    if (!text)
        return 0;
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !(number >= low && number <= high))
        return err_set(e, -EINVAL, "task %s: option %s is '%s', but it is a number from %g to %g",
            r->task, name, text, low, high);
    *value = number;
    return 0;
}

int task_count(
    const struct task_request *r, const char *name, uint32_t most, uint32_t *value, struct err *e)
{
    const char *text = task_option(r, name, NULL);
    if (!text)
        return 0;
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || number < 1 || number > most)
        return err_set(e, -EINVAL,
            "task %s: option %s is '%s', but it is a whole number from 1 to %u", r->task, name,
            text, most);
    *value = (uint32_t)number;
    return 0;
}

static int set_circuit(struct task *t, const struct task_request *r, struct err *e)
{
    const char *ansatz = task_option(r, "ansatz", qnn_ansatz_name(t->circuit.ansatz));
    if (qnn_ansatz_parse(ansatz, &t->circuit.ansatz) != 0)
        return err_set(e, -EINVAL, "task %s: option ansatz is '%s', but it is RX-RY-RZ or RZ-RY-RZ",
            t->name, ansatz);
    int code = task_count(r, "layers", QNN_LAYERS_MAX, &t->circuit.layers, e);
    if (code < 0)
        return code;
    t->parameters = qnn_circuit_parameters(&t->circuit);
    t->target = 0.4;
    return read_number(r, "target", 0.01, 1, &t->target, e);
}

static int check_sizes(const struct task_request *r, struct err *e)
{
    if (r->shards > TASK_SHARDS_MAX)
        return err_set(
            e, -EINVAL, "task %s: %u shards, but at most %d", r->task, r->shards, TASK_SHARDS_MAX);
    if (r->shards > 0 && r->shard >= r->shards)
        return err_set(e, -EINVAL, "task %s: shard %u of %u (they count from 0)", r->task, r->shard,
            r->shards);
    if (r->samples > TASK_SAMPLES_MAX || r->test_samples > TASK_SAMPLES_MAX)
        return err_set(e, -EINVAL, "task %s: more than %d samples", r->task, TASK_SAMPLES_MAX);
    return 0;
}

static int load_task(
    struct task *t, const struct task_kind *kind, const struct task_request *r, struct err *e)
{
    int code = check_options(kind, r, e);
    if (code == 0)
        code = check_sizes(r, e);
    if (code == 0)
        code = kind->size ? kind->size(t, r, e) : set_circuit(t, r, e);
    if (code == 0)
        code = kind->load(t, r, e);
    return code;
}

int task_open(struct task **out, const struct task_request *request, struct err *e)
{
    const struct task_kind *kind = find_kind(request->task);
    if (!kind) {
        char known[200];
        list_names(known, sizeof(known), task_names());
        return err_set(e, -EINVAL, "no task is called '%s'; it is one of %s", request->task, known);
    }
    cleanup(task_freep) struct task *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "task %s: no memory", kind->name);
    t->name = kind->name;
    t->trainer = kind->trainer;
    t->circuit = kind->circuit;
    t->defaults = kind->defaults;
    if (request->samples > 0)
        t->defaults.samples = request->samples;
    if (request->test_samples > 0)
        t->defaults.test_samples = request->test_samples;
    int r = load_task(t, kind, request, e);
    if (r < 0)
        return r;
    *out = steal(&t);
    return 0;
}

void task_free(struct task *t)
{
    if (!t)
        return;
    samples_deinit(&t->train);
    samples_deinit(&t->test);
    free(t);
}

void task_freep(struct task **t)
{
    task_free(*t);
}

int task_initial_model(const struct task *t, uint64_t seed, double *model, struct err *e)
{
    cleanup(rng_freep) struct rng *rng = draw_stream(seed, "initial model", 0);
    if (!rng)
        return err_set(e, -ENOMEM, "task %s: no memory", t->name);
    for (uint32_t i = 0; i < t->parameters; i++)
        model[i] = M_PI * (2 * rng_uniform(rng) - 1);
    return 0;
}
