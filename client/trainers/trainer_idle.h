/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer `idle`: no training at all. Every round it returns the same update, between -0.1 and 0.1,
 * whatever the model, the settings and the seed: what remains of a round is the federation's own time.
 * For benchmarks and plumbing.
 */
#pragma once

#include "client/tasks/task.h"
#include "client/trainer.h"

/* `task` (opened with shards > 0) is not kept. */
int trainer_idle_new(struct trainer **out, const struct task *task, struct err *e) must_check;
