/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one connection: connecting, handshake, open, closing, gone. What is heard on it. */
#include "common/host_internal.h"
#include "common/secret.h"
#include "common/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define REASON_MAX 512

/* "client bob at 10.0.0.5:7000", or the address alone before the identity is proven. */
struct name {
    char text[HOST_PEER_MAX + 2 * SITE_NAME_MAX];
};

static struct name name_of(const struct conn *c)
{
    struct name n;
    if (c->number > 0)
        snprintf(n.text, sizeof(n.text), "%s%s%s at %s", role_name(c->role), c->site[0] ? " " : "",
            c->site, c->address);
    else
        snprintf(n.text, sizeof(n.text), "%s", c->address);
    return n;
}

/* ---- the agenda ---- */

void conn_remember(struct conn *c)
{
    if (c->is_due)
        return;
    c->is_due = true;
    TAILQ_INSERT_TAIL(&c->host->agenda, c, due);
}

static void conn_free(struct conn *c)
{
    LIST_REMOVE(c, all);
    if (c->listener)
        listener_conn_gone(c->listener, c->number > 0);
    frame_decoder_deinit(&c->decoder);
    outbox_deinit(&c->out.queue);
    buf_deinit(&c->out.cipher);
    tls_free(c->tls);
    free(c);
}

void conn_attend(struct conn *c)
{
    if (c->must_tell) {
        c->must_tell = false;
        struct event closed = {.kind = EVENT_CLOSED, .conn = c->number};
        (void)host_feed(c->host, &closed);
    }
    if (c->state != CONN_GONE)
        conn_pump(c);
    else if (c->open_handles == 0 && !c->is_due)
        conn_free(c);
}

/* ---- from the beginning ... ---- */

struct conn *conn_new(struct host *h, bool is_tcp)
{
    struct conn *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    if (is_tcp)
        uv_tcp_init(&h->loop, &c->tcp);
    else
        uv_pipe_init(&h->loop, &c->pipe, 0);
    uv_timer_init(&h->loop, &c->timer);
    c->handle.data = c->timer.data = c;
    c->out.write.data = c->out.shut.data = c->connect.data = c;
    c->open_handles = 2;
    c->host = h;
    LIST_INSERT_HEAD(&h->conns, c, all);
    return c;
}

static struct conn_list *bucket_of(struct host *h, uint32_t number)
{
    return &h->buckets[number % HOST_BUCKETS];
}

struct conn *conn_find(struct host *h, uint32_t number)
{
    struct conn *c;
    LIST_FOREACH(c, bucket_of(h, number), bucket)
    if (c->number == number)
        return c;
    return NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct conn *c = timer->data;
    uint64_t seconds = c->host->limits.handshake_ms / 1000;
    if (c->state == CONN_CONNECTING)
        conn_drop(c, NOTE_WARNING, "no answer within %d s", (int)seconds);
    else if (c->state == CONN_HANDSHAKE)
        conn_drop(c, NOTE_WARNING, "proved no identity within %d s", (int)seconds);
    else if (conn_waiting(c) > 0)
        conn_drop(c, NOTE_WARNING, "did not take the last %zu bytes", conn_waiting(c));
    else
        conn_drop(c, NOTE_DEBUG, "closed");
}

void conn_limit_time(struct conn *c, uint64_t ms)
{
    uv_timer_start(&c->timer, on_timer, ms, 0);
}

/* Key material travels on the connections of a site's own machine and between KMEs. */
static bool carries_keys(const struct conn *c)
{
    return !c->tls || c->role == ROLE_KME || c->role == ROLE_QKDSIM;
}

