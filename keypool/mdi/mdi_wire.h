/* SPDX-License-Identifier: Apache-2.0 */
/* What the two ends of the source say to each other: one byte of kind, then fields without any filling.
 *
 *     KEY    place u64                      the hash key of what I say lies there in my stream
 *     AGAIN                                 I cannot have that one: draw another
 *     PAD    block 16, place u64            I have drawn a pad for this block there
 *     POST   block 16, message              of the block's conversation (proto/post.proto)
 *     VOID   block 16, reason text          this block is void at my end
 *
 * Integers are little-endian.
 */
#pragma once

#include "common/buf.h"

#include <stdbool.h>

#define MDI_ID_BYTES   16
#define MDI_REASON_MAX ((size_t)256)

enum mdi_kind { MDI_KEY = 1, MDI_AGAIN, MDI_PAD, MDI_POST, MDI_VOID };

struct mdi_message {
    enum mdi_kind kind;
    const uint8_t *block; /* PAD, POST, VOID: borrowed */
    uint64_t place;       /* KEY, PAD */
    uint8_t *data;        /* POST, VOID: borrowed */
    size_t len;
};

/* -ENOMEM. */
int mdi_wire_put(struct buf *to, const struct mdi_message *m) must_check;
/* False if it is none. */
bool mdi_wire_get(struct mdi_message *m, uint8_t *data, size_t len) must_check;
