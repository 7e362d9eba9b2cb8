/* SPDX-License-Identifier: Apache-2.0 */
/* What both ends of Cascade compute alike: the bits of a frame in the order of each pass, intervals of
 * the halving trees, subsets, and the encoding of questions. Internal to keypool/post. */
#pragma once

#include "common/secret.h"
#include "common/util.h"
#include "keypool/post/cascade.h"

#define CASCADE_SEGMENTS       16 /* side by side in the first subset stage */
#define CASCADE_SEGMENT_ROUNDS 2
#define CASCADE_WHOLE_ROUNDS   26
#define CASCADE_SEGMENT_SETS   (CASCADE_SEGMENTS * CASCADE_SEGMENT_ROUNDS)
#define CASCADE_SUBSETS        (CASCADE_SEGMENT_SETS + CASCADE_WHOLE_ROUNDS)

/* A question is a list of sections: u8 kind, then for
 *   ROOTS    u8 pass                       all block parities of the pass
 *   NODES    u8 pass, varint count, varint deltas of ascending node numbers: parity of the left half
 *   SUBSETS  (nothing)                     parities of all subsets
 *   PARTS    varint count, then count times varint subset, varint from, varint length: parity of the
 *            subset within these bits
 * The answer is the bits in the order of the questions, packed. */
enum cascade_question { CASCADE_ROOTS, CASCADE_NODES, CASCADE_ASK_SUBSETS, CASCADE_PARTS };

/* Pass 1 goes over whole words. The frame's words are dealt in random order into squares of 64 words;
 * each square is transposed, so that neighbouring bits part; the words of all squares are dealt again
 * and rotated. Block 64 g + lane holds bit `lane` of the k[1] words of group g. */
struct cascade_shuffle {
    uint32_t words;    /* a multiple of 64; the frame is padded with zeros */
    uint32_t *deal;    /* owned: frame word -> place in the squares */
    uint32_t *order;   /* owned: word of pass 1 -> transposed word */
    uint32_t *inverse; /* owned */
    uint32_t *undeal;  /* owned */
    uint8_t *rotate;   /* owned */
    uint64_t *coins;   /* owned: of the subsets */
    uint32_t k[CASCADE_PASSES];
    struct cascade_bounds
        *cuts[CASCADE_PASSES]; /* owned: of the nodes of a whole block, by heap; NULL
                                                    for long blocks */
};

/* A node's interval: its left half is [from, middle), its right half [middle, to). */
struct cascade_bounds {
    uint32_t from, middle, to;
};

/* The halving trees of one pass, one for each block. */
struct cascade_tree {
    uint32_t units; /* bits of the frame (pass 0) or words (pass 1) */
    uint32_t k;     /* units of a block; the last one or the last 64 may have fewer */
    uint32_t blocks;
    unsigned lanes;                    /* 2^lanes blocks go over the same units */
    unsigned depth;                    /* levels of halving that any block may need */
    const struct cascade_bounds *cuts; /* NULL, or those of the shuffle */
};

struct cascade_frame {
    struct cascade_plan plan;
    const struct cascade_shuffle *shuffle;
    struct cascade_tree tree[CASCADE_PASSES];
    uint32_t words; /* padded */
    struct secret memory;
    uint64_t *bits;    /* words in natural order */
    uint64_t *columns; /* pass 1, for each group: sums of its first 0..k words */
    uint64_t *sums;    /* cascade_hash_sums of `bits` */
    bool has_columns, has_sums;
};

int cascade_frame_init(struct cascade_frame *f, const struct cascade_plan *p,
    const struct cascade_shuffle *shuffle, const uint8_t *bits) must_check;
void cascade_frame_deinit(struct cascade_frame *f);
/* Other bits of the same plan. */
void cascade_frame_load(struct cascade_frame *f, const uint8_t *bits);
/* Both are made of the bits as they are when first needed, and kept up by cascade_flip. */
void cascade_need_columns(struct cascade_frame *f);
void cascade_need_sums(struct cascade_frame *f);
void cascade_flip(struct cascade_frame *f, uint32_t position);

/* ---- trees: inline, since they are asked for every parity --------------------------------------- */

/* A node of a tree: number = block << (depth + 1) | heap, where heap 1 is the block's root and 2 h,
 * 2 h + 1 the halves of h. */
struct cascade_node {
    uint32_t block, heap;
    uint32_t base, length; /* of the block, units */
    unsigned level;
};

static inline struct cascade_node cascade_root(const struct cascade_tree *t, uint32_t block)
{
    uint32_t base = (block >> t->lanes) * t->k;
    return (struct cascade_node){block, 1, base, MIN(t->units - base, t->k), 0};
}

/* The block must be one. */
static inline struct cascade_node cascade_node_of(const struct cascade_tree *t, uint32_t number)
{
    struct cascade_node n = cascade_root(t, number >> (t->depth + 1));
    n.heap = number & (((uint32_t)2 << t->depth) - 1);
    n.level = 31 - (unsigned)__builtin_clz(n.heap | 1);
    return n;
}

