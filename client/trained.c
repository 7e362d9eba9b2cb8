/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trained.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>

bool trained_is_held(const struct trained *t)
{
    return t->update.data != NULL;
}

void trained_deinit(struct trained *t)
{
    secret_deinit(&t->update);
    *t = (struct trained){0};
}

static int encode(const struct trained *t, const struct quantiser *z, double *x, double weight,
    struct rng *rng, uint8_t *out, uint64_t *clipped)
{
    const double *update = (const double *)t->update.data;
    for (uint32_t k = 0; k < t->parameters; k++)
        x[k] = weight * update[k];
    return quantiser_encode(z, x, rng, out, clipped);
}

int trained_quantise(const struct trained *t, const struct quantiser *z, double weight,
    const uint8_t seed[RNG_SEED_BYTES], uint8_t *out, uint64_t *clipped)
{
    assert(trained_is_held(t) && !t->released && z->parameters == t->parameters);
    uint8_t rounding[RNG_SEED_BYTES];
    rng_derive(rounding, seed, "rounding", t->round, t->training);
    cleanup(rng_freep) struct rng *rng = rng_new(rounding);
    secret_wipe(rounding, sizeof(rounding));
    struct secret x;
    if (!rng || secret_init(&x, t->update.len) < 0)
        return -ENOMEM;
    int r = encode(t, z, (double *)x.data, weight, rng, out, clipped);
    secret_deinit(&x);
    return r;
}
