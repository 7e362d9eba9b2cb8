/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of common/host share: the loop (host.c), connections (host_conn.c, host_send.c),
 * listeners (host_listen.c), dialers (host_dial.c), jobs (host_job.c), addresses (host_net.c). */
#pragma once

#include "common/backoff.h"
#include "common/frame.h"
#include "common/host.h"
#include "common/outbox.h"
#include "common/util.h" /* before uv.h, which brings a MIN and MAX of its own */

#include <sys/queue.h>
#include <uv.h>

#define HOST_READ_BYTES ((size_t)256 * 1024)
#define HOST_BUCKETS    1024
#define HOST_SIGNALS    3
#define HOST_PEER_MAX   160

struct work;

/* ---- the host ---- */

enum host_phase {
    HOST_RUNNING,
    HOST_STOPPING, /* draining; the core is not called any more */
    HOST_ENDED,
};

LIST_HEAD(conn_list, conn);
TAILQ_HEAD(conn_agenda, conn);

struct host {
    uv_loop_t loop;
    uv_prepare_t turn;   /* once per turn of the loop, before it sleeps */
    uv_timer_t deadline; /* the core's */
    uv_timer_t grace;    /* of the end */
    uv_signal_t signals[HOST_SIGNALS];
    struct host_core core;
    struct log *log; /* kept */
    const struct host_hooks *hooks;
    struct host_limits limits;
    enum host_phase phase;
    int status;
    bool is_stepping;
    bool was_told;      /* to end, by a signal */
    bool is_grace_over; /* nothing is waited for any more */
    unsigned jobs;      /* not yet back */
    LIST_HEAD(, work) works;
    int reserve_fd; /* given up when there are no descriptors left */
    uint32_t last_number;
    struct conn_list conns;                 /* all, newest first */
    struct conn_agenda agenda;              /* those with something to do in this turn */
    struct conn_list buckets[HOST_BUCKETS]; /* by number */
    SLIST_HEAD(, listener) listeners;
    SLIST_HEAD(, dialer) dialers;
    uint8_t *read_buffer; /* owned, HOST_READ_BYTES: of whichever connection reads */
    uint8_t *plain;       /* owned, TLS_RECORD_MAX: of whichever connection reads or sends */
};

/* One step of the core and its effects. 0, or -errno when the core failed (the host then ends). */
int host_feed(struct host *h, struct event *event);
void host_stop(struct host *h, int status);
/* A descriptor of nothing, or -1. */
int host_reserve_fd(void);
/* The core cannot go on: ends with the exit status for `r`. */
void host_fail(struct host *h, int r);
/* Runs what is due and returns: for tests with several hosts in one thread. False once ended. */
bool host_turn(struct host *h);
void host_run_job(struct host *h, struct job *job /* taken */);
/* Those that have not begun. */
void host_cancel_jobs(struct host *h);

/* ---- connections ---- */

enum conn_state {
    CONN_CONNECTING, /* TCP or AF_UNIX */
    CONN_HANDSHAKE,  /* TLS */
    CONN_OPEN,       /* the core knows it */
    CONN_CLOSING,    /* what was sent still leaves; nothing is heard */
    CONN_GONE,       /* handles are being closed */
};

/* The sending half of a connection: one write at a time. */
struct conn_out {
    struct outbox queue;
    uv_write_t write;
    bool is_writing;
    size_t in_flight;  /* bytes of the queue that the write holds (AF_UNIX) */
    struct buf cipher; /* what the write holds (TLS) */
    bool has_said_bye; /* close_notify */
    bool has_shut;     /* FIN */
    uv_shutdown_t shut;
};

struct conn {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_timer_t timer; /* connecting and handshake, then lingering */
    struct host *host;
    struct listener *listener; /* who accepted it, or NULL */
    struct dialer *dialer;     /* who dialled it and has not been told of its end, or NULL */
    LIST_ENTRY(conn) all;
    LIST_ENTRY(conn) bucket;
    TAILQ_ENTRY(conn) due;
    enum conn_state state;
    bool is_due;    /* on the agenda */
    bool must_tell; /* EVENT_CLOSED is owed to the core */
    int open_handles;
    uint32_t number; /* > 0 once it was open */
    uint64_t opened_ms;
    struct tls *tls; /* owned; NULL for AF_UNIX */
    struct frame_decoder decoder;
    struct conn_out out;
    uv_connect_t connect;
    enum role role;
    char site[SITE_NAME_MAX + 1];
    char address[HOST_PEER_MAX]; /* for sentences */
};

