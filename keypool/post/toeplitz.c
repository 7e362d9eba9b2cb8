/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/toeplitz.h"

#include "common/util.h"

#include <immintrin.h>

#define LEAF_WORDS 16

/* ---- leaves -----------------------------------------------------------------------------------
 *
 * With D_s = sum_b t[s-b] v[b] (128-bit carry-less products of words), word a of the result is
 * low(D_{w+a}) ^ high(D_{w+a-1}), a = 0..w-1.
 */

static void multiply_portable(uint64_t x, uint64_t y, uint64_t *low, uint64_t *high)
{
    uint64_t l = 0;
    uint64_t h = 0;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t mask = -(y >> i & 1);
        l ^= x << i & mask;
        h ^= (i ? x >> (64 - i) : 0) & mask;
    }
    *low ^= l;
    *high ^= h;
}

static void leaf_portable(const uint64_t *t, const uint64_t *v, uint64_t *y, size_t w)
{
    for (size_t s = w - 1; s < 2 * w; s++) {
        uint64_t low = 0;
        uint64_t high = 0;
        for (size_t b = 0; b < w; b++)
            multiply_portable(t[s - b], v[b], &low, &high);
        if (s >= w)
            y[s - w] ^= low;
        if (s + 1 < 2 * w)
            y[s + 1 - w] ^= high;
    }
}

__attribute__((target("pclmul,sse4.1"))) static void leaf_pclmul(
    const uint64_t *t, const uint64_t *v, uint64_t *y, size_t w)
{
    for (size_t s = w - 1; s < 2 * w; s++) {
        __m128i d = _mm_setzero_si128();
        for (size_t b = 0; b < w; b++)
            d = _mm_xor_si128(d, _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)t[s - b]),
                                     _mm_cvtsi64_si128((long long)v[b]), 0));
        if (s >= w)
            y[s - w] ^= (uint64_t)_mm_cvtsi128_si64(d);
        if (s + 1 < 2 * w)
            y[s + 1 - w] ^= (uint64_t)_mm_extract_epi64(d, 1);
    }
}

/* Eight values of s at once: even and odd words of t apart. `padded` has 8 zero words behind t. */
__attribute__((target("vpclmulqdq,avx512f,avx512bw"))) static void leaf_vpclmul(
    const uint64_t *t, const uint64_t *v, uint64_t *y, size_t w)
{
    uint64_t padded[2 * LEAF_WORDS + 8] = {0};
    uint64_t low[2 * LEAF_WORDS + 8];
    uint64_t high[2 * LEAF_WORDS + 8];
    memcpy(padded, t, 2 * w * sizeof(*t));
    for (size_t s = w - 1; s < 2 * w; s += 8) {
        __m512i even = _mm512_setzero_si512();
        __m512i odd = _mm512_setzero_si512();
        for (size_t b = 0; b < w; b++) {
            __m512i x = _mm512_loadu_si512(padded + s - b);
            __m512i k = _mm512_set1_epi64((long long)v[b]);
            even = _mm512_xor_si512(even, _mm512_clmulepi64_epi128(x, k, 0x00));
            odd = _mm512_xor_si512(odd, _mm512_clmulepi64_epi128(x, k, 0x01));
        }
        _mm512_storeu_si512(low + s, _mm512_unpacklo_epi64(even, odd));
        _mm512_storeu_si512(high + s, _mm512_unpackhi_epi64(even, odd));
    }
    for (size_t a = 0; a < w; a++)
        y[a] ^= low[w + a] ^ high[w + a - 1];
}

static void leaf(
    enum toeplitz_kernel kernel, const uint64_t *t, const uint64_t *v, uint64_t *y, size_t w)
{
    if (kernel == TOEPLITZ_VPCLMUL)
        leaf_vpclmul(t, v, y, w);
    else if (kernel == TOEPLITZ_PCLMUL)
        leaf_pclmul(t, v, y, w);
    else
        leaf_portable(t, v, y, w);
}

/* ---- recursion -------------------------------------------------------------------------------- */

enum toeplitz_kernel toeplitz_best(void)
{
    if (__builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512bw"))
        return TOEPLITZ_VPCLMUL;
    return __builtin_cpu_supports("pclmul") ? TOEPLITZ_PCLMUL : TOEPLITZ_PORTABLE;
}

size_t toeplitz_size(size_t words)
{
    size_t leaf_words = MAX(words, (size_t)1);
    size_t factor = 1;
    while (leaf_words > LEAF_WORDS) {
        leaf_words = (leaf_words + 1) / 2;
        factor *= 2;
    }
    return leaf_words * factor;
}

/* Each level keeps one combined matrix (2H), one vector (H) and P (H); levels halve. */
size_t toeplitz_scratch(size_t words)
{
    return 4 * words;
}

static void xor_words(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] ^ b[i];
}

void toeplitz_add(enum toeplitz_kernel kernel, const uint64_t *t, const uint64_t *v, uint64_t *y,
    size_t words, uint64_t *scratch)
{
    if (words <= LEAF_WORDS) {
        leaf(kernel, t, v, y, words);
        return;
    }
    size_t h = words / 2;
    const uint64_t *lower = t;
    const uint64_t *main_block = t + h;
    const uint64_t *upper = t + 2 * h;
    uint64_t *matrix = scratch;
    uint64_t *sum = scratch + 2 * h;
    uint64_t *p = scratch + 3 * h;
    uint64_t *rest = scratch + 4 * h;

    xor_words(sum, v, v + h, h);
    memset(p, 0, h * sizeof(*p));
    toeplitz_add(kernel, main_block, sum, p, h, rest);
    xor_words(y, y, p, h);
    xor_words(y + h, y + h, p, h);
    xor_words(matrix, lower, main_block, 2 * h);
    toeplitz_add(kernel, matrix, v + h, y, h, rest);
    xor_words(matrix, upper, main_block, 2 * h);
    toeplitz_add(kernel, matrix, v, y + h, h, rest);
}
