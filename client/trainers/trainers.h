/* SPDX-License-Identifier: Apache-2.0 */
/* Trainers by name. */
#pragma once

#include "client/tasks/task.h"
#include "client/trainer.h"

/* `task` (opened with shards > 0) is borrowed until the trainer is freed. -EINVAL (no such trainer, or
 * not for this task) or -ENOMEM, with a sentence. */
int trainer_open(
    struct trainer **out, const char *name, const struct task *task, struct err *e) must_check;

/* Names of all trainers, NULL at the end. */
extern const char *const trainer_names[];