/* The identity is proven: the core hears of the connection. */
static void conn_open(struct conn *c)
{
    struct host *h = c->host;
    if (c->tls) {
        c->role = tls_peer_role(c->tls);
        snprintf(c->site, sizeof(c->site), "%s", tls_peer_site(c->tls));
    }
    uv_timer_stop(&c->timer);
    c->state = CONN_OPEN;
    c->number = ++h->last_number;
    c->opened_ms = host_now_ms(h);
    LIST_INSERT_HEAD(bucket_of(h, c->number), c, bucket);
    frame_decoder_init(
        &c->decoder, c->listener ? FRAME_FIRST_LIMIT : FRAME_FIRST_LIMIT_CALLED, carries_keys(c));
    if (c->listener)
        listener_conn_opened(c->listener);
    log_write(h->log, NOTE_INFO, "%s: connected%s%s", name_of(c).text,
        c->tls ? ", key exchange " : "", c->tls ? tls_group(c->tls) : "");
    struct event opened = {.kind = EVENT_OPENED, .conn = c->number};
    opened.opened.role = c->role;
    opened.opened.site = c->site;
    (void)host_feed(h, &opened);
}

/* ---- ... to the end ---- */

/* The dialer wants to know, and whether the reason is worth a line depends on it or the listener. */
static void log_end(struct conn *c, enum note_level level, const char *reason)
{
    struct host *h = c->host;
    if (c->dialer) {
        uint64_t lived_ms = c->number > 0 ? MAX(host_now_ms(h) - c->opened_ms, (uint64_t)1) : 0;
        bool is_news = dialer_conn_gone(c->dialer, lived_ms, reason);
        c->dialer = NULL;
        if (!is_news)
            level = NOTE_DEBUG;
    }
    if (c->listener && c->number == 0 && !listener_may_log(c->listener))
        return;
    log_write(h->log, level, "%s: %s", name_of(c).text, reason);
}

/* An open connection leaves the core's world. */
static void leave(struct conn *c)
{
    LIST_REMOVE(c, bucket);
    c->must_tell = c->host->phase == HOST_RUNNING;
    conn_remember(c);
}

void conn_close(struct conn *c, enum note_level level, const char *reason)
{
    if (c->state != CONN_OPEN)
        return;
    log_end(c, level, reason);
    leave(c);
    c->state = CONN_CLOSING;
    conn_limit_time(c, c->host->limits.linger_ms);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    c->open_handles--;
    if (c->open_handles == 0 && !c->is_due)
        conn_free(c);
}

/* The alert that says why, if it fits into the socket's buffer. */
static void say_last_words(struct conn *c)
{
    if (!c->tls || c->out.is_writing || tls_pending(c->tls) == 0 || c->state == CONN_CONNECTING)
        return;
    tls_take(c->tls, &c->out.cipher);
    uv_buf_t b = uv_buf_init((char *)c->out.cipher.data, (unsigned)c->out.cipher.len);
    (void)uv_try_write(&c->stream, &b, 1);
    c->out.cipher.len = 0;
}

