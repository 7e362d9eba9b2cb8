/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/cascade_frame.h"

#include "common/rng.h"
#include "common/util.h"

#include <errno.h>
#include <math.h>

/* Measured over E = 0.5..5 %: see docs/qkd.md. */
#define CASCADE_C      1.0
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
    if (!s->deal || !s->undeal || !s->order || !s->inverse || !s->rotate) {
        cascade_shuffle_free(s);
        return NULL;
    }
    deal(s->undeal, s->deal, s->words, rng);
    deal(s->order, s->inverse, s->words, rng);
    rng_bytes(rng, s->rotate, s->words);
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
    free(s);
}

/* ---- the frame ---------------------------------------------------------------------------------- */

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
        for (unsigned k = 0; k < 64; k = ((k | j) + 1) & ~j) {
            uint64_t swap = (m[k] >> j ^ m[k | j]) & mask;
            m[k] ^= swap << j;
            m[k | j] ^= swap;
        }
}

static void load_square(struct cascade_frame *f, uint32_t square)
{
    const struct cascade_shuffle *s = f->shuffle;
    uint64_t m[64];
    for (uint32_t i = 0; i < 64; i++)
        m[i] = f->bits[0][s->undeal[square * 64 + i]];
    transpose(m);
    for (uint32_t j = 0; j < 64; j++) {
        uint32_t t = s->inverse[square * 64 + j];
        f->bits[1][t] = rotate_left(m[j], s->rotate[t]);
    }
    secret_wipe(m, sizeof(m));
}

static void load_bits(struct cascade_frame *f, const uint8_t *bits)
{
    uint32_t n = f->plan.n;
    memcpy(f->bits[0], bits, (n + 7) / 8);
    for (uint32_t w = 0; w < f->words; w++)
        f->bits[0][w] = get_u64le((const uint8_t *)&f->bits[0][w]);
    if (n % 64)
        f->bits[0][n / 64] &= ((uint64_t)1 << n % 64) - 1;
    for (uint32_t square = 0; square < f->words / 64; square++)
        load_square(f, square);
}

/* Node numbers fit 32 bits. */
static bool is_plan(const struct cascade_plan *p)
{
    if (p->n < CASCADE_N_MIN || p->n > CASCADE_N_MAX || p->k[0] < 2 || p->k[1] < 2 ||
        p->k[0] > p->n || p->k[1] > padded_words(p->n))
        return false;
    uint64_t blocks0 = (p->n + p->k[0] - 1) / p->k[0];
    uint64_t blocks1 = 64 * (uint64_t)((padded_words(p->n) + p->k[1] - 1) / p->k[1]);
    return blocks0 << (cascade_depth(p, 0) + 1) <= UINT32_MAX &&
           blocks1 << (cascade_depth(p, 1) + 1) <= UINT32_MAX;
}

int cascade_frame_init(struct cascade_frame *f, const struct cascade_plan *p,
    const struct cascade_shuffle *shuffle, const uint8_t *bits)
{
    *f = (struct cascade_frame){.plan = *p, .shuffle = shuffle, .words = padded_words(p->n)};
    if (!is_plan(p) || shuffle->words != f->words)
        return -EINVAL;
    int r = secret_init(&f->memory, CASCADE_PASSES * f->words * sizeof(uint64_t));
    if (r < 0)
        return r;
    f->bits[0] = (uint64_t *)(void *)f->memory.data;
    f->bits[1] = f->bits[0] + f->words;
    uint8_t seed[RNG_SEED_BYTES];
    rng_derive(seed, p->seed, "cascade subsets", 0, 0);
    f->subset_seed = get_u64le(seed);
    load_bits(f, bits);
    return 0;
}

void cascade_frame_deinit(struct cascade_frame *f)
{
    secret_deinit(&f->memory);
}

/* ---- trees -------------------------------------------------------------------------------------- */

static uint32_t units(const struct cascade_frame *f, unsigned pass)
{
    return pass == 0 ? f->plan.n : f->words;
}

uint32_t cascade_blocks(const struct cascade_frame *f, unsigned pass)
{
    uint32_t groups = (units(f, pass) + f->plan.k[pass] - 1) / f->plan.k[pass];
    return pass == 0 ? groups : 64 * groups;
}

unsigned cascade_depth(const struct cascade_plan *p, unsigned pass)
{
    return 32 - (unsigned)__builtin_clz(p->k[pass] - 1);
}

struct cascade_node cascade_root(const struct cascade_frame *f, unsigned pass, uint32_t block)
{
    uint32_t group = pass == 0 ? block : block / 64;
    uint32_t from = group * f->plan.k[pass];
    return (struct cascade_node){block, 1, from, MIN(units(f, pass), from + f->plan.k[pass])};
}