static inline uint32_t cascade_number(const struct cascade_tree *t, const struct cascade_node *n)
{
    return n->block << (t->depth + 1) | n->heap;
}

/* Level d cuts a block of m units at floor(m h / 2^d): both halves of two units or more have some. */
static inline uint32_t cascade_cut(const struct cascade_node *n, uint32_t h, unsigned level)
{
    return n->base + (uint32_t)((uint64_t)n->length * h >> level);
}

static inline struct cascade_bounds cascade_cut_node(const struct cascade_node *n)
{
    uint32_t h = n->heap - ((uint32_t)1 << n->level);
    return (struct cascade_bounds){cascade_cut(n, h, n->level),
        cascade_cut(n, 2 * h + 1, n->level + 1), cascade_cut(n, h + 1, n->level)};
}

static inline struct cascade_bounds cascade_bounds(
    const struct cascade_tree *t, const struct cascade_node *n)
{
    if (!t->cuts || n->length != t->k)
        return cascade_cut_node(n);
    struct cascade_bounds b = t->cuts[n->heap];
    return (struct cascade_bounds){n->base + b.from, n->base + b.middle, n->base + b.to};
}

static inline struct cascade_node cascade_half(const struct cascade_node *n, bool right)
{
    struct cascade_node half = *n;
    half.heap = 2 * n->heap + right;
    half.level++;
    return half;
}

/* One word is read behind the last. */
static inline bool cascade_parity_bits(const uint64_t *bits, uint32_t from, uint32_t to)
{
    const uint8_t *bytes = (const uint8_t *)bits;
    uint64_t sum = 0;
    if (to - from < 57)
        return __builtin_parityll(
            get_u64le(bytes + from / 8) >> (from % 8) & (((uint64_t)1 << (to - from)) - 1));
    for (uint32_t w = from / 64 + 1; w < to / 64; w++)
        sum ^= bits[w];
    uint64_t first = ~(uint64_t)0 << (from % 64);
    uint64_t behind = ((uint64_t)1 << (to % 64)) - 1;
    if (from / 64 == to / 64)
        return __builtin_parityll(bits[from / 64] & first & behind);
    return __builtin_parityll(sum ^ (bits[from / 64] & first) ^ (bits[to / 64] & behind));
}

/* Of all 64 blocks of a group at once. cascade_need_columns was called. */
static inline uint64_t cascade_column_sums(
    const struct cascade_frame *f, uint32_t block, uint32_t from, uint32_t to)
{
    const uint64_t *sums = f->columns + block / 64; /* one more entry than words for each group */
    return sums[from] ^ sums[to];
}

static inline bool cascade_parity(
    const struct cascade_frame *f, unsigned pass, uint32_t block, uint32_t from, uint32_t to)
{
    if (pass == 0)
        return cascade_parity_bits(f->bits, from, to);
    return cascade_column_sums(f, block, from, to) >> (block % 64) & 1;
}

static inline bool cascade_root_parity(const struct cascade_frame *f, unsigned pass, uint32_t block)
{
    struct cascade_node root = cascade_root(&f->tree[pass], block);
    return cascade_parity(f, pass, block, root.base, root.base + root.length);
}

/* The block and the unit in which a position of the frame lies in a pass. */
void cascade_locate(const struct cascade_frame *f, unsigned pass, uint32_t position,
    uint32_t *block, uint32_t *unit);
/* The position of a unit of a block; may lie beyond n in pass 1, where the last word is padded. */
uint32_t cascade_position(
    const struct cascade_frame *f, unsigned pass, uint32_t block, uint32_t unit);

/* ---- subsets ------------------------------------------------------------------------------------
 *
 * Subsets 0..31 are two for each segment, the others go over the whole frame. */

struct cascade_interval {
    uint32_t from, to; /* bits of the frame */
};
struct cascade_interval cascade_subset_range(const struct cascade_frame *f, uint32_t s);
/* Subsets that have this bit, as a mask. */
uint64_t cascade_subsets_of(const struct cascade_frame *f, uint32_t position);
/* cascade_need_sums was called. */
bool cascade_subset_parity(const struct cascade_frame *f, uint32_t s, struct cascade_interval i);

/* ---- varints ------------------------------------------------------------------------------------ */

#define CASCADE_VARINT_MAX 5

static inline uint8_t *cascade_write_varint(uint8_t *out, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        *out++ = (uint8_t)(v | 0x80);
    *out++ = (uint8_t)v;
    return out;
}

int cascade_put_varint(struct buf *b, uint32_t v) must_check;

/* Advances *at; false at the end or beyond 32 bits. */
static inline bool cascade_get_varint(const uint8_t *p, size_t len, size_t *at, uint32_t *v)
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
