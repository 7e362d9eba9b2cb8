/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/amplify.h"

#include "common/secret.h"
#include "common/util.h"

#include <errno.h>

#define WORD_BITS       64
#define TILE_CANDIDATES 24

/* The l x (n-l) rectangle is cut into square tiles of `tile` words. */
struct tiling {
    size_t tile;
    size_t rows; /* tiles along l */
    size_t columns;
};

static size_t words_of(uint64_t bits)
{
    return (size_t)((bits + WORD_BITS - 1) / WORD_BITS);
}

static double cost_of(enum toeplitz_kernel kernel, const struct tiling *g)
{
    return (double)g->rows * (double)g->columns * toeplitz_cost(kernel, g->tile);
}

/* The cheapest square that divides the shorter side into 1..TILE_CANDIDATES parts. */
static struct tiling choose_tiling(enum toeplitz_kernel kernel, uint64_t n, uint64_t l)
{
    size_t height = words_of(l);
    size_t width = words_of(n - l);
    size_t shorter = MIN(height, width);
    struct tiling best = {0};
    for (size_t parts = 1; parts <= TILE_CANDIDATES; parts++) {
        struct tiling g = {.tile = toeplitz_size((shorter + parts - 1) / parts)};
        g.rows = (height + g.tile - 1) / g.tile;
        g.columns = (width + g.tile - 1) / g.tile;
        if (best.tile == 0 || cost_of(kernel, &g) < cost_of(kernel, &best))
            best = g;
    }
    return best;
}

/* Words of the vector, of the result, of one tile's matrix and of the recursion. */
static size_t words_needed(const struct tiling *g)
{
    return g->columns * g->tile + g->rows * g->tile + 2 * g->tile + toeplitz_scratch(g->tile);
}

size_t amplify_memory(enum toeplitz_kernel kernel, uint64_t n, uint64_t l)
{
    struct tiling g = choose_tiling(kernel, n, l);
    return words_needed(&g) * sizeof(uint64_t);
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

/* Tile (row, column): T[i][j] = t[i - j + (n-l-1)] with i, j from the tile's corner; toeplitz_add
 * wants bit i - j + N, so that its bit b is t[b - N + corner]. */
static void load_tile(uint64_t *matrix, const struct tiling *g, const uint8_t *t, uint64_t n,
    uint64_t l, size_t row, size_t column)
{
    int64_t side = (int64_t)g->tile * WORD_BITS;
    int64_t corner = (int64_t)row * side - (int64_t)column * side + (int64_t)(n - l - 1);
    for (size_t w = 0; w < 2 * g->tile; w++)
        matrix[w] = read_bits(t, n - 1, corner - side + (int64_t)w * WORD_BITS);
}

static void store_bits(uint8_t *out, const uint64_t *words, uint64_t bits)
{
    uint64_t bytes = (bits + 7) / 8;
    for (uint64_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(words[i / 8] >> (8 * (i % 8)));
    if (bits % 8)
        out[bytes - 1] &= (uint8_t)((1 << bits % 8) - 1);
}

int amplify(enum toeplitz_kernel kernel, const uint8_t *key, uint64_t n, const uint8_t *t,
    uint64_t l, uint8_t *out)
{
    if (l == 0 || l >= n)
        return -EINVAL;
    struct tiling g = choose_tiling(kernel, n, l);
    struct secret memory;
    int r = secret_init(&memory, words_needed(&g) * sizeof(uint64_t));
    if (r < 0)
        return r;
    uint64_t *vector = (uint64_t *)(void *)memory.data;
    uint64_t *result = vector + g.columns * g.tile;
    uint64_t *matrix = result + g.rows * g.tile;
    uint64_t *scratch = matrix + 2 * g.tile;
    for (size_t w = 0; w < g.columns * g.tile; w++)
        vector[w] = read_bits(key, n, (int64_t)l + (int64_t)w * WORD_BITS);
    for (size_t w = 0; w < words_of(l); w++)
        result[w] = read_bits(key, l, (int64_t)w * WORD_BITS);
    for (size_t row = 0; row < g.rows; row++)
        for (size_t column = 0; column < g.columns; column++) {
            load_tile(matrix, &g, t, n, l, row, column);
            toeplitz_add(
                kernel, matrix, vector + column * g.tile, result + row * g.tile, g.tile, scratch);
        }
    store_bits(out, result, l);
    secret_deinit(&memory);
    return 0;
}
