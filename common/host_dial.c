/* SPDX-License-Identifier: Apache-2.0 */
/* Dialers: keep one connection up, for ever. */
#include "common/host_internal.h"
#include "common/util.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/un.h>

static void dial(struct dialer *d);

/* ---- life ---- */

static void free_if_unused(struct dialer *d)
{
    if (!d->is_open && d->is_timer_closed && !d->is_looking_up)
        free(d);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct dialer *d = handle->data;
    d->is_timer_closed = true;
    free_if_unused(d);
}

void dialer_close(struct dialer *d)
{
    d->is_open = false;
    if (d->conn)
        d->conn->dialer = NULL; /* the connection ends by itself */
    if (d->is_looking_up)
        uv_cancel((uv_req_t *)&d->lookup);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

/* ---- again and again ---- */

static void on_timer(uv_timer_t *timer)
{
    dial(timer->data);
}

static uint64_t random_u64(void)
{
    uint64_t v = 0;
    if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != sizeof(v))
        v = uv_hrtime();
    return v;
}

static void dial_later(struct dialer *d)
{
    uv_timer_start(&d->timer, on_timer, backoff_next_ms(&d->backoff, random_u64()), 0);
}

/* True if the reason differs from the last one. */
static bool note_failure(struct dialer *d, const char *reason)
{
    bool is_news = strncmp(d->reason, reason, sizeof(d->reason) - 1) != 0;
    snprintf(d->reason, sizeof(d->reason), "%s", reason);
    return is_news;
}

bool dialer_conn_gone(struct dialer *d, uint64_t lived_ms, const char *reason)
{
    d->conn = NULL;
    /* A server that refuses our certificate does so after our end is open. */
    if (lived_ms >= d->backoff.max_ms) {
        backoff_reset(&d->backoff);
        d->reason[0] = '\0';
    }
    bool is_news = note_failure(d, reason);
    if (d->is_open && d->host->phase == HOST_RUNNING)
        dial_later(d);
    return is_news;
}

/* Before there was a connection. */
static void dial_failed(struct dialer *d, int error)
{
    const char *reason = uv_strerror(error);
    bool is_news = note_failure(d, reason);
    log_write(d->host->log, is_news ? NOTE_WARNING : NOTE_DEBUG, "%s: %s; trying again", d->address,
        reason);
    dial_later(d);
}

/* ---- one attempt ---- */

static void on_connect(uv_connect_t *request, int status)
{
    struct conn *c = request->data;
    const struct dialer *d = c->dialer;
    if (c->state == CONN_GONE)
        return;
    if (status < 0 || !d) {
        conn_drop(c, NOTE_WARNING, "%s; trying again", uv_strerror(status));
        return;
    }
    struct tls *tls = NULL;
    const char *site = d->site[0] ? d->site : NULL;
    if (d->tls && tls_new(&tls, d->tls, false, d->role, site) < 0) {
        conn_drop(c, NOTE_ALARM, "no memory for TLS");
        return;
    }
    if (d->tls)
        net_tune(&c->tcp, c->host->limits.silent_ms);
    conn_start(c, tls);
}

static struct conn *new_attempt(struct dialer *d)
{
    struct conn *c = conn_new(d->host, d->tls != NULL);
    if (!c) {
        dial_failed(d, UV_ENOMEM);
        return NULL;
    }
    c->dialer = d;
    d->conn = c;
    c->role = d->role;
    snprintf(c->site, sizeof(c->site), "%s", d->site);
    snprintf(c->address, sizeof(c->address), "%s", d->address);
    conn_limit_time(c, d->host->limits.handshake_ms);
    return c;
}

static void dial_address(struct dialer *d, const struct sockaddr *address)
{
    struct conn *c = new_attempt(d);
    if (!c)
        return;
    int r = uv_tcp_connect(&c->connect, &c->tcp, address, on_connect);
    if (r < 0)
        conn_drop(c, NOTE_WARNING, "%s; trying again", uv_strerror(r));
}

/* A name with several addresses: the next one at each failure. */
static const struct addrinfo *choose(const struct addrinfo *found, unsigned turn)
{
    unsigned n = 1;
    for (const struct addrinfo *a = found->ai_next; a; a = a->ai_next)
        n++;
    for (turn %= n; turn > 0; turn--)
        found = found->ai_next;
    return found;
}

static void on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct dialer *d = request->data;
    d->is_looking_up = false;
    if (!d->is_open)
        free_if_unused(d);
    else if (status < 0)
        dial_failed(d, status);
    else
        dial_address(d, choose(found, d->backoff.failures)->ai_addr);
    uv_freeaddrinfo(found);
}

static void dial_tls(struct dialer *d)
{
    char host[NET_HOST_MAX];
    char port[NET_PORT_MAX];
    struct sockaddr_storage where;
    if (net_split(d->address, host, port, NULL) < 0)
        return; /* host_dial_tls has looked at it */
    if (net_is_numeric(host, port, &where)) {
        dial_address(d, (const struct sockaddr *)&where);
        return;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int r = uv_getaddrinfo(&d->host->loop, &d->lookup, on_lookup, host, port, &hints);
    if (r < 0)
        dial_failed(d, r);
    d->is_looking_up = r == 0;
}

static void dial(struct dialer *d)
{
    if (d->tls) {
        dial_tls(d);
        return;
    }
    struct conn *c = new_attempt(d);
    if (c)
        uv_pipe_connect(&c->connect, &c->pipe, d->address, on_connect);
}

/* ---- beginning ---- */

static int begin_dialling(struct host *h, const struct dialer *settings, const char *address,
    const char *site, struct err *e)
{
    struct dialer *d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(e, -ENOMEM, "%s: out of memory", address);
    *d = *settings;
    d->host = h;
    d->is_open = true;
    d->backoff =
        (struct backoff){.min_ms = h->limits.redial_min_ms, .max_ms = h->limits.redial_max_ms};
    snprintf(d->address, sizeof(d->address), "%s", address);
    snprintf(d->site, sizeof(d->site), "%s", site ? site : "");
    uv_timer_init(&h->loop, &d->timer);
    d->timer.data = d->lookup.data = d;
    SLIST_INSERT_HEAD(&h->dialers, d, next);
    dial(d);
    return 0;
}

int host_dial_tls(struct host *h, const char *address, enum role role, const char *site,
    struct tls_context *tls, struct err *e)
{
    char host[NET_HOST_MAX];
    char port[NET_PORT_MAX];
    int r = net_split(address, host, port, e);
    if (r == 0 && strlen(address) >= HOST_PEER_MAX)
        r = err_set(e, -EINVAL, "%s: too long", address);
    const struct dialer settings = {.tls = tls, .role = role};
    return r < 0 ? r : begin_dialling(h, &settings, address, site, e);
}

int host_dial_unix(
    struct host *h, const char *path, enum role role, const char *site, struct err *e)
{
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return err_set(e, -ENAMETOOLONG, "%s: longer than a socket's path may be", path);
    const struct dialer settings = {.role = role};
    return begin_dialling(h, &settings, path, site, e);
}
