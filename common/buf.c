/* SPDX-License-Identifier: Apache-2.0 */
#include "common/buf.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>

void buf_deinit(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

int buf_reserve(struct buf *b, size_t more)
{
    if (more > SIZE_MAX / 2 - b->len)
        return -ENOMEM;
    if (b->len + more <= b->cap)
        return 0;
    size_t cap = MAX(b->cap * 2, b->len + more);
    cap = MAX(cap, (size_t)64);
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    int r = buf_reserve(b, len);
    if (r < 0)
        return r;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

int buf_append_u64le(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];
    put_u64le(bytes, v);
    return buf_append(b, bytes, sizeof(bytes));
}

struct blob *blob_new(size_t len)
{
    if (len > SIZE_MAX - sizeof(struct blob))
        return NULL;
    struct blob *b = malloc(sizeof(struct blob) + len);
    if (!b)
        return NULL;
    b->refs = 1;
    b->len = len;
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    b->refs++;
    return b;
}

void blob_unref(struct blob *b)
{
    if (b && --b->refs == 0)
        free(b);
}
