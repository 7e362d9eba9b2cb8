/* SPDX-License-Identifier: Apache-2.0 */
/* What the correcting end knows of one pass: of each node with halves whether they are known, and whether
 * the left one is odd (differs between the ends); of each block whether it is odd. Internal to
 * keypool/post. */
#pragma once

#include "keypool/post/cascade_frame.h"

#include <errno.h>

/* Two bits at (block << depth) + heap; heap 0 is the block. */
struct marks {
    uint64_t *words; /* owned: 64 bits of the first kind, 64 of the second, in turn */
    size_t bytes;
};

static inline int marks_init(struct marks *m, const struct cascade_tree *t)
{
    size_t nodes = (size_t)t->blocks << t->depth;
    m->bytes = 2 * (nodes / 64 + 1) * sizeof(uint64_t);
    m->words = calloc(1, m->bytes);
    return m->words ? 0 : -ENOMEM;
}

struct mark {
    uint64_t *words;
    unsigned shift;
};

static inline struct mark mark_of(
    const struct marks *m, const struct cascade_tree *t, uint32_t block, uint32_t heap)
{
    size_t at = ((size_t)block << t->depth) + heap;
    return (struct mark){m->words + at / 64 * 2, at % 64};
}

static inline bool is_split(struct mark m)
{
    return m.words[0] >> m.shift & 1;
}

static inline bool is_left_odd(struct mark m)
{
    return m.words[1] >> m.shift & 1;
}

static inline void mark_split(struct mark m, bool left_odd)
{
    m.words[0] |= (uint64_t)1 << m.shift;
    m.words[1] = (m.words[1] & ~((uint64_t)1 << m.shift)) | (uint64_t)left_odd << m.shift;
}

static inline bool toggle_left(struct mark m, bool by)
{
    m.words[1] ^= (uint64_t)by << m.shift;
    return is_left_odd(m);
}
