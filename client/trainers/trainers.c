/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainers/trainers.h"

#include "client/trainers/trainer_idle.h"
#include "client/trainers/trainer_qnn.h"
#include "common/util.h"

#include <errno.h>

const char *const trainer_names[] = {"qnn", "idle", NULL};

static int (*const openers[])(struct trainer **, const struct task *, struct err *) = {
    trainer_qnn_new, trainer_idle_new};

int trainer_open(struct trainer **out, const char *name, const struct task *task, struct err *e)
{
    if (strcmp(name, task->trainer) != 0)
        return err_set(
            e, -EINVAL, "task %s is for trainer %s, not for %s", task->name, task->trainer, name);
    for (size_t i = 0; i < ARRAY_SIZE(openers); i++)
        if (strcmp(trainer_names[i], name) == 0)
            return openers[i](out, task, e);
    return err_set(e, -EINVAL, "no trainer is called '%s'", name);
}
