/* SPDX-License-Identifier: Apache-2.0 */
/* Task `idle`: a model of any size and no data, for benchmarks and plumbing. */
#include "client/tasks/kinds.h"

#include <stdio.h>

#define IDLE_PARAMETERS     61706 /* as many as LeNet-5 has */
#define IDLE_PARAMETERS_MAX (1u << 26)

static int size(struct task *t, const struct task_request *r, struct err *e)
{
    t->parameters = IDLE_PARAMETERS;
    return task_count(r, "parameters", IDLE_PARAMETERS_MAX, &t->parameters, e);
}

static int load(struct task *t, const struct task_request *r, struct err *e)
{
    snprintf(t->note, sizeof(t->note), "learns nothing");
    t->defaults.test_samples = 0;
    return 0;
}

const struct task_kind task_idle = {
    .name = "idle",
    .trainer = "idle",
    .options = (const char *const[]){"parameters", NULL},
    .defaults = {.rounds = 30,
        .q = 8,
        .clip = 0.25,
        .rounding = ROUNDING_STOCHASTIC,
        .lr = 0.05,
        .batch = 1,
        .local_epochs = 1,
        .samples = 100},
    .size = size,
    .load = load,
};
