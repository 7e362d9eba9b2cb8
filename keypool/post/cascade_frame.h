/* SPDX-License-Identifier: Apache-2.0 */
/* What both ends of Cascade compute alike: the bits of a frame in the order of each pass, intervals of
 * the halving trees, subset masks, and the encoding of questions. Internal to keypool/post. */
#pragma once

#include "common/secret.h"
#include "keypool/post/cascade.h"

#define CASCADE_SEGMENTS       16 /* side by side in the first subset stage */
#define CASCADE_SEGMENT_ROUNDS 2
#define CASCADE_WHOLE_ROUNDS   30
#define CASCADE_SUBSETS        (CASCADE_SEGMENTS * CASCADE_SEGMENT_ROUNDS + CASCADE_WHOLE_ROUNDS)

/* A question is a list of sections: u8 kind, then for
 *   ROOTS    u8 pass                       all block parities of the pass
 *   NODES    u8 pass, varint count, varint deltas of ascending node numbers: parity of the left half
 *   SUBSETS  (nothing)                     parities of all subsets
 *   PARTS    varint count, then count times varint subset, varint from, varint length: parity of the
 *            subset within these bits, subset numbers ascending
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
};

struct cascade_frame {
    struct cascade_plan plan;
    const struct cascade_shuffle *shuffle;
    uint64_t subset_seed;
    uint32_t words; /* padded */
    struct secret memory;
    uint64_t *bits[CASCADE_PASSES]; /* words in the order of each pass */
};

int cascade_frame_init(struct cascade_frame *f, const struct cascade_plan *p,
    const struct cascade_shuffle *shuffle, const uint8_t *bits) must_check;
void cascade_frame_deinit(struct cascade_frame *f);

/* A node of a pass: number = block << (depth + 1) | heap, where heap 1 is the block's root and 2 h,
 * 2 h + 1 the halves of h. Its interval counts bits of the frame (pass 0) or words (pass 1). */
struct cascade_node {
    uint32_t block;
    uint32_t heap;
    uint32_t from, to;
};
uint32_t cascade_blocks(const struct cascade_frame *f, unsigned pass);
/* Levels of halving that any block may need. */
unsigned cascade_depth(const struct cascade_plan *p, unsigned pass);
/* False if there is no such node. */
bool cascade_node_of(
    const struct cascade_frame *f, unsigned pass, uint32_t number, struct cascade_node *out);
struct cascade_node cascade_root(const struct cascade_frame *f, unsigned pass, uint32_t block);
/* Of a node with at least two units. */
struct cascade_node cascade_half(
    const struct cascade_frame *f, unsigned pass, const struct cascade_node *n, bool right);
static inline uint32_t cascade_number(unsigned depth, const struct cascade_node *n)
{
    return n->block << (depth + 1) | n->heap;
}

bool cascade_parity(const struct cascade_frame *f, unsigned pass, const struct cascade_node *n);
/* The block and the unit in which a position of the frame lies in a pass. */
void cascade_locate(const struct cascade_frame *f, unsigned pass, uint32_t position,
    uint32_t *block, uint32_t *unit);
/* The position of a node of one unit; may lie beyond n in pass 1, where the last word is padded. */
uint32_t cascade_position(
    const struct cascade_frame *f, unsigned pass, const struct cascade_node *n);
void cascade_flip(struct cascade_frame *f, uint32_t position);

struct cascade_interval {
    uint32_t from, to; /* bits of the frame */
};
static inline uint32_t cascade_middle(struct cascade_interval i)
{
    return i.from + (i.to - i.from + 1) / 2;
}
/* Bits [from, to) that subset `s` covers at most. */
struct cascade_interval cascade_subset_range(const struct cascade_frame *f, uint32_t s);
bool cascade_subset_has(const struct cascade_frame *f, uint32_t s, uint32_t position);
bool cascade_subset_parity(const struct cascade_frame *f, uint32_t s, struct cascade_interval i);

int cascade_put_varint(struct buf *b, uint32_t v) must_check;
/* Advances *at; false at the end or beyond 32 bits. */
bool cascade_get_varint(const uint8_t *p, size_t len, size_t *at, uint32_t *v);
