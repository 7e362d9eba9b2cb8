/* SPDX-License-Identifier: Apache-2.0 */
/* Packed words one after the other: a writer and a reader, for whole vectors of any width.
 *
 * The same form as common/words.h. A writer starts on a whole byte and is finished with words_flush;
 * a reader reads no byte beyond the last word asked for.
 */
#pragma once

#include "common/util.h"
#include "common/words.h"

struct words_writer {
    uint8_t *p; /* borrowed; next byte */
    uint64_t held;
    unsigned bits; /* held, below 32 between calls */
    unsigned q;
};

static inline void words_write(struct words_writer *w, uint32_t v)
{
    uint64_t mask = ((uint64_t)1 << w->q) - 1;
    w->held |= (v & mask) << w->bits;
    w->bits += w->q;
    if (w->bits >= 32) {
        put_u32le(w->p, (uint32_t)w->held);
        w->p += 4;
        w->held >>= 32;
        w->bits -= 32;
    }
}

/* Writes what is held; the last byte is filled with zero bits. */
static inline void words_flush(struct words_writer *w)
{
    for (; w->bits > 0; w->bits -= MIN(w->bits, 8u)) {
        *w->p++ = (uint8_t)w->held;
        w->held >>= 8;
    }
}

struct words_reader {
    const uint8_t *p; /* borrowed; next byte */
    uint64_t held;
    unsigned bits;
    unsigned q;
};

static inline uint32_t words_read(struct words_reader *r)
{
    while (r->bits < r->q) {
        r->held |= (uint64_t)*r->p++ << r->bits;
        r->bits += 8;
    }
    uint32_t v = (uint32_t)(r->held & (((uint64_t)1 << r->q) - 1));
    r->held >>= r->q;
    r->bits -= r->q;
    return v;
}

/* v > 2^(q-1)-1 reads as v - 2^q. */
static inline int64_t words_read_signed(struct words_reader *r)
{
    int64_t v = words_read(r);
    return v >> (r->q - 1) ? v - ((int64_t)1 << r->q) : v;
}
