/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners: who may connect, and how many. */
#include "common/host_internal.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#define LISTEN_BACKLOG 512
/* Refusals logged per window; the next window says how many more there were. */
#define QUIET_LINES 20
#define QUIET_MS    10000

/* ---- life ---- */

static void free_if_unused(struct listener *l)
{
    if (l->is_open || l->connections > 0 || !l->is_handle_closed)
        return;
    free(l->uids);
    free(l);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    l->is_handle_closed = true;
    free_if_unused(l);
}

void listener_close(struct listener *l)
{
    l->is_open = false;
    uv_close(&l->handle, on_closed);
}

void listener_conn_opened(struct listener *l)
{
    l->handshakes--;
}

void listener_conn_gone(struct listener *l, bool was_open)
{
    l->connections--;
    if (!was_open)
        l->handshakes--;
    free_if_unused(l);
}

bool listener_may_log(struct listener *l)
{
    struct quiet *q = &l->quiet;
    uint64_t now = host_now_ms(l->host);
    if (now - q->since_ms >= QUIET_MS) {
        if (q->dropped > 0)
            log_write(l->host->log, NOTE_WARNING, "%s: %u more refusals", l->address, q->dropped);
        *q = (struct quiet){.since_ms = now};
    }
    if (q->lines < QUIET_LINES) {
        q->lines++;
        return true;
    }
    q->dropped++;
    return false;
}

/* ---- accepting ---- */

/* Room for a new one: whoever has been silent longest makes it. False if there is nobody. */
static bool drop_oldest_handshake(struct listener *l)
{
    struct conn *oldest = NULL;
    struct conn *c;
    LIST_FOREACH(c, &l->host->conns, all)
    {
        if (c->listener == l && c->state == CONN_HANDSHAKE)
            oldest = c;
    }
    if (oldest)
        conn_drop(oldest, NOTE_WARNING, "made room for others: proved no identity in time");
    return oldest != NULL;
}

/* No descriptor for a connection that waits. libuv would ask again for ever: it gets one by which the
 * connection can be accepted, and refused (see begin). */
static void find_descriptor(struct listener *l)
{
    struct host *h = l->host;
    if (h->reserve_fd >= 0) {
        close(h->reserve_fd);
        h->reserve_fd = -1;
    } else if (!drop_oldest_handshake(l)) {
        log_write(h->log, NOTE_ALARM, "ends: out of descriptors at %s", l->address);
        host_stop(h, EX_OSERR);
    }
}

static bool is_user_allowed(const struct listener *l, uint32_t uid)
{
    if (uid == 0 || uid == geteuid())
        return true;
    for (size_t i = 0; i < l->n_uids; i++)
        if (l->uids[i] == uid)
            return true;
    return false;
}

static void begin_unix(struct listener *l, struct conn *c)
{
    uint32_t uid = UINT32_MAX;
    int r = net_peer_uid(&c->pipe, &uid);
    snprintf(c->address, sizeof(c->address), "%.100s (uid %u)", l->address, uid);
    if (r < 0 || !is_user_allowed(l, uid)) {
        conn_drop(c, NOTE_WARNING, "this user may not connect");
        return;
    }
    c->role = l->role;
    snprintf(c->site, sizeof(c->site), "%s", l->site);
    conn_start(c, NULL);
}

static void begin_tls(struct listener *l, struct conn *c)
{
    struct sockaddr_storage peer = {0};
    int len = sizeof(peer);
    (void)uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &len);
    net_format(&peer, c->address);
    net_tune(&c->tcp, l->host->limits.silent_ms);
    if (l->handshakes > l->host->limits.handshakes)
        drop_oldest_handshake(l);
    struct tls *tls;
    if (tls_new(&tls, l->tls, true, l->role, NULL) < 0)
        conn_drop(c, NOTE_ALARM, "no memory for TLS");
    else
        conn_start(c, tls);
}

/* Any reason against it comes before its first byte. */
static void begin(struct listener *l, struct conn *c)
{
    struct host *h = l->host;
    if (h->reserve_fd < 0) {
        conn_drop(c, NOTE_ALARM, "refused: out of descriptors");
        h->reserve_fd = host_reserve_fd();
    } else if (l->connections > h->limits.connections) {
        conn_drop(c, NOTE_WARNING, "refused: there are %u connections already", l->connections - 1);
    } else if (l->tls) {
        begin_tls(l, c);
    } else {
        begin_unix(l, c);
    }
}

