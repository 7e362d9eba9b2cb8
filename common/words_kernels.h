/* SPDX-License-Identifier: Apache-2.0 */
/* The SIMD kernels behind common/words.h, for words that fill whole bytes (q = 8, 16, 32).
 *
 * One kernel per instruction set, chosen at every call by what the processor supports; none on other
 * processors than x86-64, where common/words.c adds in 64-bit registers. Here only for its tests and
 * benchmarks: everybody else calls common/words.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum words_lane { WORDS_LANE_8, WORDS_LANE_16, WORDS_LANE_32, WORDS_LANES };

#define WORDS_SUM_GROUP 4 /* vectors that one pass of `sum` adds */

struct words_kernel {
    const char *name;
    /* y += pad, or y -= pad, lane by lane; `len` bytes, a multiple of the lane; then zeros into the
     * pad if `wipe`. */
    void (*add[WORDS_LANES])(uint8_t *y, uint8_t *pad, size_t len, bool subtract, bool wipe);
    /* sum += v[0] + ... + v[3], lane by lane. */
    void (*sum[WORDS_LANES])(uint8_t *sum, const uint8_t *const v[WORDS_SUM_GROUP], size_t len);
};

/* The best that this processor can run; NULL if there is none. */
const struct words_kernel *words_kernel_best(void);
/* The i-th of all that this processor can run, best first; NULL past the last. */
const struct words_kernel *words_kernel_at(size_t i);
