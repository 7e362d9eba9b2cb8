/* SPDX-License-Identifier: Apache-2.0 */
/* A trainer whose updates are a function of the seed it is given. */
#pragma once

#include "client/trainer.h"

#include <stdbool.h>

struct fake_trainer {
    struct trainer trainer;
    double scale;     /* updates are uniform in [-scale, scale] */
    bool fails;       /* the next trainings end with a sentence */
    double poison;    /* unless 0: the first value of the update */
    unsigned runs;    /* trainings so far */
    uint64_t samples; /* n_i reported */
};

struct fake_trainer fake_trainer(uint32_t parameters, uint64_t samples);