static void accept_failed(struct listener *l, int r)
{
    if (listener_may_log(l))
        log_write(
            l->host->log, NOTE_ALARM, "%s: a connection is lost: %s", l->address, uv_strerror(r));
    if (r == UV_EMFILE || r == UV_ENFILE)
        find_descriptor(l);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct listener *l = server->data;
    struct conn *c = status < 0 ? NULL : conn_new(l->host, l->tls != NULL);
    if (!c) {
        accept_failed(l, status < 0 ? status : UV_ENOMEM);
        return;
    }
    c->listener = l;
    l->connections++;
    l->handshakes++;
    snprintf(c->address, sizeof(c->address), "%s", l->address);
    int r = uv_accept(server, &c->stream);
    if (r < 0)
        conn_drop(c, NOTE_WARNING, "not accepted: %s", uv_strerror(r));
    else
        begin(l, c);
}

/* ---- listening ---- */

static struct listener *listener_new(struct host *h, const char *address, enum role role)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->host = h;
    l->role = role;
    l->handle.data = l;
    snprintf(l->address, sizeof(l->address), "%s", address);
    return l;
}

static int listen_fail(struct listener *l, int r, struct err *e)
{
    switch (r) {
    case -EADDRINUSE:
        err_set(
            e, r, "%s: in use by another program; stop it or choose another address", l->address);
        break;
    case -EADDRNOTAVAIL:
        err_set(e, r, "%s: not an address of this machine", l->address);
        break;
    default:
        err_set(e, r, "%s: cannot be listened on: %s", l->address, uv_strerror(r));
        break;
    }
    listener_close(l);
    return r;
}

static int begin_listening(struct listener *l, int r, struct err *e)
{
    if (r == 0)
        r = uv_listen(&l->stream, LISTEN_BACKLOG, on_connection);
    if (r < 0)
        return listen_fail(l, r, e);
    l->is_open = true;
    SLIST_INSERT_HEAD(&l->host->listeners, l, next);
    return 0;
}

int host_listen_tls(
    struct host *h, const char *address, enum role role, struct tls_context *tls, struct err *e)
{
    struct sockaddr_storage where;
    int r = net_resolve(address, &where, e);
    if (r < 0)
        return r;
    struct listener *l = listener_new(h, address, role);
    if (!l)
        return err_set(e, -ENOMEM, "%s: out of memory", address);
    l->tls = tls;
    uv_tcp_init(&h->loop, &l->tcp);
    l->handle.data = l;
    return begin_listening(l, uv_tcp_bind(&l->tcp, (struct sockaddr *)&where, 0), e);
}

uint16_t host_port(const struct host *h)
{
    const struct listener *l;
    SLIST_FOREACH(l, &h->listeners, next)
    {
        struct sockaddr_storage where;
        int len = sizeof(where);
        if (l->tls && uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&where, &len) == 0)
            return ntohs(((struct sockaddr_in *)&where)->sin_port); /* same place in IPv6 */
    }
    return 0;
}

/* Does anybody answer on the socket? */
static bool is_answered(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return true; /* cannot know: leave it alone */
    bool answered =
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno != ECONNREFUSED;
    close(fd);
    return answered;
}

/* libuv calls a missing folder "permission denied". */
static int check_folder(const char *path, struct err *e)
{
    struct stat st;
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash || slash == folder)
        return 0;
    *slash = '\0';
    if (stat(folder, &st) < 0 && errno == ENOENT)
        return err_set(e, -ENOENT, "%s: its folder does not exist; create it", path);
    return 0;
}

/* Removes a socket whose process is dead; anything else in the place is left alone. */
static int clear_path(const char *path, struct err *e)
{
    struct stat st;
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return err_set(e, -ENAMETOOLONG, "%s: longer than a socket's path may be", path);
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? check_folder(path, e)
                               : err_set(e, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, -EEXIST, "%s: is there and no socket; remove it", path);
    if (is_answered(path))
        return err_set(e, -EADDRINUSE,
            "%s: in use by another program; stop it or choose another address", path);
    if (unlink(path) < 0)
        return err_set(
            e, -errno, "%s: a dead process' socket cannot be removed: %s", path, strerror(errno));
    return 0;
}

int host_listen_unix(struct host *h, const char *path, enum role role, const char *site,
    const uint32_t *uids, size_t n_uids, struct err *e)
{
    int r = clear_path(path, e);
    if (r < 0)
        return r;
    struct listener *l = listener_new(h, path, role);
    uint32_t *copy = calloc(n_uids + 1, sizeof(*copy));
    if (!l || !copy) {
        free(l);
        free(copy);
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    }
    if (n_uids > 0)
        memcpy(copy, uids, n_uids * sizeof(*copy));
    l->uids = copy;
    l->n_uids = n_uids;
    snprintf(l->site, sizeof(l->site), "%s", site);
    uv_pipe_init(&h->loop, &l->pipe, 0);
    l->handle.data = l;
    /* The mode is right from the first moment on. */
    mode_t mask = umask(n_uids > 0 ? 0117 : 0177);
    r = uv_pipe_bind(&l->pipe, path);
    umask(mask);
    return begin_listening(l, r, e);
}
