/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/draw.h"

#include "common/util.h"

struct rng *draw_stream(uint64_t seed, const char *label, uint64_t index)
{
    uint8_t base[RNG_SEED_BYTES] = {0}, derived[RNG_SEED_BYTES];
    put_u64le(base, seed);
    rng_derive(derived, base, label, index, 0);
    return rng_new(derived);
}

void draw_order(uint32_t *v, uint32_t n, struct rng *rng)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)rng_below(rng, i), kept = v[i - 1];
        v[i - 1] = v[j];
        v[j] = kept;
    }
}
