/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one core (common/machine.h) on libuv: the only place where daemons touch sockets and time.
 *
 * A host owns the loop, one timer armed with the core's deadline, listeners and dialers, and one
 * object per connection {handle, TLS filter or none, frame decoder, outbox}. Accepted and dialled
 * connections become EVENT_OPENED with the role and site proven by the transport, frames EVENT_FRAME,
 * and so on. Effects are carried out in order; what they cause (EVENT_CLOSED) comes with a later step,
 * the core is never called from within its own step. Sending is done once per turn of the loop.
 *
 * Dialers redial for ever with exponential back-off and jitter (100 ms to 5 s). TCP connections get
 * keepalive and TCP_USER_TIMEOUT (10 s); a peer that has not finished its TLS handshake in 5 s is
 * dropped; caps on connections per listener; frames are at most FRAME_FIRST_LIMIT bytes long
 * (from a peer that was dialled FRAME_FIRST_LIMIT_CALLED) until the core raises the limit (EFFECT_LIMIT). A peer that does not read: the connection is dropped with
 * a reason when HOST_QUEUE_MAX bytes wait for it. An EFFECT_CLOSE is followed by EVENT_CLOSED at once;
 * what was sent before still leaves, for as long as the peer reads.
 */
#pragma once

#include "common/log.h"
#include "common/machine.h"
#include "common/tls.h"

struct host;

struct host_core {
    void *core;
    int (*step)(void *core, const struct event *event, struct update *update);
    uint64_t (*deadline_ms)(const void *core);
};

#define HOST_QUEUE_MAX ((size_t)64 * 1024 * 1024)

/* Limits; host_limits_default() has the figures above. */
struct host_limits {
    uint64_t handshake_ms;  /* to prove an identity */
    uint64_t linger_ms;     /* a closing connection may go without progress */
    uint64_t drain_ms;      /* the whole end of host_run */
    uint64_t redial_min_ms; /* back-off of dialers */
    uint64_t redial_max_ms; /* a connection that lived this long was a success */
    uint64_t silent_ms;     /* TCP: unacknowledged for so long is dead */
    size_t queue_bytes;     /* waiting for one connection */
    unsigned connections;   /* per listener */
    unsigned handshakes;    /* of them, not yet authenticated: the oldest makes room */
};
struct host_limits host_limits_default(void);

/* NULL with a sentence on error. `log` is kept until free. */
struct host *host_new(const struct host_core *core, struct log *log, struct err *e) must_check;
/* Closes everything; asserts that the loop closes cleanly. Waits for jobs that are running. Safe on
 * NULL. */
void host_free(struct host *h);
/* Before listening and dialling. */
void host_set_limits(struct host *h, const struct host_limits *limits);

/* TCP + TLS 1.3 with mutual authentication. Accepts certificates of `role` of the federation only.
 * "address:port" ("[v6]:port", "*:port"). The TLS context is kept until free. -EADDRINUSE and the like
 * with a sentence. */
int host_listen_tls(struct host *h, const char *address, enum role role, struct tls_context *tls,
    struct err *e) must_check;
/* AF_UNIX, mode 0600, or 0660 when other `uids` are given (the group lets them reach it); connections
 * of other uids than these (and root, and the own one) are refused by SO_PEERCRED. The peers' role is
 * `role`, their site the string given. A socket left by a dead process is replaced. */
int host_listen_unix(struct host *h, const char *path, enum role role, const char *site,
    const uint32_t *uids, size_t n_uids, struct err *e) must_check;

/* Keeps one connection to the address ("name:port") up. The far end must prove `role` (and `site`
 * unless NULL). */
int host_dial_tls(struct host *h, const char *address, enum role role, const char *site,
    struct tls_context *tls, struct err *e) must_check;
int host_dial_unix(
    struct host *h, const char *path, enum role role, const char *site, struct err *e) must_check;

/* Runs until EFFECT_STOP, SIGTERM or SIGINT (first one: on_term, if set, may drain by returning true;
 * a second one ends at once). SIGHUP: on_hup. `hooks` may be NULL. Returns the exit status: of
 * EFFECT_STOP, 0 after a signal, EX_DATAERR or EX_OSERR when the core failed. When a job is still
 * running at the end of the drain time, the process ends here with that status. */
struct host_hooks {
    void *arg;
    bool (*on_term)(void *arg, struct host *h);
    void (*on_hup)(void *arg, struct host *h);
};
int host_run(struct host *h, const struct host_hooks *hooks);

/* Feeds an event that the daemon itself made (an operator's command, a signal) to the core; its time
 * is filled in. Never from within a step. */
int host_inject(struct host *h, const struct event *event) must_check;
uint64_t host_now_ms(const struct host *h);
/* Of the TCP listener opened last: for tests, which listen on port 0. */
uint16_t host_port(const struct host *h);
