/* SPDX-License-Identifier: Apache-2.0 */
/* Exact binomial numbers: how many of n independent trials succeed.
 *
 * By inversion up to a mean of 10, above by the transformed rejection BTRS of W. Hörmann, The
 * generation of binomial random variates, J. Stat. Comput. Simul. 46, 101 (1993). Exact but for the
 * rounding of double (1e-7 relative at n = 2e10): no normal or Poisson approximation anywhere.
 */
#pragma once

#include "common/rng.h"

#include <stdint.h>

#define BINOMIAL_TRIALS_MAX (UINT64_C(1) << 53)

/* p is from 0 to 1. */
uint64_t binomial_draw(struct rng *r, uint64_t trials, double p);
