/* SPDX-License-Identifier: Apache-2.0 */
/* Growable byte buffer, and a reference-counted immutable blob for messages sent to many peers. */
#pragma once

#include "common/err.h"

#include <stdint.h>

struct buf {
    uint8_t *data; /* owned */
    size_t len;
    size_t cap;
};

void buf_deinit(struct buf *b);
int buf_reserve(struct buf *b, size_t more) must_check;
int buf_append(struct buf *b, const void *data, size_t len) must_check;
int buf_append_u64le(struct buf *b, uint64_t v) must_check;

/* Immutable bytes shared by several owners of one thread. */
struct blob {
    size_t refs;
    size_t len;
    uint8_t data[];
};

/* NULL if there is no memory. One reference belongs to the caller; data is not initialised. */
struct blob *blob_new(size_t len) must_check;
struct blob *blob_ref(struct blob *b);
/* Drops one reference; frees with the last. Safe on NULL. */
void blob_unref(struct blob *b);
