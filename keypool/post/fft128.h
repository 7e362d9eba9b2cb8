/* SPDX-License-Identifier: Apache-2.0 */
/* Additive FFT over GF(2^128): exact products of binary polynomials in O(N log N) multiplications.
 *
 * Points are all sums of the first k elements of a Cantor basis (b[0] = 1, b[i]^2 + b[i] = b[i-1]), the
 * polynomials are first rewritten in the basis of Lin, Chung and Han (FOCS 2014), in which evaluation is
 * a network of butterflies whose factors are such sums again; the rewriting is of additions only (Gao
 * and Mateer 2010; Chen et al., arXiv 1708.09746). GF(2^128) as in common/gf128.h.
 *
 * What amplification needs is a middle product, so the matrix goes through the transposed inverse and
 * the result through the transposed transform (Tellegen's principle): none of the points is wasted on
 * coefficients that nobody wants. No branch and no address depends on the data.
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define FFT128_LOG_MIN 4
#define FFT128_LOG_MAX 27

enum fft128_kernel { FFT128_PORTABLE, FFT128_PCLMUL, FFT128_VPCLMUL };

/* The best that this processor has. */
enum fft128_kernel fft128_best(void);

/* All arrays hold 2^k elements of two words each, the lower one first. With m and v the 2^k words of a
 * matrix and of a vector,
 *
 *     out[j] = sum_b v[b] m[j + b]        (128-bit products of words; j + b < 2^k)
 *
 * is what fft128_result makes of the sum of the products of both transforms. */

/* In: words in the first 2^k words of `a`. */
void fft128_matrix(enum fft128_kernel kernel, uint64_t *a, unsigned k);
void fft128_vector(enum fft128_kernel kernel, uint64_t *a, unsigned k);
/* sum[i] += a[i] b[i]. */
void fft128_multiply_add(
    enum fft128_kernel kernel, uint64_t *sum, const uint64_t *a, const uint64_t *b, unsigned k);
void fft128_result(enum fft128_kernel kernel, uint64_t *sum, unsigned k);