/* A connection without a socket yet; the handles are initialised. NULL if there is no memory. */
struct conn *conn_new(struct host *h, bool is_tcp) must_check;
struct conn *conn_find(struct host *h, uint32_t number);
/* The socket is connected: begins TLS, or opens at once when `tls` is NULL. */
void conn_start(struct conn *c, struct tls *tls /* taken */);
/* Orderly: what was sent leaves, then the end is told. The core hears EVENT_CLOSED in this turn. */
void conn_close(struct conn *c, enum note_level level, const char *reason);
/* At once. The sentence is logged. */
void conn_drop(struct conn *c, enum note_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Dropped unless something happens within this time (CONNECTING, HANDSHAKE, CLOSING). */
void conn_limit_time(struct conn *c, uint64_t ms);
/* Has something to do before the loop sleeps. */
void conn_remember(struct conn *c);
/* Does it: EVENT_CLOSED, sending. */
void conn_attend(struct conn *c);
/* Orderly end, second half: nothing more can be sent or is heard. */
void conn_end(struct conn *c);

/* Takes `body`. */
void conn_send(struct conn *c, uint16_t type, struct blob *body, bool is_secret);
/* Writes as much as may be in flight. */
void conn_pump(struct conn *c);

/* Bytes that wait for the network. */
size_t conn_waiting(const struct conn *c);

/* ---- listeners and dialers ---- */

/* Whose connections: TLS over TCP from certificates of a role, or AF_UNIX from known users. */
struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct host *host;
    SLIST_ENTRY(listener) next;
    bool is_open; /* not being closed; freed with its last connection */
    bool is_handle_closed;
    struct tls_context *tls;      /* kept; NULL for AF_UNIX */
    enum role role;               /* of the peers */
    char site[SITE_NAME_MAX + 1]; /* of the peers (AF_UNIX) */
    char address[HOST_PEER_MAX];
    uint32_t *uids; /* owned; besides root and the own one */
    size_t n_uids;
    unsigned connections;
    unsigned handshakes;
    struct quiet {
        uint64_t since_ms;
        unsigned lines;
        unsigned dropped;
    } quiet; /* refusals logged in this window: a flood is not one of lines */
};

void listener_close(struct listener *l);
/* A connection of it has proven its identity. */
void listener_conn_opened(struct listener *l);
/* A connection of it is gone; the listener may be freed. */
void listener_conn_gone(struct listener *l, bool was_open);
/* May a refusal be logged now? */
bool listener_may_log(struct listener *l);

/* Keeps one connection up. */
struct dialer {
    uv_timer_t timer; /* back-off */
    uv_getaddrinfo_t lookup;
    bool is_looking_up;
    bool is_open; /* not being closed */
    bool is_timer_closed;
    struct host *host;
    SLIST_ENTRY(dialer) next;
    struct tls_context *tls;      /* kept; NULL for AF_UNIX */
    enum role role;               /* of the far end */
    char site[SITE_NAME_MAX + 1]; /* "" for any (TLS) */
    char address[HOST_PEER_MAX];
    struct conn *conn; /* NULL between attempts */
    struct backoff backoff;
    char reason[256]; /* of the last failure: said once */
};

void dialer_close(struct dialer *d);
/* Its connection is gone; `lived_ms`: since it was open, 0 if it never was. True if the reason is
 * another than last time. */
bool dialer_conn_gone(struct dialer *d, uint64_t lived_ms, const char *reason);

/* ---- addresses ---- */

#define NET_HOST_MAX 256
#define NET_PORT_MAX 8

/* Splits "host:port" or "[v6]:port"; -EINVAL with a sentence. */
int net_split(const char *address, char host[NET_HOST_MAX], char port[NET_PORT_MAX],
    struct err *e) must_check;
/* Resolves at once (blocking for names), for listening. */
int net_resolve(const char *address, struct sockaddr_storage *out, struct err *e) must_check;
/* True if `host` is a numeric address. */
bool net_is_numeric(const char *host, const char *port, struct sockaddr_storage *out);
void net_format(const struct sockaddr_storage *address, char out[HOST_PEER_MAX]);
/* No delay, keepalive, TCP_USER_TIMEOUT. */
void net_tune(uv_tcp_t *tcp, uint64_t silent_ms);
/* Uid at the other end of an AF_UNIX connection; -errno. */
int net_peer_uid(const uv_pipe_t *pipe, uint32_t *uid) must_check;
