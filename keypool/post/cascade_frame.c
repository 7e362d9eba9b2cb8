/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/cascade_frame.h"

#include "common/rng.h"
#include "keypool/post/cascade_hash.h"

#include <errno.h>
#include <math.h>

/* Measured over E = 0.5..5 %: see docs/qkd.md. */
#define CASCADE_C      0.95
#define CASCADE_GROWTH 3.5

/* Whole squares of 64 words. */
static uint32_t padded_words(uint32_t n)
{
    return (n + 4095) / 4096 * 64;
}

/* Blocks of about equal length: `units` cut into as many parts as are nearest to `wanted` long. */
static uint32_t even_length(uint32_t units, double wanted)
{
    double parts = fmax(1, floor(units / fmax(wanted, 2) + 0.5));
    return (uint32_t)fmax(2, ceil(units / parts));
}

void cascade_plan_init(
    struct cascade_plan *p, uint32_t n, double rate, const uint8_t seed[CASCADE_SEED])
{
    double k = CASCADE_C / fmin(fmax(rate, 1e-5), 0.49);
    p->n = n;
    p->k[0] = even_length(n, k);
    p->k[1] = even_length(padded_words(n), k * CASCADE_GROWTH);
    memcpy(p->seed, seed, CASCADE_SEED);
}

/* ---- the shared permutation -------------------------------------------------------------------- */

/* A random order of 0..n-1 and its inverse. */
static void deal(uint32_t *order, uint32_t *inverse, uint32_t n, struct rng *rng)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = (uint32_t)rng_below(rng, i);
        uint32_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
    for (uint32_t i = 0; i < n; i++)
        inverse[order[i]] = i;
}

#define CUTS_DEPTH_MAX 12

static unsigned depth_of(uint32_t k)
{
    return 32 - (unsigned)__builtin_clz(k - 1);
}

/* 0 or -ENOMEM. */
static int cut_blocks(struct cascade_shuffle *s, unsigned pass, uint32_t k)
{
    s->k[pass] = k;
    if (k < 2 || depth_of(k) > CUTS_DEPTH_MAX)
        return 0;
    size_t nodes = (size_t)2 << depth_of(k);
    s->cuts[pass] = calloc(nodes, sizeof(struct cascade_bounds));
    for (uint32_t heap = 1; s->cuts[pass] && heap < nodes; heap++) {
        struct cascade_node n = {.heap = heap, .length = k, .level = 31 - __builtin_clz(heap)};
        s->cuts[pass][heap] = cascade_cut_node(&n);
    }
    return s->cuts[pass] ? 0 : -ENOMEM;
}

struct cascade_shuffle *cascade_shuffle_new(const struct cascade_plan *p)
{
    uint8_t seed[RNG_SEED_BYTES];
    rng_derive(seed, p->seed, "cascade shuffle", 0, 0);
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    struct cascade_shuffle *s = calloc(1, sizeof(*s));
    if (!rng || !s) {
        free(s);
        return NULL;
    }
    s->words = padded_words(p->n);
    s->deal = calloc(s->words, sizeof(*s->deal));
    s->undeal = calloc(s->words, sizeof(*s->undeal));
    s->order = calloc(s->words, sizeof(*s->order));
    s->inverse = calloc(s->words, sizeof(*s->inverse));
    s->rotate = calloc(s->words, 1);
    s->coins = calloc(s->words, sizeof(*s->coins));
    if (!s->deal || !s->undeal || !s->order || !s->inverse || !s->rotate || !s->coins ||
        cut_blocks(s, 0, p->k[0]) < 0 || cut_blocks(s, 1, p->k[1]) < 0) {
        cascade_shuffle_free(s);
        return NULL;
    }
    deal(s->undeal, s->deal, s->words, rng);
    deal(s->order, s->inverse, s->words, rng);
    rng_bytes(rng, s->rotate, s->words);
    for (uint32_t w = 0; w < s->words; w++)
        s->coins[w] = rng_u64(rng);
    return s;
}

void cascade_shuffle_free(struct cascade_shuffle *s)
{
    if (!s)
        return;
    free(s->deal);
    free(s->undeal);
    free(s->order);
    free(s->inverse);
    free(s->rotate);
    free(s->coins);
    free(s->cuts[0]);
    free(s->cuts[1]);
    free(s);
}

/* ---- the frame ---------------------------------------------------------------------------------- */

