/* SPDX-License-Identifier: Apache-2.0 */
/* Wegman-Carter tags: polynomial hash over GF(2^128), one-time-padded (keypool.md section 4).
 *
 * h_k(m) = sum_i m_i k^(n+1-i) over the 16-byte blocks m_1 ... m_n. The message is a list of parts, each
 * preceded by its length (u64, little-endian), all one after the other, filled up with zeros to whole
 * blocks; m_n, one block more, is the number of bits before the filling. GF(2^128) with the polynomial
 * x^128 + x^7 + x^2 + x + 1; bit i of a block read as a little-endian 128-bit number is the coefficient
 * of x^i. Forgery at most (ceil(m/128)+1)/2^128 per tag while the pad is fresh. Information-theoretic.
 *
 * Multiplies with PCLMULQDQ where the processor has it, else with integer multiplications; no table and
 * no branch depends on the key in either.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define GF128_BYTES  16
#define GF128_STRIDE 4 /* blocks taken at once */

/* A running hash. Holds the key: wipe with gf128_deinit. */
struct gf128 {
    uint64_t powers[GF128_STRIDE][2]; /* k, k^2, k^3, k^4 */
    uint64_t state[2];
    uint8_t pending[GF128_BYTES];
    size_t pending_len;
    uint64_t bytes;
    bool is_portable; /* set by init; a test may set it after init to leave out PCLMULQDQ */
};

void gf128_init(struct gf128 *h, const uint8_t key[GF128_BYTES]);
/* Adds u64 length and the bytes. */
void gf128_part(struct gf128 *h, const void *data, size_t len);
/* Adds an integer as a part of 8 bytes. */
void gf128_u64(struct gf128 *h, uint64_t v);
/* Streaming a long part: announce its length, then its bytes in pieces. */
void gf128_begin(struct gf128 *h, uint64_t len);
void gf128_update(struct gf128 *h, const void *data, size_t len);
/* tag = h_k(m) xor pad; wipes the hash. */
void gf128_tag(struct gf128 *h, const uint8_t pad[GF128_BYTES], uint8_t tag[GF128_BYTES]);
void gf128_deinit(struct gf128 *h);

/* z = x y, for tests; _portable without PCLMULQDQ. */
void gf128_multiply(const uint64_t x[2], const uint64_t y[2], uint64_t z[2]);
void gf128_multiply_portable(const uint64_t x[2], const uint64_t y[2], uint64_t z[2]);
