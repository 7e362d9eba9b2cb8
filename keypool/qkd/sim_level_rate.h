/* SPDX-License-Identifier: Apache-2.0 */
/* Level `rate`: both ends get the same bytes of a seeded generator, as many as formula (12) gives for
 * counts drawn from the optical model.
 *
 * For federations of hundreds of nodes, and until post-processing is wanted. The bytes are ChaCha20
 * under a seed of the block (SHA-256 over the boot's seed, the names, the block's number): whoever
 * knows the seed knows them all. SIMULATED; never a source for anything but demonstrations.
 */
#pragma once

#include "keypool/qkd/sim_level.h"

/* Bytes of one block at most; a configuration that would yield more is refused. */
#define SIM_BLOCK_BYTES_MAX ((uint64_t)16 * 1024 * 1024)

/* NULL if there is no memory. `options`: pulses and seconds are taken from each request. */
struct sim_level *sim_level_rate_new(
    const uint8_t seed[RNG_SEED_BYTES], const struct keyrate_options *options) must_check;
