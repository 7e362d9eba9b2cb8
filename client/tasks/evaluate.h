/* SPDX-License-Identifier: Apache-2.0 */
/* Loss and accuracy of a model on samples that everybody may see, and the centralised benchmark.
 *
 * The evaluator is nobody's client: it opens the task with shards = 0 and sees the published models
 * only.
 */
#pragma once

#include "client/tasks/task.h"

struct evaluation {
    double loss;     /* mean of (<Z> - target)^2 */
    double accuracy; /* part of the samples whose <Z> has the target's sign */
    uint32_t samples;
};

/* Of a model on the task's public test set. */
int evaluate_model(
    const struct task *t, const double *model, struct evaluation *out, struct err *e) must_check;

/* The benchmark beside a federation: one Adam, kept throughout, over the joined training data of all
 * shards for `epochs` epochs from `model`, which is changed in place. `seed` decides the order. */
int evaluate_centralised(const struct task *const *shards, uint32_t n, uint64_t epochs,
    uint64_t seed, double *model, struct err *e) must_check;
