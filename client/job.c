/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job.h"

#include "common/util.h"

#include <errno.h>

/* Into locked memory, and away from the heap. */
static int move_update(struct train_job *j, struct train_result *result)
{
    size_t bytes = (size_t)j->request.parameters * sizeof(double);
    int r = secret_init(&j->trained.update, bytes);
    if (r == 0)
        memcpy(j->trained.update.data, result->update, bytes);
    secret_wipe(result->update, bytes);
    free(result->update);
    if (r < 0)
        return err_set(&j->error, r, "no memory for the update");
    j->trained.samples = result->samples;
    return 0;
}

static void train_job_run(struct job *job)
{
    struct train_job *j = (struct train_job *)job;
    struct train_result result = {0};
    j->result = j->trainer->ops->train(j->trainer, &j->request, &result, &j->error);
    if (j->result == 0)
        j->result = result.update ? move_update(j, &result)
                                  : err_set(&j->error, -EINVAL, "the trainer returned no update");
}

static void train_job_free(struct job *job)
{
    struct train_job *j = (struct train_job *)job;
    trained_deinit(&j->trained);
    for (size_t i = 0; i < j->request.n_settings; i++)
        free((char *)j->settings[i].name);
    free(j->settings);
    free(j->model);
    secret_wipe(j->request.seed, sizeof(j->request.seed));
    free(j);
}

static int copy_settings(struct train_job *j, const struct terms *terms)
{
    j->settings = calloc(MAX(terms->n_settings, (size_t)1), sizeof(*j->settings));
    if (!j->settings)
        return -ENOMEM;
    for (size_t i = 0; i < terms->n_settings; i++) {
        j->settings[i].value = terms->settings[i].value;
        j->settings[i].name = strdup(terms->settings[i].name);
        if (!j->settings[i].name)
            return -ENOMEM;
        j->request.n_settings++;
    }
    j->request.settings = j->settings;
    return 0;
}

static int copy_model(struct train_job *j, const double *model, uint32_t parameters)
{
    size_t bytes = (size_t)parameters * sizeof(double);
    j->model = malloc(MAX(bytes, (size_t)1));
    if (!j->model)
        return -ENOMEM;
    memcpy(j->model, model, bytes);
    j->request.model = j->model;
    j->request.parameters = parameters;
    return 0;
}

struct train_job *train_job_new(struct trainer *trainer, const struct terms *terms,
    const double *model, uint64_t training, const uint8_t seed[RNG_SEED_BYTES])
{
    struct train_job *j = calloc(1, sizeof(*j));
    if (!j)
        return NULL;
    j->job = (struct job){train_job_run, train_job_free};
    j->trainer = trainer;
    j->request.round = terms->round;
    rng_derive(j->request.seed, seed, "training", terms->round, training);
    j->trained.parameters = trainer->parameters;
    j->trained.round = terms->round;
    j->trained.training = training;
    if (copy_settings(j, terms) < 0 || copy_model(j, model, trainer->parameters) < 0) {
        train_job_free(&j->job);
        return NULL;
    }
    return j;
}
