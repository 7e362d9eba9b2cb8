/* SPDX-License-Identifier: Apache-2.0 */
/* A task: data, model and default settings of one experiment, opened by name.
 *
 * `entanglement` and `magic` generate their states; `mnist-qnn` reads IDX files. Every site opens
 * the same task with the same seed and its own shard; a server or an evaluator opens it with
 * shards = 0 and gets the public test set only. Equal requests give equal data, bit for bit.
 *
 * Options are free names with text values, checked by the task:
 *
 *   circuits       ansatz = RX-RY-RZ | RZ-RY-RZ, layers, target (of the two classes: +-target)
 *   entanglement   generators = own | published (weights in <data>/ntangled)
 *   magic          sampler = biased | uniform (stabiliser states)
 *   mnist-qnn      pair = 3-6 and so on, split = iid | 80-60-40-20 | one-class | sizes
 *   idle           parameters (no circuit, so none of the first line)
 *
 * `idle` has no data and learns nothing: for benchmarks and for trying out a federation's plumbing.
 */
#pragma once

#include "client/qnn/circuit.h"
#include "client/tasks/samples.h"
#include "common/quantiser.h"

#define TASK_SHARDS_MAX  1000
#define TASK_SAMPLES_MAX 60000

struct task_option {
    const char *name;
    const char *value;
};

/* All borrowed for the call. */
struct task_request {
    const char *task;
    uint64_t seed;         /* of the data: the same at all sites */
    uint32_t shard;        /* below `shards` */
    uint32_t shards;       /* 0: no training data */
    uint32_t samples;      /* per shard; 0: the task's default */
    uint32_t test_samples; /* 0: the task's default */
    const char *data_dir;  /* where IDX files are (or in its folder mnist); may be NULL */
    const struct task_option *options;
    size_t n_options;
};

struct task_defaults {
    uint64_t rounds;
    unsigned q;
    double clip; /* of p_i dtheta_i */
    enum rounding rounding;
    double lr;
    uint32_t batch;
    uint32_t local_epochs;
    uint32_t samples; /* per shard */
    uint32_t test_samples;
};

struct task {
    const char *name;
    const char *trainer;        /* "qnn" or "idle": client/trainers/trainers.h */
    struct qnn_circuit circuit; /* of trainer qnn */
    uint32_t parameters;
    struct task_defaults defaults;
    double target;
    char note[160];       /* what a result must say: sampler, pair, split */
    struct samples train; /* this shard's; no rows when shards is 0 */
    struct samples test;
};

/* 0; -EINVAL (no such task or option, bad value), -ENOENT (no data), -EBADMSG (data that is not what
 * it should be), -ENOMEM, each with a sentence. */
int task_open(struct task **out, const struct task_request *request, struct err *e) must_check;
/* Safe on NULL. */
void task_free(struct task *t);
void task_freep(struct task **t);

/* The model before the first round: angles uniform in [-pi, pi), from the seed. */
int task_initial_model(
    const struct task *t, uint64_t seed, double *model, struct err *e) must_check;

/* Names of all tasks, NULL at the end. */
const char *const *task_names(void);
