/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer `qnn`: a task's quantum neural network on this site's shard.
 *
 * Settings: `lr`, `batch`, `local_epochs` (the task's defaults apply where one is missing; a name it
 * does not know is refused). Adam starts anew in every round: so an update is decided by the model,
 * the shard, the settings and the request's seed alone, also after a restart of the client.
 */
#pragma once

#include "client/tasks/task.h"
#include "client/trainer.h"

/* `task` (opened with shards > 0) is borrowed until the trainer is freed. */
int trainer_qnn_new(struct trainer **out, const struct task *task, struct err *e) must_check;
