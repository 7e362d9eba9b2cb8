/* SPDX-License-Identifier: Apache-2.0 */
/* The two ends of the post-processing of one block of raw key: types and limits.
 *
 * The messages travel as opaque bytes (u8 type | body) in whatever channel the ends have; LOW is the
 * initiator in the table. Who may say what when is in keypool/post/post_block.c.
 */
#pragma once

#include "proto/link.h"

#define POST_CHUNK_MAX   ((size_t)512 * 1024) /* bytes of one vector in one message */
#define POST_MESSAGE_MAX (POST_CHUNK_MAX + 512)
#define POST_REASON_MAX  ((size_t)256)

enum post_type {
    POST_ANNOUNCE = 16,
    POST_BASES,
    POST_DISCLOSE,
    POST_PLAN,
    POST_ASK,
    POST_ANSWER,
    POST_CORRECTED,
    POST_SEED,
    POST_NEXT,
    POST_TAG,
    POST_DONE,
    POST_VOID,
};

extern const struct exchange post_exchange;
