/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ctl/task_options.h"

#include "common/util.h"

#include <errno.h>
#include <sysexits.h>

void task_options_specs(struct task_options *o, struct option_spec *specs, size_t *n)
{
    const struct option_spec own[] = {{.name = "seed", .value = &o->seed},
        {.name = "data", .value = &o->data}, {.name = "samples", .value = &o->samples},
        {.name = "test-samples", .value = &o->test_samples},
        {.name = "option", .values = o->pairs, .n_values = &o->n_pairs}};
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        specs[(*n)++] = own[i];
}

static int split_pairs(struct task_options *o, struct err *e)
{
    for (size_t i = 0; i < o->n_pairs; i++) {
        const char *equals = strchr(o->pairs[i], '=');
        if (!equals)
            return err_set(e, EX_USAGE, "--option takes NAME=VALUE, not \"%s\"", o->pairs[i]);
        free(o->copies[i]);
        o->copies[i] = strdup(o->pairs[i]);
        if (!o->copies[i])
            return err_set(e, EX_OSERR, "out of memory");
        o->copies[i][equals - o->pairs[i]] = '\0';
        o->options[i] =
            (struct task_option){o->copies[i], o->copies[i] + (equals - o->pairs[i]) + 1};
    }
    return 0;
}

static int exit_status(int r)
{
    switch (r) {
    case 0:
        return EX_OK;
    case -EINVAL:
        return EX_USAGE;
    case -ENOENT:
        return EX_NOINPUT;
    case -EBADMSG:
        return EX_DATAERR;
    default:
        return EX_OSERR;
    }
}

int task_options_open(struct task_options *o, const char *task, uint32_t shard, uint32_t shards,
    struct task **out, struct err *e)
{
    long long seed = 1;
    long long samples = 0;
    long long test_samples = 0;
    int r = split_pairs(o, e);
    if (r == 0 && o->seed)
        r = options_number("seed", o->seed, 0, INT64_MAX, &seed, e);
    if (r == 0 && o->samples)
        r = options_number("samples", o->samples, 1, TASK_SAMPLES_MAX, &samples, e);
    if (r == 0 && o->test_samples)
        r = options_number("test-samples", o->test_samples, 1, TASK_SAMPLES_MAX, &test_samples, e);
    if (r != 0)
        return r;
    const struct task_request request = {.task = task,
        .seed = (uint64_t)seed,
        .shard = shard,
        .shards = shards,
        .samples = (uint32_t)samples,
        .test_samples = (uint32_t)test_samples,
        .data_dir = o->data ? o->data : getenv("QFL_DATA"),
        .options = o->options,
        .n_options = o->n_pairs};
    return exit_status(task_open(out, &request, e));
}

void task_options_deinit(struct task_options *o)
{
    for (size_t i = 0; i < o->n_pairs; i++)
        free(o->copies[i]);
}
