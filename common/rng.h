/* SPDX-License-Identifier: Apache-2.0 */
/* Deterministic random stream: ChaCha20 under a 32-byte seed.
 *
 * All randomness of training and rounding comes from here, seeded with PRF(client seed, round,
 * training attempt), so that a run can be repeated bit for bit. Never used for pads.
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define RNG_SEED_BYTES 32

struct rng;

/* NULL if there is no memory. */
struct rng *rng_new(const uint8_t seed[RNG_SEED_BYTES]) must_check;
/* Wipes its state. Safe on NULL. */
void rng_free(struct rng *r);
void rng_freep(struct rng **r);

/* Seed = SHA-256 over (label, seed, a, b): independent streams from one seed. */
void rng_derive(uint8_t out[RNG_SEED_BYTES], const uint8_t seed[RNG_SEED_BYTES], const char *label,
    uint64_t a, uint64_t b);

void rng_bytes(struct rng *r, void *out, size_t len);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, n), without bias; n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Uniform in [0, 1) with 53 bits. */
double rng_uniform(struct rng *r);
/* Standard normal (Box-Muller). */
double rng_normal(struct rng *r);
