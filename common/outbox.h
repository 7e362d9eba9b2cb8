/* SPDX-License-Identifier: Apache-2.0 */
/* Frames waiting to be sent on one connection, as a stream of bytes that are taken from its head.
 *
 * Sans-I/O. Bodies are shared blobs: one sent to a hundred connections is in memory once. A secret
 * body is wiped when the last of its owners has sent it.
 */
#pragma once

#include "common/buf.h"
#include "common/frame.h"

#include <sys/uio.h>

struct outbox_item;

struct outbox {
    struct outbox_item *first; /* owned */
    struct outbox_item *last;
    size_t bytes; /* not yet advanced over, headers included */
    size_t sent;  /* of the first item */
};

/* Drops everything. */
void outbox_deinit(struct outbox *o);
/* `body` is taken, also on error; NULL for an empty one. -ENOMEM, -EMSGSIZE. */
int outbox_push(struct outbox *o, uint16_t type, struct blob *body, bool is_secret) must_check;
/* The first bytes, as at most `max` pieces; returns how many pieces. Valid until the next advance. */
size_t outbox_peek(const struct outbox *o, struct iovec *pieces, size_t max);
/* True if one of the first `len` bytes is of a secret body. */
bool outbox_is_secret(const struct outbox *o, size_t len);
/* The first `len` bytes are sent. */
void outbox_advance(struct outbox *o, size_t len);
