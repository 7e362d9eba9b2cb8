/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/amplify.h"

#include "common/secret.h"
#include "common/util.h"

#include <errno.h>

#define WORD_BITS 64

/* T is l x (n-l). A transform of 2^k points takes so many words of rows and of columns as are 2^k words
 * together. There are one or two tiles of rows. */
struct tiling {
    unsigned k;
    size_t height, columns; /* words of a tile */
    size_t rows, tiles;     /* tiles one above the other, and side by side */
};

static size_t words_of(uint64_t bits)
{
    return (size_t)((bits + WORD_BITS - 1) / WORD_BITS);
}

/* The two transforms of a tile and the sum of their products. */
static size_t memory_of(unsigned k)
{
    return 3 * (2 * sizeof(uint64_t)) << k;
}

static struct tiling tile(uint64_t n, uint64_t l, size_t rows, unsigned k)
{
    struct tiling g = {.k = k, .rows = rows, .height = (words_of(l) + rows - 1) / rows};
    if (((size_t)1 << k) <= g.height)
        return (struct tiling){0};
    g.columns = ((size_t)1 << k) - g.height;
    g.tiles = (words_of(n - l) + g.columns - 1) / g.columns;
    return g;
}

/* Two transforms for each tile, one for the result. */
static double cost_of(const struct tiling *g)
{
    return (double)g->rows * (2 * (double)g->tiles + 1) * (double)((uint64_t)1 << g->k) *
           (g->k + 2);
}

/* The cheapest in n bytes: one of 2^k <= n/32 words, which two tiles of rows always allow. */
static bool find_tiling(uint64_t n, uint64_t l, struct tiling *best)
{
    *best = (struct tiling){0};
    for (unsigned k = FFT128_LOG_MIN; k <= FFT128_LOG_MAX; k++)
        for (size_t rows = 1; rows <= 2; rows++) {
            struct tiling g = tile(n, l, rows, k);
            bool fits = g.k > 0 && (k == FFT128_LOG_MIN || memory_of(k) <= n);
            if (fits && (best->k == 0 || cost_of(&g) < cost_of(best)))
                *best = g;
        }
    return best->k != 0;
}

size_t amplify_memory(uint64_t n, uint64_t l)
{
    struct tiling g;
    return l > 0 && l < n && find_tiling(n, l, &g) ? memory_of(g.k) : 0;
}

/* Up to 64 bits of `from` beginning at bit `at` (may be negative or run past `bits`: zeros). */
static uint64_t read_bits(const uint8_t *from, uint64_t bits, int64_t at)
{
    uint64_t word = 0;
    if (at >= (int64_t)bits || at <= -WORD_BITS)
        return 0;
    if (at >= 0 && (uint64_t)at / 8 + 9 <= bits / 8) {
        uint64_t low = get_u64le(from + at / 8);
        unsigned shift = (unsigned)(at % 8);
        return shift ? low >> shift | (uint64_t)from[at / 8 + 8] << (WORD_BITS - shift) : low;
    }
    for (int i = 0; i < WORD_BITS; i++) {
        int64_t k = at + i;
        if (k >= 0 && k < (int64_t)bits)
            word |= (uint64_t)(from[k / 8] >> (k % 8) & 1) << i;
    }
    return word;
}

/* With i and j from the tile's corner, T[i][j] = t[i - j + corner]; the tile's bit i - j + 64 columns is
 * what the transform wants, so that its bit b is t[b - 64 columns + corner]. */
static void load_matrix(uint64_t *words, const struct tiling *g, const uint8_t *t, uint64_t n,
    uint64_t l, size_t row, size_t tile)
{
    int64_t down = (int64_t)(row * g->height * WORD_BITS);
    int64_t across = (int64_t)((tile + 1) * g->columns * WORD_BITS);
    int64_t first = (int64_t)(n - l - 1) + down - across;
    for (size_t w = 0; w < (size_t)1 << g->k; w++)
        words[w] = read_bits(t, n - 1, first + (int64_t)w * WORD_BITS);
}

/* The tile's words of the key in reverse, so that indices of matrix and vector differ by the result's. */
static void load_vector(uint64_t *words, const struct tiling *g, const uint8_t *key, uint64_t n,
    uint64_t l, size_t tile)
{
    int64_t first = (int64_t)l + (int64_t)(tile * g->columns * WORD_BITS);
    for (size_t b = 0; b < g->columns; b++)
        words[g->columns - 1 - b] = read_bits(key, n, first + (int64_t)b * WORD_BITS);
    memset(words + g->columns, 0, (((size_t)1 << g->k) - g->columns) * sizeof(*words));
}

static void store_word(uint8_t *out, uint64_t word, uint64_t bits)
{
    if (bits >= WORD_BITS) {
        put_u64le(out, word);
        return;
    }
    word &= ((uint64_t)1 << bits) - 1;
    for (uint64_t i = 0; i < (bits + 7) / 8; i++)
        out[i] = (uint8_t)(word >> (8 * i));
}

/* Word a of T K is the low half of product a + 1 and the high half of product a. */
static void store_result(uint8_t *out, const uint64_t *product, const struct tiling *g,
    const uint8_t *key, uint64_t l, size_t row)
{
    for (size_t a = 0; a < g->height; a++) {
        uint64_t at = (row * g->height + a) * WORD_BITS;
        uint64_t word = product[2 * (a + 1)] ^ product[2 * a + 1] ^ read_bits(key, l, (int64_t)at);
        if (at < l)
            store_word(out + at / 8, word, l - at);
    }
}

int amplify(enum fft128_kernel kernel, const uint8_t *key, uint64_t n, const uint8_t *t, uint64_t l,
    uint8_t *out)
{
    struct tiling g;
    if (l == 0 || l >= n || !find_tiling(n, l, &g))
        return -EINVAL;
    struct secret memory;
    int r = secret_init(&memory, memory_of(g.k));
    if (r < 0)
        return r;
    size_t words = (size_t)2 << g.k;
    uint64_t *sum = (uint64_t *)(void *)memory.data;
    uint64_t *matrix = sum + words;
    uint64_t *vector = matrix + words;
    for (size_t row = 0; row < g.rows; row++) {
        memset(sum, 0, words * sizeof(*sum));
        for (size_t tile = 0; tile < g.tiles; tile++) {
            load_matrix(matrix, &g, t, n, l, row, tile);
            fft128_matrix(kernel, matrix, g.k);
            load_vector(vector, &g, key, n, l, tile);
            fft128_vector(kernel, vector, g.k);
            fft128_multiply_add(kernel, sum, matrix, vector, g.k);
        }
        fft128_result(kernel, sum, g.k);
        store_result(out, sum, &g, key, l, row);
    }
    secret_deinit(&memory);
    return 0;
}
