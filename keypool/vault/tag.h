/* SPDX-License-Identifier: Apache-2.0 */
/* One-time tags by which one key pool proves to the other that it holds the same block.
 *
 * keypool.md section 4: h_k(auth stream, number, block id, bytes) xor pad (common/gf128.h). A tag whose
 * number is a multiple of SESSION_KEY_TAGS brings its own k, before the pad; the others use the last.
 */
#pragma once

#include "keypool/vault/core.h"

#define TAG_FRESH_BYTES (2 * (uint64_t)GF128_BYTES) /* of a tag that brings its hash key */

/* Where a tag's bytes lie in its stream. */
struct tag_place {
    uint64_t seq;
    uint64_t offset;
    uint64_t len; /* TAG_FRESH_BYTES with a hash key, else the pad's */
};
struct tag_place tag_place(uint64_t seq, uint64_t offset);
/* The entry by which these bytes are spent. */
struct entry tag_burn(const struct ledger_stream *s, const struct tag_place *at);

struct tag_keys {
    const uint8_t *hash; /* GF128_BYTES each, in locked memory */
    const uint8_t *pad;
};

/* `key`: the block's bytes if they are at hand, else NULL: they are read from the disk. SEAL_E_BROKEN if
 * they were altered there. */
int tag_make(struct vault *v, const struct ledger_stream *auth, uint64_t seq,
    const struct ledger_block *b, const uint8_t *key, const struct tag_keys *keys,
    uint8_t tag[GF128_BYTES]) must_check;
