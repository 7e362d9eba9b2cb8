/* SPDX-License-Identifier: Apache-2.0 */
/* Every pad byte that was ever handed out, by content: the same 8 bytes at two places of the streams
 * are key used twice whatever the offsets say, and different bytes at one place are two ends that do
 * not hold the same key. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PADBOOK_STREAM_BYTES 16

enum padbook_condition {
    PADBOOK_E_REUSED = 1, /* these bytes were handed out from another place */
    PADBOOK_E_DIFFERS,    /* other bytes were handed out from this place */
};

struct padbook;

struct padbook *padbook_new(void);
void padbook_free(struct padbook *b);
/* 0 or > 0 enum padbook_condition. */
int padbook_add(struct padbook *b, const uint8_t stream[PADBOOK_STREAM_BYTES], uint64_t start,
    const uint8_t *data, size_t len);
