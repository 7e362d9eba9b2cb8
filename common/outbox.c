/* SPDX-License-Identifier: Apache-2.0 */
#include "common/outbox.h"

#include "common/secret.h"
#include "common/util.h"

#include <assert.h>
#include <errno.h>

struct outbox_item {
    struct outbox_item *next;
    struct blob *body; /* one reference; NULL when empty */
    bool is_secret;
    uint8_t header[FRAME_HEADER_BYTES];
};

/* Drops a reference; nobody else will need the bytes of a secret one. */
static void drop_body(struct blob *body, bool is_secret)
{
    if (body && is_secret && body->refs == 1)
        secret_wipe(body->data, body->len);
    blob_unref(body);
}

static size_t item_len(const struct outbox_item *item)
{
    return FRAME_HEADER_BYTES + (item->body ? item->body->len : 0);
}

static void pop(struct outbox *o)
{
    struct outbox_item *item = o->first;
    o->first = item->next;
    if (!o->first)
        o->last = NULL;
    o->sent = 0;
    drop_body(item->body, item->is_secret);
    free(item);
}

void outbox_deinit(struct outbox *o)
{
    while (o->first)
        pop(o);
    o->bytes = 0;
}

int outbox_push(struct outbox *o, uint16_t type, struct blob *body, bool is_secret)
{
    bool is_long = body && body->len > FRAME_BODY_MAX;
    struct outbox_item *item = is_long ? NULL : calloc(1, sizeof(*item));
    if (!item) {
        drop_body(body, is_secret);
        return is_long ? -EMSGSIZE : -ENOMEM;
    }
    frame_header_write(item->header, type, body ? body->len : 0);
    item->body = body;
    item->is_secret = is_secret;
    if (o->last)
        o->last->next = item;
    else
        o->first = item;
    o->last = item;
    o->bytes += item_len(item);
    return 0;
}

/* Appends the part of one item from byte `from` on; returns the pieces used. */
static size_t peek_item(
    const struct outbox_item *item, size_t from, struct iovec *pieces, size_t max)
{
    size_t n = 0;
    if (from < FRAME_HEADER_BYTES && n < max) {
        pieces[n++] = (struct iovec){(uint8_t *)item->header + from, FRAME_HEADER_BYTES - from};
        from = FRAME_HEADER_BYTES;
    }
    size_t at = from - FRAME_HEADER_BYTES;
    if (item->body && at < item->body->len && n < max && from >= FRAME_HEADER_BYTES)
        pieces[n++] = (struct iovec){item->body->data + at, item->body->len - at};
    return n;
}

size_t outbox_peek(const struct outbox *o, struct iovec *pieces, size_t max)
{
    size_t n = 0;
    size_t from = o->sent;
    for (const struct outbox_item *item = o->first; item && n < max; item = item->next) {
        n += peek_item(item, from, pieces + n, max - n);
        from = 0;
    }
    return n;
}

bool outbox_is_secret(const struct outbox *o, size_t len)
{
    size_t seen = 0;
    size_t from = o->sent;
    for (const struct outbox_item *item = o->first; item && seen < len; item = item->next) {
        if (item->is_secret)
            return true;
        seen += item_len(item) - from;
        from = 0;
    }
    return false;
}

void outbox_advance(struct outbox *o, size_t len)
{
    assert(len <= o->bytes);
    o->bytes -= len;
    while (len > 0) {
        size_t left = item_len(o->first) - o->sent;
        if (len < left) {
            o->sent += len;
            return;
        }
        len -= left;
        pop(o);
    }
}
