/* SPDX-License-Identifier: Apache-2.0 */
/* The seed of this boot: fresh from the operating system, or derived from a configured file and the
 * number of the start. */
#pragma once

#include "keypool/qkdsim/config.h"

/* -errno with a sentence. The caller wipes `out`. */
int qkdsim_seed(
    const struct qkdsim_config *c, uint8_t out[RNG_SEED_BYTES], struct err *e) must_check;
