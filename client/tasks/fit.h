/* SPDX-License-Identifier: Apache-2.0 */
/* Fitting a quantum neural network to samples: Adam over shuffled batches. What a client does in a
 * round, and what the centralised benchmark does with everybody's data. */
#pragma once

#include "client/qnn/adam.h"
#include "client/qnn/qnn.h"
#include "client/tasks/samples.h"
#include "common/rng.h"

struct fit {
    struct qnn *qnn;
    const struct samples *samples;
    struct adam *adam;
    struct rng *rng; /* decides the order of the samples */
    uint32_t batch;  /* the last batch of an epoch may be smaller */
};

/* Every sample once per epoch; theta is changed in place. */
int fit_epochs(const struct fit *f, uint32_t epochs, double *theta, struct err *e) must_check;