/* Level d cuts a block of m units at floor(m h / 2^d): both halves of two units or more have some. */
static void set_interval(
    const struct cascade_frame *f, unsigned pass, struct cascade_node *n, unsigned level)
{
    struct cascade_node root = cascade_root(f, pass, n->block);
    uint64_t length = root.to - root.from;
    uint32_t h = n->heap - ((uint32_t)1 << level);
    n->from = root.from + (uint32_t)(length * h >> level);
    n->to = root.from + (uint32_t)(length * (h + 1) >> level);
}

bool cascade_node_of(
    const struct cascade_frame *f, unsigned pass, uint32_t number, struct cascade_node *out)
{
    unsigned depth = cascade_depth(&f->plan, pass);
    *out = (struct cascade_node){
        .block = number >> (depth + 1), .heap = number & (((uint32_t)2 << depth) - 1)};
    if (out->block >= cascade_blocks(f, pass) || out->heap == 0)
        return false;
    set_interval(f, pass, out, 31 - (unsigned)__builtin_clz(out->heap));
    return true;
}

struct cascade_node cascade_half(
    const struct cascade_frame *f, unsigned pass, const struct cascade_node *n, bool right)
{
    struct cascade_node half = {.block = n->block, .heap = 2 * n->heap + right};
    set_interval(f, pass, &half, 31 - (unsigned)__builtin_clz(half.heap));
    return half;
}

/* The bits of word w that lie in the interval. */
static uint64_t interval_mask(uint32_t from, uint32_t to, uint32_t w)
{
    uint64_t mask = ~(uint64_t)0;
    if (w == from / 64)
        mask &= ~(uint64_t)0 << (from % 64);
    if (w == to / 64)
        mask &= ((uint64_t)1 << (to % 64)) - 1;
    return mask;
}

bool cascade_parity(const struct cascade_frame *f, unsigned pass, const struct cascade_node *n)
{
    uint64_t sum = 0;
    if (pass == 1) {
        for (uint32_t t = n->from; t < n->to; t++)
            sum ^= f->bits[1][t];
        return sum >> (n->block % 64) & 1;
    }
    for (uint32_t w = n->from / 64; (uint64_t)w * 64 < n->to; w++)
        sum ^= f->bits[0][w] & interval_mask(n->from, n->to, w);
    return __builtin_parityll(sum);
}

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
    const struct cascade_frame *f, unsigned pass, const struct cascade_node *n)
{
    if (pass == 0)
        return n->from;
    const struct cascade_shuffle *s = f->shuffle;
    uint32_t word = s->order[n->from];
    uint32_t row = (n->block - s->rotate[n->from]) % 64;
    return s->undeal[word / 64 * 64 + row] * 64 + word % 64;
}

void cascade_flip(struct cascade_frame *f, uint32_t position)
{
    uint32_t block;
    uint32_t unit;
    cascade_locate(f, 1, position, &block, &unit);
    f->bits[0][position / 64] ^= (uint64_t)1 << (position % 64);
    f->bits[1][unit] ^= (uint64_t)1 << (block % 64);
}

/* ---- subsets ------------------------------------------------------------------------------------ */

/* splitmix64: 64 independent coins for word w of subset s. */
static uint64_t subset_word(const struct cascade_frame *f, uint32_t s, uint32_t w)
{
    uint64_t z = f->subset_seed + ((uint64_t)s << 32 | w) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

struct cascade_interval cascade_subset_range(const struct cascade_frame *f, uint32_t s)
{
    if (s >= CASCADE_SEGMENTS * CASCADE_SEGMENT_ROUNDS)
        return (struct cascade_interval){0, f->plan.n};
    uint64_t g = s % CASCADE_SEGMENTS;
    return (struct cascade_interval){(uint32_t)(g * f->plan.n / CASCADE_SEGMENTS),
        (uint32_t)((g + 1) * f->plan.n / CASCADE_SEGMENTS)};
}

bool cascade_subset_has(const struct cascade_frame *f, uint32_t s, uint32_t position)
{
    struct cascade_interval range = cascade_subset_range(f, s);
    return position >= range.from && position < range.to &&
           (subset_word(f, s, position / 64) >> (position % 64) & 1);
}

bool cascade_subset_parity(const struct cascade_frame *f, uint32_t s, struct cascade_interval i)
{
    uint64_t sum = 0;
    for (uint32_t w = i.from / 64; (uint64_t)w * 64 < i.to; w++)
        sum ^= f->bits[0][w] & interval_mask(i.from, i.to, w) & subset_word(f, s, w);
    return __builtin_parityll(sum);
}

/* ---- varints ------------------------------------------------------------------------------------ */

int cascade_put_varint(struct buf *b, uint32_t v)
{
    uint8_t bytes[5];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    return buf_append(b, bytes, n);
}

bool cascade_get_varint(const uint8_t *p, size_t len, size_t *at, uint32_t *v)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35 && *at < len; shift += 7) {
        uint8_t byte = p[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *v = (uint32_t)value;
            return value <= UINT32_MAX;
        }
    }
    return false;
}
