/* SPDX-License-Identifier: Apache-2.0 */
/* A trainer without learning: pseudo-random updates, a function of the request's seed and model only,
 * so that the same training gives the same update and any other another one. It remembers what it
 * has given out, so that the oracle can tell which update a quantised vector came from. */
#pragma once

#include "client/trainer.h"
#include "tests/sim/world.h"

/* Updates given out that are remembered. */
#define TRAINER_SIM_MEMORY 16

struct trainer_sim;

/* `amplitude`: updates are uniform in [-amplitude, amplitude]. */
struct trainer_sim *trainer_sim_new(
    struct world *w, uint32_t parameters, uint64_t samples, double amplitude);
void trainer_sim_free(struct trainer_sim *t);
/* The interface for a core; the core does not own it. */
struct trainer *trainer_sim_trainer(struct trainer_sim *t);

/* The i-th last update given out, or NULL; `id` names its content, never 0. */
const double *trainer_sim_update(const struct trainer_sim *t, size_t i, uint64_t *id);
