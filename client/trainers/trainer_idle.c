/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainers/trainer_idle.h"

#include "common/util.h"

#include <errno.h>

static int train(
    struct trainer *t, const struct train_request *request, struct train_result *out, struct err *e)
{
    if (request->parameters != t->parameters)
        return err_set(e, -EINVAL, "trainer idle: the model has %u parameters, but the task has %u",
            request->parameters, t->parameters);
    double *update = malloc(t->parameters * sizeof(*update));
    if (!update)
        return err_set(e, -ENOMEM, "trainer idle: no memory");
    for (uint32_t i = 0; i < t->parameters; i++)
        update[i] = (double)(i % 201) / 1000 - 0.1;
    *out = (struct train_result){.update = update, .samples = t->samples};
    return 0;
}

static void trainer_idle_free(struct trainer *t)
{
    free(t);
}

int trainer_idle_new(struct trainer **out, const struct task *task, struct err *e)
{
    static const struct trainer_ops ops = {train, trainer_idle_free};
    struct trainer *t = malloc(sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "trainer idle: no memory");
    *t = (struct trainer){&ops, task->parameters, task->defaults.samples};
    *out = t;
    return 0;
}