static struct cascade_tree tree_of(const struct cascade_frame *f, unsigned pass)
{
    uint32_t units = pass == 0 ? f->plan.n : f->words;
    uint32_t k = f->plan.k[pass];
    unsigned lanes = pass == 0 ? 0 : 6;
    return (struct cascade_tree){.units = units,
        .k = k,
        .blocks = ((units + k - 1) / k) << lanes,
        .lanes = lanes,
        .depth = depth_of(k),
        .cuts = f->shuffle->k[pass] == k ? f->shuffle->cuts[pass] : NULL};
}

/* Node numbers fit 32 bits. */
static bool has_numbers(const struct cascade_tree *t)
{
    return (uint64_t)t->blocks << (t->depth + 1) <= UINT32_MAX;
}

static bool is_plan(const struct cascade_plan *p)
{
    return p->n >= CASCADE_N_MIN && p->n <= CASCADE_N_MAX && p->k[0] >= 2 && p->k[1] >= 2 &&
           p->k[0] <= p->n && p->k[1] <= padded_words(p->n);
}

void cascade_frame_load(struct cascade_frame *f, const uint8_t *bits)
{
    f->has_columns = f->has_sums = false;
    uint32_t n = f->plan.n;
    memcpy(f->bits, bits, (n + 7) / 8);
    for (uint32_t w = 0; w < f->words; w++)
        f->bits[w] = get_u64le((const uint8_t *)&f->bits[w]);
    if (n % 64)
        f->bits[n / 64] &= ((uint64_t)1 << n % 64) - 1;
}

int cascade_frame_init(struct cascade_frame *f, const struct cascade_plan *p,
    const struct cascade_shuffle *shuffle, const uint8_t *bits)
{
    *f = (struct cascade_frame){.plan = *p, .shuffle = shuffle};
    if (!is_plan(p) || shuffle->words != padded_words(p->n))
        return -EINVAL;
    f->words = shuffle->words;
    f->tree[0] = tree_of(f, 0);
    f->tree[1] = tree_of(f, 1);
    if (!has_numbers(&f->tree[0]) || !has_numbers(&f->tree[1]))
        return -EINVAL;
    size_t groups = f->tree[1].blocks / 64;
    size_t words = 3 * (size_t)f->words + groups + 2; /* one behind the bits, one more of sums */
    int r = secret_init(&f->memory, words * sizeof(uint64_t));
    if (r < 0)
        return r;
    f->bits = (uint64_t *)(void *)f->memory.data;
    f->sums = f->bits + f->words + 1;
    f->columns = f->sums + f->words + 1;
    cascade_frame_load(f, bits);
    return 0;
}

void cascade_frame_deinit(struct cascade_frame *f)
{
    secret_deinit(&f->memory);
}

/* ---- pass 1 ------------------------------------------------------------------------------------- */

static uint64_t rotate_left(uint64_t x, unsigned by)
{
    by &= 63;
    return x << by | x >> ((64 - by) & 63);
}

/* Bit j of word i becomes bit i of word j (Hacker's Delight, 7-3). */
static void transpose(uint64_t m[64])
{
    uint64_t mask = 0x00000000ffffffffULL;
    for (unsigned j = 32; j != 0; j >>= 1, mask ^= mask << j)
        for (unsigned base = 0; base < 64; base += 2 * j)
            for (unsigned k = base; k < base + j; k++) {
                uint64_t swap = (m[k] >> j ^ m[k + j]) & mask;
                m[k] ^= swap << j;
                m[k + j] ^= swap;
            }
}

/* Where word t of pass 1 stands in `columns`, before it is added up. */
static uint64_t *column_of(struct cascade_frame *f, uint32_t t)
{
    return &f->columns[t + t / f->tree[1].k + 1];
}

static void load_square(struct cascade_frame *f, uint32_t square)
{
    const struct cascade_shuffle *s = f->shuffle;
    uint64_t m[64];
    for (uint32_t i = 0; i < 64; i++)
        m[i] = f->bits[s->undeal[square * 64 + i]];
    transpose(m);
    for (uint32_t j = 0; j < 64; j++) {
        uint32_t t = s->inverse[square * 64 + j];
        *column_of(f, t) = rotate_left(m[j], s->rotate[t]);
    }
    secret_wipe(m, sizeof(m));
}

void cascade_need_columns(struct cascade_frame *f)
{
    if (f->has_columns)
        return;
    for (uint32_t square = 0; square < f->words / 64; square++)
        load_square(f, square);
    const struct cascade_tree *t = &f->tree[1];
    uint64_t *at = f->columns;
    for (uint32_t from = 0; from < t->units; from += t->k) {
        uint32_t length = MIN(t->k, t->units - from);
        *at = 0;
        for (uint32_t i = 0; i < length; i++)
            at[i + 1] ^= at[i];
        at += length + 1;
    }
    f->has_columns = true;
}

