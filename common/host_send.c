/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent on a connection: from the outbox through TLS, if there is any, into one write at a time,
 * so that only HOST_FLIGHT_BYTES of it exist as ciphertext. */
#include "common/host_internal.h"
#include "common/secret.h"
#include "common/util.h"

#include <errno.h>

#define HOST_FLIGHT_BYTES ((size_t)256 * 1024)
#define HOST_PIECES       64
#define HOST_KEEP_BYTES   ((size_t)32 * 1024) /* of an idle connection's buffer */

size_t conn_waiting(const struct conn *c)
{
    return c->out.queue.bytes + c->out.cipher.len;
}

void conn_send(struct conn *c, uint16_t type, struct blob *body, bool is_secret)
{
    int r = outbox_push(&c->out.queue, type, body, is_secret);
    if (r < 0)
        conn_drop(c, NOTE_ALARM, "cannot be sent to: %s", uv_strerror(r));
    else if (conn_waiting(c) > c->host->limits.queue_bytes)
        conn_drop(c, NOTE_WARNING, "does not read: %zu bytes wait for it", conn_waiting(c));
    else
        conn_remember(c);
}

/* ---- through TLS ---- */

/* Collects the next bytes of the outbox, at most one record, into the host's plaintext buffer. */
static size_t gather(struct conn *c)
{
    struct iovec pieces[HOST_PIECES];
    size_t n = outbox_peek(&c->out.queue, pieces, HOST_PIECES);
    size_t len = 0;
    for (size_t i = 0; i < n && len < TLS_RECORD_MAX; i++) {
        size_t part = MIN(pieces[i].iov_len, TLS_RECORD_MAX - len);
        memcpy(c->host->plain + len, pieces[i].iov_base, part);
        len += part;
    }
    return len;
}

static int encrypt_gathered(struct conn *c, struct err *e)
{
    size_t len = gather(c);
    int r = tls_write(c->tls, c->host->plain, len, e);
    if (outbox_is_secret(&c->out.queue, len))
        secret_wipe(c->host->plain, len);
    if (r == 0)
        outbox_advance(&c->out.queue, len);
    return r;
}

/* Whole records straight from a long body; small things together in one record. */
static int encrypt_some(struct conn *c, struct err *e)
{
    struct iovec piece;
    (void)outbox_peek(&c->out.queue, &piece, 1);
    if (piece.iov_len < TLS_RECORD_MAX)
        return encrypt_gathered(c, e);
    size_t len = MIN(piece.iov_len, HOST_FLIGHT_BYTES) / TLS_RECORD_MAX * TLS_RECORD_MAX;
    int r = tls_write(c->tls, piece.iov_base, len, e);
    if (r == 0)
        outbox_advance(&c->out.queue, len);
    return r;
}

static int encrypt(struct conn *c, struct err *e)
{
    int r = 0;
    while (r == 0 && c->out.queue.bytes > 0 && tls_is_open(c->tls) &&
           tls_pending(c->tls) < HOST_FLIGHT_BYTES)
        r = encrypt_some(c, e);
    return r;
}

/* ---- writes ---- */

static void free_idle_buffer(struct conn *c)
{
    if (c->out.queue.bytes == 0 && c->out.cipher.cap > HOST_KEEP_BYTES)
        buf_deinit(&c->out.cipher);
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *c = write->data;
    c->out.is_writing = false;
    if (c->state == CONN_GONE)
        return; /* cancelled: conn_free releases what was in flight */
    outbox_advance(&c->out.queue, c->out.in_flight);
    c->out.in_flight = 0;
    c->out.cipher.len = 0;
    free_idle_buffer(c);
    if (status < 0) {
        conn_drop(c, NOTE_WARNING, "lost: %s", uv_strerror(status));
        return;
    }
    if (c->state == CONN_CLOSING)
        conn_limit_time(c, c->host->limits.linger_ms);
    conn_remember(c);
}

static void write_pieces(struct conn *c, const uv_buf_t *pieces, unsigned n)
{
    c->out.is_writing = true;
    int r = uv_write(&c->out.write, &c->stream, pieces, n, on_written);
    if (r < 0) {
        c->out.is_writing = false;
        conn_drop(c, NOTE_WARNING, "lost: %s", uv_strerror(r));
    }
}

static void write_cipher(struct conn *c)
{
    tls_take(c->tls, &c->out.cipher);
    uv_buf_t piece = uv_buf_init((char *)c->out.cipher.data, (unsigned)c->out.cipher.len);
    write_pieces(c, &piece, 1);
}

static void write_plain(struct conn *c)
{
    struct iovec pieces[HOST_PIECES];
    uv_buf_t bufs[HOST_PIECES];
    unsigned n = (unsigned)outbox_peek(&c->out.queue, pieces, HOST_PIECES);
    for (unsigned i = 0; i < n; i++) {
        bufs[i] = uv_buf_init(pieces[i].iov_base, (unsigned)pieces[i].iov_len);
        c->out.in_flight += pieces[i].iov_len;
    }
    write_pieces(c, bufs, n);
}

/* ---- the end of a closing connection ---- */

static void on_shut(uv_shutdown_t *shut, int status)
{
    struct conn *c = shut->data;
    if (status < 0 && status != UV_ECANCELED)
        conn_end(c); /* nobody is there any more */
}

/* All is sent: say so, then wait for the peer to close, or for the timer. */
static void say_goodbye(struct conn *c)
{
    if (c->tls && !c->out.has_said_bye) {
        c->out.has_said_bye = true;
        tls_shutdown(c->tls);
        conn_pump(c);
    } else if (!c->out.has_shut) {
        c->out.has_shut = true;
        if (uv_shutdown(&c->out.shut, &c->stream, on_shut) < 0)
            conn_end(c);
    }
}

void conn_pump(struct conn *c)
{
    if (c->out.is_writing || c->state == CONN_CONNECTING || c->state == CONN_GONE)
        return;
    struct err e = {""};
    if (c->tls && encrypt(c, &e) < 0)
        conn_drop(c, NOTE_ALARM, "%s", e.text);
    else if (c->tls && tls_pending(c->tls) > 0)
        write_cipher(c);
    else if (!c->tls && c->out.queue.bytes > 0)
        write_plain(c);
    else if (c->state == CONN_CLOSING)
        say_goodbye(c);
}
