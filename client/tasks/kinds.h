/* SPDX-License-Identifier: Apache-2.0 */
/* What one kind of task provides; inside client/tasks only. One file per kind. */
#pragma once

#include "client/tasks/task.h"

struct task_kind {
    const char *name;
    const char *trainer;
    const char *const *options; /* of a circuit: beyond ansatz, layers, target; NULL at the end */
    struct qnn_circuit circuit; /* default; no qubits: the model is not a circuit */
    struct task_defaults defaults;
    /* Of a model that is not a circuit: sets t->parameters. */
    int (*size)(struct task *t, const struct task_request *r, struct err *e);
    /* Makes t->train (of t->defaults.samples rows, unless r->shards is 0), t->test and t->note. */
    int (*load)(struct task *t, const struct task_request *r, struct err *e);
};

extern const struct task_kind task_entanglement;
extern const struct task_kind task_magic;
extern const struct task_kind task_mnist_qnn;
extern const struct task_kind task_idle;

/* Value of an option, or `fallback`. */
const char *task_option(const struct task_request *r, const char *name, const char *fallback);

/* Index of the option's value in `choices` (NULL at the end); -EINVAL with a sentence. */
int task_choice(const struct task_request *r, const char *name, const char *const *choices,
    struct err *e) must_check;

/* A whole number between limits, or nothing: then *value stays. -EINVAL with a sentence. */
int task_count(const struct task_request *r, const char *name, uint32_t most, uint32_t *value,
    struct err *e) must_check;

/* Training and test set of states made by `draw`, classes taking turns: class 1 has target > 0. Each
 * three-qubit state is stored as its two copies in parallel (copies.h). */
int task_generate(struct task *t, const struct task_request *r,
    void (*draw)(void *arg, unsigned class, double complex *psi, struct rng *rng), void *arg,
    struct err *e) must_check;
