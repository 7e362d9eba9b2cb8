/* SPDX-License-Identifier: Apache-2.0 */
/* A trained update: the plaintext that must never leave, and the rule that guards it.
 *
 * It is released in at most one attempt (aggregation.md section 4, invariant 2): once `released`, no
 * other attempt may use it. The training counter names it; a retrained update is another one.
 */
#pragma once

#include "common/quantiser.h"
#include "common/secret.h"

#include <stdbool.h>

struct trained {
    struct secret update; /* doubles; empty: none */
    uint32_t parameters;
    uint64_t samples; /* n_i */
    uint64_t round;
    uint64_t training;
    bool released; /* GO was received for an attempt made of it */
};

bool trained_is_held(const struct trained *t);
void trained_deinit(struct trained *t);

/* v = Q(weight * update), packed into `out` (aggregation.md section 1); rounding draws from
 * PRF(client seed, round, training). -EDOM when a value is not finite. */
int trained_quantise(const struct trained *t, const struct quantiser *z, double weight,
    const uint8_t seed[RNG_SEED_BYTES], uint8_t *out, uint64_t *clipped) must_check;
