/* SPDX-License-Identifier: Apache-2.0 */
/* Butterflies, tails and the pointwise product. Internal to fft128. */
#pragma once

#include "keypool/post/fft128.h"

#include <stdbool.h>
#include <stddef.h>

#define FFT128_BASIS 32

struct gf128_element {
    uint64_t lo, hi;
};

static inline struct gf128_element element_add(struct gf128_element a, struct gf128_element b)
{
    return (struct gf128_element){a.lo ^ b.lo, a.hi ^ b.hi};
}

extern const struct gf128_element fft128_cantor[FFT128_BASIS];
extern const struct gf128_element fft128_cantor_sums[FFT128_BASIS];

/* The factor of block m of any level: bit t of m stands for element t + 1 of the basis. */
struct gf128_element fft128_factor(uint64_t m);
/* What fft128_factor(step (q + 1)) is more than fft128_factor(step q), 2^shift = step: from q to q + 1
 * the lowest clear bit and all below it change. */
static inline struct gf128_element fft128_factor_step(uint64_t q, unsigned shift)
{
    return element_add(fft128_cantor_sums[(unsigned)__builtin_ctzll(q + 1) + shift + 1],
        fft128_cantor_sums[shift]);
}

/* p, q: two parts of a block, n elements each, n a multiple of 4.
 *     down: p += w q, q += p        up: q += p, p += w q
 * The transposed inverse is down with p and q exchanged, the transposed transform is up likewise. The
 * tails are the last two levels (the first two, for up) of n elements, a multiple of 16; `m` is the
 * number of the first block of four. */
struct fft128_ops {
    void (*down)(uint64_t *p, uint64_t *q, size_t n, struct gf128_element w);
    void (*up)(uint64_t *p, uint64_t *q, size_t n, struct gf128_element w);
    void (*down_tail)(uint64_t *a, size_t n, uint64_t m, bool exchanged);
    void (*up_tail)(uint64_t *a, size_t n, uint64_t m, bool exchanged);
    void (*multiply_add)(uint64_t *sum, const uint64_t *a, const uint64_t *b, size_t n);
    /* out ^= in, words; they do not overlap. */
    void (*add)(uint64_t *out, const uint64_t *in, size_t words);
};

const struct fft128_ops *fft128_ops(enum fft128_kernel kernel);