void cascade_need_sums(struct cascade_frame *f)
{
    if (!f->has_sums)
        cascade_hash_sums(f->sums, f->bits, f->shuffle->coins, f->words);
    f->has_sums = true;
}

/* ---- positions ---------------------------------------------------------------------------------- */

void cascade_locate(const struct cascade_frame *f, unsigned pass, uint32_t position,
    uint32_t *block, uint32_t *unit)
{
    if (pass == 0) {
        *unit = position;
        *block = position / f->plan.k[0];
        return;
    }
    const struct cascade_shuffle *s = f->shuffle;
    uint32_t place = s->deal[position / 64];
    *unit = s->inverse[place / 64 * 64 + position % 64];
    *block = *unit / f->plan.k[1] * 64 + (place + s->rotate[*unit]) % 64;
}

uint32_t cascade_position(
    const struct cascade_frame *f, unsigned pass, uint32_t block, uint32_t unit)
{
    if (pass == 0)
        return unit;
    const struct cascade_shuffle *s = f->shuffle;
    uint32_t word = s->order[unit];
    uint32_t row = (block - s->rotate[unit]) % 64;
    return s->undeal[word / 64 * 64 + row] * 64 + word % 64;
}

static void add_to_all(uint64_t *words, size_t n, uint64_t what)
{
    for (size_t i = 0; i < n; i++)
        words[i] ^= what;
}

void cascade_flip(struct cascade_frame *f, uint32_t position)
{
    uint32_t word = position / 64;
    uint64_t bit = (uint64_t)1 << (position % 64);
    f->bits[word] ^= bit;
    if (f->has_columns) {
        uint32_t block;
        uint32_t unit;
        cascade_locate(f, 1, position, &block, &unit);
        uint32_t group = block / 64;
        uint32_t end = MIN(f->words, (group + 1) * f->plan.k[1]);
        add_to_all(f->columns + group + unit + 1, end - unit, (uint64_t)1 << (block % 64));
    }
    if (f->has_sums)
        add_to_all(
            f->sums + word + 1, f->words - word, cascade_hash_word(bit, f->shuffle->coins[word]));
}

/* ---- subsets ------------------------------------------------------------------------------------ */

struct cascade_interval cascade_subset_range(const struct cascade_frame *f, uint32_t s)
{
    if (s >= CASCADE_SEGMENT_SETS)
        return (struct cascade_interval){0, f->plan.n};
    uint64_t g = s % CASCADE_SEGMENTS;
    return (struct cascade_interval){(uint32_t)(g * f->plan.n / CASCADE_SEGMENTS),
        (uint32_t)((g + 1) * f->plan.n / CASCADE_SEGMENTS)};
}

/* Each subset has its own bit of the hash, those of the segments of one round share one. */
static unsigned hash_bit(uint32_t s)
{
    return s < CASCADE_SEGMENT_SETS ? s / CASCADE_SEGMENTS
                                    : CASCADE_SEGMENT_ROUNDS + s - CASCADE_SEGMENT_SETS;
}

uint64_t cascade_subsets_of(const struct cascade_frame *f, uint32_t position)
{
    uint64_t hash =
        cascade_hash_word((uint64_t)1 << (position % 64), f->shuffle->coins[position / 64]);
    uint64_t mask = 0;
    for (uint32_t s = 0; s < CASCADE_SUBSETS; s++) {
        struct cascade_interval range = cascade_subset_range(f, s);
        bool has = position >= range.from && position < range.to && (hash >> hash_bit(s) & 1);
        mask |= (uint64_t)has << s;
    }
    return mask;
}

/* The hash of the bits before `position`. */
static uint64_t sum_before(const struct cascade_frame *f, uint32_t position)
{
    uint32_t w = position / 64;
    uint64_t part = f->bits[w] & (((uint64_t)1 << (position % 64)) - 1);
    return f->sums[w] ^ (position % 64 ? cascade_hash_word(part, f->shuffle->coins[w]) : 0);
}

bool cascade_subset_parity(const struct cascade_frame *f, uint32_t s, struct cascade_interval i)
{
    return (sum_before(f, i.from) ^ sum_before(f, i.to)) >> hash_bit(s) & 1;
}

/* ---- varints ------------------------------------------------------------------------------------ */

int cascade_put_varint(struct buf *b, uint32_t v)
{
    uint8_t bytes[CASCADE_VARINT_MAX];
    return buf_append(b, bytes, (size_t)(cascade_write_varint(bytes, v) - bytes));
}
