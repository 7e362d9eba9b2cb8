/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.3 with mutual authentication, as a filter over memory BIOs: bytes in, bytes out, no socket.
 *
 * Identity is the URI in the certificate's subjectAltName: qfl://<federation>/<role>/<site>. No
 * tickets, no 0-RTT, no renegotiation. Errors say what is wrong with whose certificate.
 */
#pragma once

#include "common/machine.h"

struct tls_context;

struct tls_files {
    const char *certificate; /* PEM, leaf first */
    const char *key;         /* PEM, refused if group or others may read it */
    const char *ca;          /* PEM */
    const char *federation;
    enum role role;   /* the role this process must hold a certificate for */
    const char *site; /* its site */
};

/* Reads and checks the files: key matches, not expired, names this role and site. */
int tls_context_new(
    struct tls_context **out, const struct tls_files *files, struct err *e) must_check;
/* Re-reads the same files (SIGHUP); on error the old ones stay. */
int tls_context_reload(struct tls_context *t, struct err *e) must_check;
void tls_context_free(struct tls_context *t);

struct tls;

/* One connection. `expect_role` and `expect_site` (NULL: any) of the peer. */
int tls_new(struct tls **out, struct tls_context *t, bool is_server, enum role expect_role,
    const char *expect_site) must_check;
void tls_free(struct tls *t);

/* Ciphertext from the network. -EPROTO with a sentence when the peer is refused. */
int tls_receive(struct tls *t, const uint8_t *data, size_t len, struct err *e) must_check;
/* True once the peer is authenticated. */
bool tls_is_open(const struct tls *t);
const char *tls_peer_site(const struct tls *t);
enum role tls_peer_role(const struct tls *t);
/* Plaintext for the application: bytes read, 0 when there is none now, -EPROTO, -EPIPE when the peer
 * has closed. */
int tls_read(struct tls *t, uint8_t *out, size_t len, struct err *e) must_check;
/* Plaintext to the peer; all of it is taken. */
int tls_write(struct tls *t, const uint8_t *data, size_t len, struct err *e) must_check;
/* Ciphertext for the network: points into the filter; call tls_sent with what was sent. */
size_t tls_pending(struct tls *t, const uint8_t **data);
void tls_sent(struct tls *t, size_t len);
/* Orderly close_notify. */
void tls_shutdown(struct tls *t);
