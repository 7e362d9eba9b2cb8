/* SPDX-License-Identifier: Apache-2.0 */
/* A whole federation in memory: trainers, quantiser and sum as the daemons have them, without masks,
 * sockets or disks.
 *
 * Every client of every round trains from the round's model, weights its update by n_i / sum n_j,
 * quantises it, and the packed vectors are added mod 2^q (aggregation.md section 1). The masks cancel
 * in that sum, so the models are those of a real run with the same seeds. Used for the experiments.
 */
#pragma once

#include "client/trainer.h"
#include "common/quantiser.h"

#include <stdbool.h>

struct federation_round {
    uint64_t round;      /* 1-based */
    uint64_t clipped;    /* values beyond the clip, over all clients */
    double largest;      /* max |p_i dtheta_i| before clipping */
    double rms;          /* of p_i dtheta_i */
    const double *model; /* after the round */
};

struct federation {
    struct trainer *const *trainers;
    uint32_t clients;
    /* q, clip and rounding are taken from here; the rest follows from the trainers. With `exact` the
     * updates are added as they are: the plaintext run to compare with. */
    struct quantiser quantiser;
    bool exact;
    const struct train_setting *settings;
    size_t n_settings;
    uint64_t rounds;
    uint8_t seed[RNG_SEED_BYTES];
    /* Called after every round; not 0 stops the federation with that code. */
    int (*on_round)(void *arg, const struct federation_round *round);
    void *arg;
};

/* Changes `model` in place. */
int federation_simulate(const struct federation *f, double *model, struct err *e) must_check;
