/* SPDX-License-Identifier: Apache-2.0 */
/* Random streams and orders of the tasks. */
#pragma once

#include "common/rng.h"

/* The stream `label`, `index` of a 64-bit seed; NULL if there is no memory. */
struct rng *draw_stream(uint64_t seed, const char *label, uint64_t index);

/* Shuffles v (Fisher and Yates). */
void draw_order(uint32_t *v, uint32_t n, struct rng *rng);
