/* SPDX-License-Identifier: Apache-2.0 */
/* Seeds and ids of blocks, from the seed of this boot: one per pair, block number and use, so that
 * nothing that is drawn and no id comes twice. */
#pragma once

#include "keypool/qkd/sim_topology.h"

/* SHA-256 over (use, boot's seed, names, number). */
void sim_seed_derive(uint8_t out[RNG_SEED_BYTES], const uint8_t boot[RNG_SEED_BYTES],
    const char *use, const struct sim_link *link, uint64_t number);
