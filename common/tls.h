/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.3 with mutual authentication, as a filter: bytes in, bytes out, no socket.
 *
 * Identity is the URI in the certificate's subjectAltName: qfl://<federation>/<role>/<site>
 * (common/identity.h). No tickets, no 0-RTT, no renegotiation. A certificate revocation list in the
 * CA file is honoured. Key exchange X25519MLKEM768 where OpenSSL knows it, else X25519. Errors say
 * what is wrong with whose certificate.
 *
 * Order: what the network gives goes into tls_receive, then tls_read until it returns 0, then
 * tls_take for the network. After an error only tls_take (it may hold the alert) and tls_free are
 * left.
 */
#pragma once

#include "common/machine.h"

struct tls_context;

struct tls_files {
    const char *certificate; /* PEM, leaf first */
    const char *key;         /* PEM, refused if group or others may read it */
    const char *ca;          /* PEM, certificates and revocation lists */
    const char *federation;
    enum role role;   /* the role this process must hold a certificate for */
    const char *site; /* its site */
    bool require_pq;  /* no key exchange but a post-quantum one */
};

/* Reads and checks the files: key matches, not expired, signed by the CA, names this role and site.
 * -EINVAL, -EPERM for an open key, -ENOENT or another error of open(), with a sentence. */
int tls_context_new(
    struct tls_context **out, const struct tls_files *files, struct err *e) must_check;
/* Re-reads the same files (SIGHUP), for connections made from now on; on error the old ones stay. */
int tls_context_reload(struct tls_context *t, struct err *e) must_check;
/* Connections keep what they need of it. Safe on NULL. */
void tls_context_free(struct tls_context *t);
/* When the own certificate expires, in seconds since 1970: for warnings. */
int64_t tls_context_expires_s(const struct tls_context *t);

struct tls;

/* One connection. `expect_role` and `expect_site` (NULL: any) of the peer. The context is kept until
 * free. -ENOMEM. */
int tls_new(struct tls **out, struct tls_context *t, bool is_server, enum role expect_role,
    const char *expect_site) must_check;
void tls_free(struct tls *t);

/* Ciphertext from the network, borrowed until tls_read has returned 0 or less. -EPROTO with a
 * sentence when the peer is refused, or refuses us. */
int tls_receive(struct tls *t, const uint8_t *data, size_t len, struct err *e) must_check;
/* True once the peer is authenticated. A client's end opens before the server has looked at its
 * certificate: a refusal comes with the first tls_read. */
bool tls_is_open(const struct tls *t);
const char *tls_peer_site(const struct tls *t);
enum role tls_peer_role(const struct tls *t);
/* Of the key exchange: "x25519"; once open. */
const char *tls_group(const struct tls *t);
/* Plaintext for the application: bytes read (at most one record, 16 KiB), 0 when there is none now,
 * -EPROTO with a sentence, -EPIPE when the peer has closed. */
int tls_read(struct tls *t, uint8_t *out, size_t len, struct err *e) must_check;
/* Plaintext to the peer; all of it is taken. Records are full when `len` is a multiple of
 * TLS_RECORD_MAX. */
int tls_write(struct tls *t, const uint8_t *data, size_t len, struct err *e) must_check;
/* Bytes of ciphertext waiting for the network. */
size_t tls_pending(const struct tls *t);
/* Hands over all of them: `b`, which must be empty, is exchanged for the filter's buffer, so that its
 * memory is used again. */
void tls_take(struct tls *t, struct buf *b);
/* Orderly close_notify. */
void tls_shutdown(struct tls *t);

#define TLS_RECORD_MAX ((size_t)16 * 1024)
