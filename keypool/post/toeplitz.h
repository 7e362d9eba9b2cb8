/* SPDX-License-Identifier: Apache-2.0 */
/* Products of binary Toeplitz matrices with vectors over GF(2): exact, in O(n^1.585).
 *
 * Karatsuba's recursion on the matrix-vector product itself: with N = 2H, M the main block, L and U
 * its neighbours, y0 = P + (L+M) v1 and y1 = P + (U+M) v0 where P = M (v0+v1): three products of half
 * the size. Leaves are carry-less multiplications of 64-bit words: VPCLMULQDQ, PCLMULQDQ or portable,
 * chosen at run time.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

enum toeplitz_kernel { TOEPLITZ_PORTABLE, TOEPLITZ_PCLMUL, TOEPLITZ_VPCLMUL };

/* The best that this processor has. */
enum toeplitz_kernel toeplitz_best(void);

/* Words of the smallest allowed square of at least `words` words: a leaf doubled k times. */
size_t toeplitz_size(size_t words);
/* Relative time of a square of `words` (a toeplitz_size) words. */
double toeplitz_cost(enum toeplitz_kernel kernel, size_t words);
/* Words of scratch that toeplitz_add needs for a square of `words` (a toeplitz_size) words. */
size_t toeplitz_scratch(size_t words);

/* y ^= T v for a square of N = 64 `words` bits: y[i] = sum_j t[i - j + N] v[j], bits counted from the
 * least significant of word 0. t: 2 `words` words, of which bit 0 is not used; v, y: `words` words. */
void toeplitz_add(enum toeplitz_kernel kernel, const uint64_t *t, const uint64_t *v, uint64_t *y,
    size_t words, uint64_t *scratch);