void conn_end(struct conn *c)
{
    if (c->state == CONN_GONE)
        return;
    if (c->state == CONN_OPEN)
        leave(c);
    say_last_words(c);
    c->state = CONN_GONE;
    uv_close(&c->handle, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
}

void conn_drop(struct conn *c, enum note_level level, const char *format, ...)
{
    if (c->state == CONN_GONE)
        return;
    char reason[REASON_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    log_end(c, level, reason);
    conn_end(c);
}

/* ---- hearing ---- */

static void refuse_frame(struct conn *c, int r)
{
    if (r == FRAME_E_LONG)
        conn_drop(
            c, NOTE_WARNING, "sent a frame longer than the %zu bytes allowed", c->decoder.limit);
    else if (r == FRAME_E_SHORT)
        conn_drop(c, NOTE_WARNING, "sent bytes that are no frame");
    else
        conn_drop(c, NOTE_ALARM, "no memory for its frame");
}

static void feed_frame(struct conn *c, const struct frame *frame)
{
    struct event event = {.kind = EVENT_FRAME, .conn = c->number};
    event.frame.type = frame->type;
    event.frame.body = frame->body;
    event.frame.len = frame->len;
    (void)host_feed(c->host, &event);
    frame_done(&c->decoder);
}

/* Plaintext: frames for the core, until it closes the connection. */
static void hear_plain(struct conn *c, uint8_t *data, size_t len)
{
    while (c->state == CONN_OPEN) {
        struct frame frame;
        size_t used = 0;
        int r = frame_decode(&c->decoder, data, len, &used, &frame);
        data += used;
        len -= used;
        if (r == FRAME_MORE)
            return;
        if (r == 0)
            feed_frame(c, &frame);
        else
            refuse_frame(c, r);
    }
    if (c->decoder.wipe)
        secret_wipe(data, len);
}

/* Where plaintext is best put: into the frame that is being collected. */
static size_t space_for_plain(const struct conn *c, uint8_t **out)
{
    size_t n = frame_space(&c->decoder, out);
    if (n >= TLS_RECORD_MAX)
        return n;
    *out = c->host->plain;
    return TLS_RECORD_MAX;
}

static void hear_cipher(struct conn *c, const uint8_t *data, size_t len)
{
    struct err e = {""};
    bool was_open = tls_is_open(c->tls);
    int n = tls_receive(c->tls, data, len, &e);
    if (n == 0 && !was_open && tls_is_open(c->tls))
        conn_open(c);
    while (n >= 0 && c->state == CONN_OPEN) {
        uint8_t *plain;
        size_t space = space_for_plain(c, &plain);
        n = tls_read(c->tls, plain, space, &e);
        if (n <= 0)
            break;
        hear_plain(c, plain, (size_t)n);
    }
    if (n == -EPIPE)
        conn_drop(c, NOTE_INFO, "closed by the peer");
    else if (n < 0)
        conn_drop(c, NOTE_WARNING, "%s", e.text);
    else if (tls_pending(c->tls) > 0)
        conn_remember(c); /* the handshake goes on */
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct conn *c = handle->data;
    uint8_t *space = NULL;
    size_t n = c->tls || c->state != CONN_OPEN ? 0 : frame_space(&c->decoder, &space);
    bool is_large = n >= TLS_RECORD_MAX;
    *out = uv_buf_init((char *)(is_large ? space : c->host->read_buffer),
        (unsigned)(is_large ? MIN(n, (size_t)1 << 30) : HOST_READ_BYTES));
}

static void hear_end(struct conn *c, ssize_t error)
{
    if (c->state == CONN_CLOSING)
        conn_end(c); /* the peer has heard it all and closes too */
    else if (error != UV_EOF)
        conn_drop(c, NOTE_WARNING, "lost: %s", uv_strerror((int)error));
    else if (c->state == CONN_HANDSHAKE)
        conn_drop(c, NOTE_WARNING, "closed by the peer before it proved its identity");
    else
        conn_drop(c, NOTE_INFO, "closed by the peer");
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *data)
{
    struct conn *c = stream->data;
    if (n < 0)
        hear_end(c, n);
    else if (n > 0 && c->state == CONN_CLOSING)
        secret_wipe(data->base, (size_t)n); /* too late to be heard */
    else if (n > 0 && c->tls)
        hear_cipher(c, (const uint8_t *)data->base, (size_t)n);
    else if (n > 0)
        hear_plain(c, (uint8_t *)data->base, (size_t)n);
}

void conn_start(struct conn *c, struct tls *tls)
{
    c->tls = tls;
    c->state = CONN_HANDSHAKE;
    int r = uv_read_start(&c->stream, on_alloc, on_read);
    if (r < 0) {
        conn_drop(c, NOTE_WARNING, "cannot be read: %s", uv_strerror(r));
        return;
    }
    if (tls) {
        conn_limit_time(c, c->host->limits.handshake_ms);
        conn_remember(c);
    } else {
        conn_open(c);
    }
}
