/* SPDX-License-Identifier: Apache-2.0 */
/* A trainer: from a model to an update, on this site's data. One implementation per file in
 * client/trainers/: `qnn` today; `lenet5`, `head` and `exec` (any program) later.
 */
#pragma once

#include "common/err.h"
#include "common/rng.h"

#include <stdint.h>

struct trainer;

struct train_setting {
    const char *name;
    double value;
};

struct train_request {
    uint64_t round;
    const double *model; /* `parameters` doubles, borrowed for the call */
    uint32_t parameters;
    const struct train_setting *settings; /* lr, batch, local_epochs, ... */
    size_t n_settings;
    uint8_t seed[RNG_SEED_BYTES]; /* PRF(client seed, round, training attempt) */
};

struct train_result {
    double *update;   /* owned by the caller: dtheta, `parameters` doubles */
    uint64_t samples; /* n_i */
};

struct trainer_ops {
    /* Runs on a worker thread; 0, or -errno with a sentence. */
    int (*train)(struct trainer *t, const struct train_request *request, struct train_result *out,
        struct err *e);
    void (*free)(struct trainer *t);
};

struct trainer {
    const struct trainer_ops *ops;
    uint32_t parameters; /* model size it expects */
    uint64_t samples;    /* n_i known before training */
};
