/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/cascade_hash.h"

#include <immintrin.h>

#define REDUCTION 0x1b
#define CLMUL     __attribute__((target("pclmul,sse4.1")))

uint64_t cascade_hash_word_portable(uint64_t word, uint64_t coin)
{
    uint64_t z = 0;
    for (int i = 63; i >= 0; i--)
        z = z << 1 ^ (-(z >> 63) & REDUCTION) ^ (-(word >> i & 1) & coin);
    return z;
}

CLMUL static inline uint64_t multiply(uint64_t x, uint64_t y)
{
    const __m128i reduction = _mm_cvtsi64_si128(REDUCTION);
    __m128i z = _mm_clmulepi64_si128(
        _mm_cvtsi64_si128((long long)x), _mm_cvtsi64_si128((long long)y), 0x00);
    __m128i high = _mm_clmulepi64_si128(z, reduction, 0x01);
    __m128i rest = _mm_clmulepi64_si128(high, reduction, 0x01);
    return (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(_mm_xor_si128(z, high), rest));
}

CLMUL static void sums_clmul(uint64_t *sums, const uint64_t *words, const uint64_t *coins, size_t n)
{
    uint64_t sum = 0;
    for (size_t w = 0; w < n; w++) {
        sums[w] = sum;
        sum ^= multiply(words[w], coins[w]);
    }
    sums[n] = sum;
}

CLMUL static uint64_t word_clmul(uint64_t word, uint64_t coin)
{
    return multiply(word, coin);
}

uint64_t cascade_hash_word(uint64_t word, uint64_t coin)
{
    return __builtin_cpu_supports("pclmul") ? word_clmul(word, coin)
                                            : cascade_hash_word_portable(word, coin);
}

void cascade_hash_sums(uint64_t *sums, const uint64_t *words, const uint64_t *coins, size_t n)
{
    if (__builtin_cpu_supports("pclmul")) {
        sums_clmul(sums, words, coins, n);
        return;
    }
    uint64_t sum = 0;
    for (size_t w = 0; w < n; w++) {
        sums[w] = sum;
        sum ^= cascade_hash_word_portable(words[w], coins[w]);
    }
    sums[n] = sum;
}
