/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's own random numbers: xoshiro256** seeded by splitmix64 (Blackman and Vigna).
 *
 * Every decision of a simulated story comes from here, so that one 64-bit seed tells it all. Small
 * and fast on purpose; never used for keys of a real federation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rnd {
    uint64_t s[4];
};

void rnd_init(struct rnd *r, uint64_t seed);
/* An independent stream for one part of a story, so that a new draw in one part moves no other. */
struct rnd rnd_fork(struct rnd *r);

uint64_t rnd_u64(struct rnd *r);
/* Uniform in [0, n); n > 0. The bias of 2^-64 n does not matter here. */
uint64_t rnd_below(struct rnd *r, uint64_t n);
/* Uniform in [low, high]. */
uint64_t rnd_between(struct rnd *r, uint64_t low, uint64_t high);
double rnd_uniform(struct rnd *r);
bool rnd_chance(struct rnd *r, double probability);
void rnd_bytes(struct rnd *r, void *out, size_t len);
