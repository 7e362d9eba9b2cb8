/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one core (common/machine.h) on libuv: the only place where daemons touch sockets and time.
 *
 * A host owns the loop, one timer armed with the core's deadline, listeners and dialers, and one
 * object per connection {handle, TLS filter or none, frame decoder}. Accepted and dialled connections
 * become EVENT_OPENED with the role and site proven by the transport, frames EVENT_FRAME, and so on.
 * Effects are carried out in order. Dialers redial for ever with exponential back-off and jitter
 * (100 ms to 5 s). TCP connections get keepalive and TCP_USER_TIMEOUT (10 s); a peer that has not
 * finished its TLS handshake in 5 s is dropped; caps on connections per listener; frames are at most
 * EXCHANGE_HELLO_MAX bytes long until the core raises the limit (EFFECT_LIMIT). A peer that does not
 * read: sending stops at HOST_QUEUE_MAX bytes queued, then the connection is dropped with a reason.
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

/* NULL with a sentence on error. `log` is kept until free. */
struct host *host_new(const struct host_core *core, struct log *log, struct err *e) must_check;
/* Closes everything; asserts that the loop closes cleanly. */
void host_free(struct host *h);

/* TCP + TLS 1.3 with mutual authentication. Accepts certificates of `role` of the federation only.
 * "address:port". The TLS context is kept until free. -EADDRINUSE and the like with a sentence. */
int host_listen_tls(struct host *h, const char *address, enum role role, struct tls_context *tls,
    struct err *e) must_check;
/* AF_UNIX, mode 0600 (or 0660 with a group); connections of other uids than `uids` (and root, and
 * the own one) are refused by SO_PEERCRED. The peers' role is `role`, their site the string given. */
int host_listen_unix(struct host *h, const char *path, enum role role, const char *site,
    const uint32_t *uids, size_t n_uids, struct err *e) must_check;

/* Keeps one connection to the address up. The far end must prove `role` (and `site` unless NULL). */
int host_dial_tls(struct host *h, const char *address, enum role role, const char *site,
    struct tls_context *tls, struct err *e) must_check;
int host_dial_unix(
    struct host *h, const char *path, enum role role, const char *site, struct err *e) must_check;

/* Runs until EFFECT_STOP, SIGTERM or SIGINT (first one: on_term, if set, may drain by returning true;
 * a second one ends at once). SIGHUP: on_hup. Returns the exit status. */
struct host_hooks {
    void *arg;
    bool (*on_term)(void *arg, struct host *h);
    void (*on_hup)(void *arg, struct host *h);
};
int host_run(struct host *h, const struct host_hooks *hooks);

/* Feeds an event that the daemon itself made (an operator's command, a signal) to the core. */
int host_inject(struct host *h, const struct event *event) must_check;
uint64_t host_now_ms(const struct host *h);

#define HOST_QUEUE_MAX ((size_t)64 * 1024 * 1024)
