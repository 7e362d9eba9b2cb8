/* SPDX-License-Identifier: Apache-2.0 */
/* Privacy amplification by the modified Toeplitz matrix (I_l | T) over GF(2).
 *
 * K_f = K[0..l) xor T K[l..n), with T[i][j] = t[i - j + (n-l-1)] from n-1 random bits t (mdiqkd.md
 * section 4). Exact, in O(n log n) by fft128; memory is stated by amplify_memory(). The bits t must be uniform and independent
 * of the key; whether they are true random bits or expanded from a seed decides whether the step is
 * information-theoretic, and is the caller's to say.
 */
#pragma once

#include "common/err.h"
#include "keypool/post/fft128.h"

#include <stdbool.h>

/* Bytes allocated during amplify(n, l): at most max(n, 768). 0 if it refuses. */
size_t amplify_memory(uint64_t n, uint64_t l);

/* key: n bits, t: n-1 bits, out: l bits; least significant bit of byte 0 first; 0 < l < n. Bits
 * behind the last of `out` are zero. -EINVAL, -ENOMEM. Everything allocated is wiped. */
int amplify(enum fft128_kernel kernel, const uint8_t *key, uint64_t n, const uint8_t *t, uint64_t l,
    uint8_t *out) must_check;
