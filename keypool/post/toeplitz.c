/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/toeplitz.h"

#include "common/util.h"

#include <immintrin.h>

/* Written before it is read: zeroing it first, as the build does elsewhere, would cost speed. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define SCRATCH __attribute__((uninitialized))
#endif
#endif
#ifndef SCRATCH
#define SCRATCH
#endif

#define LEAF_WORDS  31
#define LEAF_BLOCKS 4 /* of 8 diagonals: LEAF_WORDS + 1 in all */

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

/* D_s and D_{s+1} together: t[s-b] and t[s+1-b] lie in one register. */
__attribute__((target("pclmul,sse4.1"))) static void leaf_pclmul(
    const uint64_t *t, const uint64_t *v, uint64_t *y, size_t w)
{
    SCRATCH uint64_t padded[2 * LEAF_WORDS + 1];
    SCRATCH uint64_t low[LEAF_WORDS + 2];
    SCRATCH uint64_t high[LEAF_WORDS + 2];
    memcpy(padded, t, 2 * w * sizeof(*t));
    padded[2 * w] = 0;
    size_t s = 0;
    do {
        __m128i even = _mm_setzero_si128();
        __m128i odd = _mm_setzero_si128();
        const uint64_t *at = padded + s + w - 1;
        for (size_t b = 0; b < w; b++) {
            __m128i x = _mm_loadu_si128((const __m128i_u *)(at - b));
            __m128i factor = _mm_cvtsi64_si128((long long)v[b]);
            even = _mm_xor_si128(even, _mm_clmulepi64_si128(x, factor, 0x00));
            odd = _mm_xor_si128(odd, _mm_clmulepi64_si128(x, factor, 0x01));
        }
        _mm_storeu_si128((__m128i_u *)(low + s), _mm_unpacklo_epi64(even, odd));
        _mm_storeu_si128((__m128i_u *)(high + s), _mm_unpackhi_epi64(even, odd));
        s += 2;
    } while (s <= w);
    for (size_t a = 0; a < w; a++)
        y[a] ^= low[a + 1] ^ high[a];
}

/* Eight values of s at once, even and odd words of t apart, `blocks` such groups side by side so that
 * each word of v is loaded once. Reads up to 7 words behind t[2w): the caller pads. */
#define TARGET_VPCLMUL __attribute__((target("vpclmulqdq,avx512f,avx512bw")))

TARGET_VPCLMUL __attribute__((always_inline)) static inline void diagonals_vpclmul(
    const uint64_t *t, const uint64_t *v, size_t w, size_t blocks, uint64_t *low, uint64_t *high)
{
    __m512i even[LEAF_BLOCKS];
    __m512i odd[LEAF_BLOCKS];
    for (size_t k = 0; k < blocks; k++)
        even[k] = odd[k] = _mm512_setzero_si512();
    for (size_t b = 0; b < w; b++) {
        __m512i factor = _mm512_set1_epi64((long long)v[b]);
        for (size_t k = 0; k < blocks; k++) {
            __m512i x = _mm512_loadu_si512(t + w - 1 - b + 8 * k);
            even[k] = _mm512_xor_si512(even[k], _mm512_clmulepi64_epi128(x, factor, 0x00));
            odd[k] = _mm512_xor_si512(odd[k], _mm512_clmulepi64_epi128(x, factor, 0x01));
        }
    }
    for (size_t k = 0; k < blocks; k++) {
        _mm512_storeu_si512(low + 8 * k, _mm512_unpacklo_epi64(even[k], odd[k]));
        _mm512_storeu_si512(high + 8 * k, _mm512_unpackhi_epi64(even[k], odd[k]));
    }
}

TARGET_VPCLMUL static void leaf_vpclmul(const uint64_t *t, const uint64_t *v, uint64_t *y, size_t w)
{
    SCRATCH uint64_t padded[2 * LEAF_WORDS + 8];
    SCRATCH uint64_t low[8 * LEAF_BLOCKS];
    SCRATCH uint64_t high[8 * LEAF_BLOCKS];
    memcpy(padded, t, 2 * w * sizeof(*t));
    memset(padded + 2 * w, 0, 8 * sizeof(*t));
    switch ((w + 8) / 8) {
    case 1:
        diagonals_vpclmul(padded, v, w, 1, low, high);
        break;
    case 2:
        diagonals_vpclmul(padded, v, w, 2, low, high);
        break;
    case 3:
        diagonals_vpclmul(padded, v, w, 3, low, high);
        break;
    default:
        diagonals_vpclmul(padded, v, w, 4, low, high);
    }
    for (size_t a = 0; a < w; a++)
        y[a] ^= low[a + 1] ^ high[a];
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
    size_t leaf = MAX(words, (size_t)1);
    size_t factor = 1;
    while (leaf > LEAF_WORDS) {
        leaf = (leaf + 1) / 2;
        factor *= 2;
    }
    return leaf * factor;
}

/* Measured: in a leaf, 8 diagonals of one word cost one unit; a halving costs half a unit a word. */
double toeplitz_cost(enum toeplitz_kernel kernel, size_t words)
{
    if (words > LEAF_WORDS)
        return 3 * toeplitz_cost(kernel, words / 2) + 0.5 * (double)words;
    size_t group = kernel == TOEPLITZ_VPCLMUL ? 8 : 2;
    size_t groups = (words + group) / group;
    return (double)(words * groups) + 8;
}

/* Each level keeps one combined matrix (2H), one vector (H) and P (H); levels halve. */
size_t toeplitz_scratch(size_t words)
{
    return 4 * words;
}

static void xor_plain(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] ^ b[i];
}

TARGET_VPCLMUL static void xor_wide(uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm512_storeu_si512(
            out + i, _mm512_xor_si512(_mm512_loadu_si512(a + i), _mm512_loadu_si512(b + i)));
    xor_plain(out + i, a + i, b + i, n - i);
}

static void xor_words(
    enum toeplitz_kernel kernel, uint64_t *out, const uint64_t *a, const uint64_t *b, size_t n)
{
    if (kernel == TOEPLITZ_VPCLMUL)
        xor_wide(out, a, b, n);
    else
        xor_plain(out, a, b, n);
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

    xor_words(kernel, sum, v, v + h, h);
    memset(p, 0, h * sizeof(*p));
    toeplitz_add(kernel, main_block, sum, p, h, rest);
    xor_words(kernel, y, y, p, h);
    xor_words(kernel, y + h, y + h, p, h);
    xor_words(kernel, matrix, lower, main_block, 2 * h);
    toeplitz_add(kernel, matrix, v + h, y, h, rest);
    xor_words(kernel, matrix, upper, main_block, 2 * h);
    toeplitz_add(kernel, matrix, v, y + h, h, rest);
}
