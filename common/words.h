/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of q-bit words in Z_{2^q}, bit-packed: word k holds bits [k q, (k+1) q), least significant
 * bit first, the last byte padded with zero bits. The form on the wire, in key use and in memory.
 *
 * q is 2..32. q = 8, 16 and 32 have SIMD kernels chosen at run time; other widths go 64 bits at a time.
 * Nothing here depends on the values: no branch, no table.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define WORDS_Q_MIN 2
#define WORDS_Q_MAX 32

/* ceil(n q / 8). */
static inline uint64_t words_bytes(uint64_t n, unsigned q)
{
    return (n * q + 7) / 8;
}

/* y[k] = (y[k] + pad[k]) mod 2^q, or minus with `subtract`; both packed, n words. Equation of
 * aggregation.md section 1. The pad is not wiped. Padding bits of y stay zero whatever pad holds. */
void words_add(uint8_t *y, const uint8_t *pad, uint64_t n, unsigned q, bool subtract);

/* The same, and overwrites the pad's bytes with zeros as it goes (fetch, add, wipe). Pads that are
 * added in turn to one y go fastest in pieces of 16 KiB, for which y stays in the first-level cache. */
void words_add_wipe(uint8_t *y, uint8_t *pad, uint64_t n, unsigned q, bool subtract);

/* sum[k] = sum_i y_i[k] over `count` packed vectors, block by block in cache-sized pieces. */
void words_sum(uint8_t *sum, const uint8_t *const *vectors, size_t count, uint64_t n, unsigned q);

/* One word. words_get_signed reads v > 2^(q-1)-1 as v - 2^q. */
uint32_t words_get(const uint8_t *packed, uint64_t k, unsigned q);
int64_t words_get_signed(const uint8_t *packed, uint64_t k, unsigned q);
void words_put(uint8_t *packed, uint64_t k, unsigned q, uint32_t v);
