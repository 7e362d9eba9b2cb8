/* SPDX-License-Identifier: Apache-2.0 */
/* The options by which every verb that needs a task names it: --task or operand, --seed, --data,
 * --samples, --test-samples, --option NAME=VALUE. */
#pragma once

#include "client/tasks/task.h"
#include "deploy/ctl/options.h"

#define TASK_OPTIONS_SPECS 6

struct task_options {
    const char *seed, *data, *samples, *test_samples;
    const char *pairs[OPTION_VALUES_MAX]; /* NAME=VALUE */
    size_t n_pairs;
    char *copies[OPTION_VALUES_MAX]; /* owned: the pairs, cut at '=' */
    struct task_option options[OPTION_VALUES_MAX];
};

/* Appends the specs of these options to specs[*n]. */
void task_options_specs(struct task_options *o, struct option_spec *specs, size_t *n);

/* Opens shard `shard` of `shards` (0: test set only). Exit status with a sentence, or 0. */
int task_options_open(struct task_options *o, const char *task, uint32_t shard, uint32_t shards,
    struct task **out, struct err *e) must_check;
void task_options_deinit(struct task_options *o);
