/* SPDX-License-Identifier: Apache-2.0 */
/* task show, task init: what a task is, and the model it starts from. */
#include "deploy/ctl/model_file.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/task_options.h"
#include "deploy/ctl/verb.h"

#include "common/identity.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

static json_t *describe(const struct task *t)
{
    const struct task_defaults *d = &t->defaults;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:i, s:f, s:s, s:I, s:I, s:{s:f, s:I, s:I}}",
        "task", t->name, "trainer", t->trainer, "note", t->note, "parameters",
        (json_int_t)t->parameters, "rounds", (json_int_t)d->rounds, "q", (int)d->q, "clip", d->clip,
        "rounding", d->rounding == ROUNDING_STOCHASTIC ? "stochastic" : "nearest", "samples",
        (json_int_t)d->samples, "test_samples", (json_int_t)d->test_samples, "settings", "lr",
        d->lr, "batch", (json_int_t)d->batch, "local_epochs", (json_int_t)d->local_epochs);
}

static int list_tasks(bool json)
{
    json_t *names = json_array();
    for (const char *const *name = task_names(); *name; name++) {
        if (!json)
            puts(*name);
        json_array_append_new(names, json_string(*name));
    }
    if (json)
        reach_print(names);
    json_decref(names);
    return EX_OK;
}

static int show(int argc, char **argv, struct err *e)
{
    bool json = false;
    struct task_options o = {0};
    struct option_spec specs[TASK_OPTIONS_SPECS + 2] = {
        {.name = "json", .is_flag = true, .flag = &json}};
    size_t n = 1;
    task_options_specs(&o, specs, &n);
    int operands;
    int r = options_parse(specs, argc, argv, 1, &operands, e);
    if (r != 0)
        return r;
    if (operands == 0)
        return list_tasks(json);
    struct task *t = NULL;
    r = task_options_open(&o, argv[0], 0, 0, &t, e);
    if (r == 0) {
        json_t *v = describe(t);
        if (json)
            reach_print(v);
        else
            printf("%s: %s, %u parameters, %.0f rounds, q = %u; %s\n", t->name, t->trainer,
                t->parameters, (double)t->defaults.rounds, t->defaults.q, t->note);
        json_decref(v);
    }
    task_free(t);
    task_options_deinit(&o);
    return r;
}

static int write_first_model(
    const struct task *t, uint64_t seed, const char *federation, const char *out, struct err *e)
{
    struct checkpoint c = {.parameters = t->parameters};
    auto_free double *model = calloc(t->parameters, sizeof(*model));
    if (!model)
        return err_set(e, EX_OSERR, "out of memory");
    if (task_initial_model(t, seed, model, e) < 0)
        return EX_SOFTWARE;
    snprintf(c.federation, sizeof(c.federation), "%s", federation);
    snprintf(c.task, sizeof(c.task), "%s", t->name);
    c.model = model;
    return model_file_write(out, &c, e);
}

static int init(int argc, char **argv, struct err *e)
{
    bool json = false;
    const char *out = NULL;
    const char *federation = NULL;
    struct task_options o = {0};
    struct option_spec specs[TASK_OPTIONS_SPECS + 4] = {
        {.name = "json", .is_flag = true, .flag = &json}, {.name = "out", .value = &out},
        {.name = "federation", .value = &federation}};
    size_t n = 3;
    task_options_specs(&o, specs, &n);
    int operands;
    int r = options_parse(specs, argc, argv, 1, &operands, e);
    if (r != 0)
        return r;
    if (operands != 1 || !out || !federation)
        return err_set(e, EX_USAGE, "task init needs a task, --federation and --out FILE");
    if (!identity_is_name(federation))
        return err_set(e, EX_USAGE, "\"%s\" is no federation name", federation);
    struct task *t = NULL;
    long long seed = 1;
    if (o.seed)
        r = options_number("seed", o.seed, 0, INT64_MAX, &seed, e);
    if (r == 0)
        r = task_options_open(&o, argv[0], 0, 0, &t, e);
    if (r == 0)
        r = write_first_model(t, (uint64_t)seed, federation, out, e);
    if (r == 0) {
        json_t *v = json_pack("{s:s, s:s, s:I}", "task", t->name, "file", out, "parameters",
            (json_int_t)t->parameters);
        if (json)
            reach_print(v);
        else
            printf("%s: first model of %s, %u parameters\n", out, t->name, t->parameters);
        json_decref(v);
    }
    task_free(t);
    task_options_deinit(&o);
    return r;
}

#define TASK_USAGE                                                                                 \
    "[--seed N] [--data DIR] [--samples N] [--test-samples N] [--option NAME=VALUE ...]"

const struct verb verbs_task[] = {
    {"task show", "[TASK] " TASK_USAGE " [--json]", "the tasks, or one task's defaults", show},
    {"task init", "TASK --federation NAME --out FILE " TASK_USAGE " [--json]",
        "writes the model that a run starts from", init},
    {0},
};
