/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/trainer_sim.h"

#include "common/sha256.h"
#include "common/util.h"
#include "tests/sim/need.h"

#include <errno.h>

struct trainer_sim {
    struct trainer trainer; /* first */
    struct world *world;
    double amplitude;
    double *memory; /* owned: TRAINER_SIM_MEMORY updates, a ring */
    uint64_t ids[TRAINER_SIM_MEMORY];
    uint64_t given;
};

static uint64_t hash64(const void *data, size_t len)
{
    uint8_t hash[SHA256_BYTES];
    sha256(hash, data, len);
    return get_u64le(hash) | 1;
}

static void remember(struct trainer_sim *t, const double *update)
{
    size_t at = t->given++ % TRAINER_SIM_MEMORY;
    size_t bytes = t->trainer.parameters * sizeof(double);
    memcpy(t->memory + at * t->trainer.parameters, update, bytes);
    t->ids[at] = hash64(update, bytes);
}

static int train(struct trainer *trainer, const struct train_request *request,
    struct train_result *out, struct err *e)
{
    struct trainer_sim *t = (struct trainer_sim *)trainer;
    if (world_strikes(t->world, FAULT_FAILED_TRAINING))
        return err_set(e, -EIO, "the data cannot be read");
    uint8_t seeds[2 * SHA256_BYTES];
    sha256(seeds, request->seed, sizeof(request->seed));
    sha256(seeds + SHA256_BYTES, request->model, request->parameters * sizeof(double));
    struct rnd r;
    rnd_init(&r, hash64(seeds, sizeof(seeds)));
    *out = (struct train_result){
        .update = need(calloc(request->parameters, sizeof(double))), .samples = trainer->samples};
    for (uint32_t i = 0; i < request->parameters; i++)
        out->update[i] = t->amplitude * (2 * rnd_uniform(&r) - 1);
    remember(t, out->update);
    return 0;
}

static void free_nothing(struct trainer *trainer)
{
}

struct trainer_sim *trainer_sim_new(
    struct world *w, uint32_t parameters, uint64_t samples, double amplitude)
{
    static const struct trainer_ops ops = {.train = train, .free = free_nothing};
    struct trainer_sim *t = need(calloc(1, sizeof(*t)));
    *t =
        (struct trainer_sim){.trainer = {.ops = &ops, .parameters = parameters, .samples = samples},
            .world = w,
            .amplitude = amplitude,
            .memory = need(calloc(TRAINER_SIM_MEMORY * parameters, sizeof(double)))};
    return t;
}

void trainer_sim_free(struct trainer_sim *t)
{
    if (!t)
        return;
    free(t->memory);
    free(t);
}

struct trainer *trainer_sim_trainer(struct trainer_sim *t)
{
    return &t->trainer;
}

const double *trainer_sim_update(const struct trainer_sim *t, size_t i, uint64_t *id)
{
    if (i >= t->given || i >= TRAINER_SIM_MEMORY)
        return NULL;
    size_t at = (t->given - 1 - i) % TRAINER_SIM_MEMORY;
    *id = t->ids[at];
    return t->memory + at * t->trainer.parameters;
}
