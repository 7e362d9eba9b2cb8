/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/fft128.h"

#include "common/util.h"
#include "keypool/post/fft128_kernel.h"

#define LOG_CACHED 11 /* elements of a block that stays in the first cache */

/* ---- rewriting ----------------------------------------------------------------------------------
 *
 * With r a power of two, x^(2^r) + x is the polynomial that is zero at all sums of the first r points of
 * the basis. A polynomial of 2^n coefficients is divided by its powers until it is one in
 * y = x^(2^r) + x whose coefficients are polynomials in x of degree below 2^r; then both are rewritten.
 * `width`: words of a coefficient, which may be a vector of them.
 */

static unsigned power_below(unsigned n)
{
    unsigned r = 1;
    while (2 * r < n)
        r *= 2;
    return r;
}

/* x^(2^k) = y^(2^(k-r)) + x^(2^(k-r)) in a block of 2^(k+1) coefficients. */
static inline void divide(
    const struct fft128_ops *o, uint64_t *f, unsigned k, unsigned r, size_t width)
{
    size_t half = width << k;
    size_t step = width << (k - r);
    o->add(f + half, f + 2 * half - step, step);
    o->add(f + step, f + half, half - step);
}

static inline void divide_transposed_inverse(
    const struct fft128_ops *o, uint64_t *f, unsigned k, unsigned r, size_t width)
{
    size_t half = width << k;
    size_t step = width << (k - r);
    o->add(f + 2 * half - step, f + half, step);
    o->add(f + half, f + step, half - step);
}

static inline void divide_transposed(
    const struct fft128_ops *o, uint64_t *f, unsigned k, unsigned r, size_t width)
{
    size_t half = width << k;
    size_t step = width << (k - r);
    o->add(f + half, f + step, half - step);
    o->add(f + 2 * half - step, f + half, step);
}

/* Of four coefficients. */
static inline void rewrite4(uint64_t *f, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        f[2 * width + i] ^= f[3 * width + i];
        f[width + i] ^= f[2 * width + i];
    }
}

static inline void rewrite4_transposed_inverse(uint64_t *f, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        f[3 * width + i] ^= f[2 * width + i];
        f[2 * width + i] ^= f[width + i];
    }
}

static inline void rewrite4_transposed(uint64_t *f, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        f[2 * width + i] ^= f[width + i];
        f[3 * width + i] ^= f[2 * width + i];
    }
}

static void rewrite(const struct fft128_ops *o, uint64_t *f, unsigned n, size_t width)
{
    if (n == 2)
        rewrite4(f, width);
    if (n <= 2)
        return;
    unsigned r = power_below(n);
    size_t total = width << n;
    for (unsigned k = n; k-- > r;)
        for (size_t at = 0; at < total; at += width << (k + 1))
            divide(o, f + at, k, r, width);
    rewrite(o, f, n - r, width << r);
    for (size_t at = 0; at < total; at += width << r)
        rewrite(o, f + at, r, width);
}

static void rewrite_transposed_inverse(
    const struct fft128_ops *o, uint64_t *f, unsigned n, size_t width)
{
    if (n == 2)
        rewrite4_transposed_inverse(f, width);
    if (n <= 2)
        return;
    unsigned r = power_below(n);
    size_t total = width << n;
    for (unsigned k = n; k-- > r;)
        for (size_t at = 0; at < total; at += width << (k + 1))
            divide_transposed_inverse(o, f + at, k, r, width);
    rewrite_transposed_inverse(o, f, n - r, width << r);
    for (size_t at = 0; at < total; at += width << r)
        rewrite_transposed_inverse(o, f + at, r, width);
}

static void rewrite_transposed(const struct fft128_ops *o, uint64_t *f, unsigned n, size_t width)
{
    if (n == 2)
        rewrite4_transposed(f, width);
    if (n <= 2)
        return;
    unsigned r = power_below(n);
    size_t total = width << n;
    for (size_t at = 0; at < total; at += width << r)
        rewrite_transposed(o, f + at, r, width);
    rewrite_transposed(o, f, n - r, width << r);
    for (unsigned k = r; k < n; k++)
        for (size_t at = 0; at < total; at += width << (k + 1))
            divide_transposed(o, f + at, k, r, width);
}

/* ---- butterflies --------------------------------------------------------------------------------
 *
 * Block m of a level of blocks of 2^k elements; its halves are blocks 2m and 2m + 1 of the next.
 */

static inline void level(const struct fft128_ops *o, uint64_t *a, unsigned k, uint64_t m,
    size_t blocks, bool is_down, bool exchanged)
{
    size_t half = (size_t)2 << (k - 1);
    struct gf128_element w = fft128_factor(m);
    for (size_t i = 0; i < blocks; i++, a += 2 * half) {
        uint64_t *p = exchanged ? a + half : a;
        uint64_t *q = exchanged ? a : a + half;
        (is_down ? o->down : o->up)(p, q, half / 2, w);
        w = element_add(w, fft128_factor_step(m + i, 0));
    }
}

static void down(const struct fft128_ops *o, uint64_t *a, unsigned k, uint64_t m, bool exchanged)
{
    if (k > LOG_CACHED) {
        level(o, a, k, m, 1, true, exchanged);
        down(o, a, k - 1, 2 * m, exchanged);
        down(o, a + ((size_t)2 << (k - 1)), k - 1, 2 * m + 1, exchanged);
        return;
    }
    for (unsigned i = k; i > 2; i--)
        level(o, a, i, m << (k - i), (size_t)1 << (k - i), true, exchanged);
    o->down_tail(a, (size_t)1 << k, m << (k - 2), exchanged);
}

static void up(const struct fft128_ops *o, uint64_t *a, unsigned k, uint64_t m, bool exchanged)
{
    if (k > LOG_CACHED) {
        up(o, a, k - 1, 2 * m, exchanged);
        up(o, a + ((size_t)2 << (k - 1)), k - 1, 2 * m + 1, exchanged);
        level(o, a, k, m, 1, false, exchanged);
        return;
    }
    o->up_tail(a, (size_t)1 << k, m << (k - 2), exchanged);
    for (unsigned i = 3; i <= k; i++)
        level(o, a, i, m << (k - i), (size_t)1 << (k - i), false, exchanged);
}

/* ---- transforms --------------------------------------------------------------------------------- */

/* Words to elements, in place. */
static void widen(uint64_t *a, unsigned k)
{
    for (size_t i = (size_t)1 << k; i-- > 0;) {
        a[2 * i] = a[i];
        a[2 * i + 1] = 0;
    }
}

void fft128_matrix(enum fft128_kernel kernel, uint64_t *a, unsigned k)
{
    const struct fft128_ops *o = fft128_ops(kernel);
    rewrite_transposed_inverse(o, a, k, 1);
    widen(a, k);
    down(o, a, k, 0, true);
}

void fft128_vector(enum fft128_kernel kernel, uint64_t *a, unsigned k)
{
    const struct fft128_ops *o = fft128_ops(kernel);
    rewrite(o, a, k, 1);
    widen(a, k);
    down(o, a, k, 0, false);
}

void fft128_multiply_add(
    enum fft128_kernel kernel, uint64_t *sum, const uint64_t *a, const uint64_t *b, unsigned k)
{
    fft128_ops(kernel)->multiply_add(sum, a, b, (size_t)1 << k);
}

void fft128_result(enum fft128_kernel kernel, uint64_t *sum, unsigned k)
{
    const struct fft128_ops *o = fft128_ops(kernel);
    up(o, sum, k, 0, true);
    rewrite_transposed(o, sum, k, 2);
}
