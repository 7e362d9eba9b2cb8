/* SPDX-License-Identifier: Apache-2.0 */
/* One training as a job on a worker thread: everything it needs is copied into it, and the update it
 * makes lives in a struct secret from the moment the trainer hands it over. */
#pragma once

#include "client/terms.h"
#include "client/trained.h"
#include "client/trainer.h"
#include "common/machine.h"

struct train_job {
    struct job job;
    struct trainer *trainer; /* borrowed; used by one job at a time */
    struct train_request request;
    double *model;                  /* owned */
    struct train_setting *settings; /* owned, names too */
    int result;                     /* of the trainer; > 0 it gave back nonsense */
    struct err error;
    struct trained trained; /* when result is 0 */
};

/* NULL if there is no memory. */
struct train_job *train_job_new(struct trainer *trainer, const struct terms *terms,
    const double *model, uint64_t training, const uint8_t seed[RNG_SEED_BYTES]) must_check;
