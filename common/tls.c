/* SPDX-License-Identifier: Apache-2.0 */
#include "common/tls.h"

#include "common/tls_internal.h"
#include "common/util.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>

static int handshake(struct tls *t, struct err *e);

int tls_new(struct tls **out, struct tls_context *c, bool is_server, enum role expect_role,
    const char *expect_site)
{
    *out = NULL;
    struct tls *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->context = c;
    t->is_server = is_server;
    t->expect_role = expect_role;
    snprintf(t->expect_site, sizeof(t->expect_site), "%s", expect_site ? expect_site : "");
    t->ssl = SSL_new(c->ssl);
    t->ca = strdup(c->files.ca);
    int r = t->ssl && t->ca && SSL_set_app_data(t->ssl, t) ? tls_bio_attach(t, c->bio) : -ENOMEM;
    if (r == 0 && is_server)
        SSL_set_accept_state(t->ssl);
    if (r == 0 && !is_server) {
        SSL_set_connect_state(t->ssl);
        r = handshake(t, NULL); /* the first flight */
    }
    if (r < 0)
        tls_free(t);
    else
        *out = t;
    return r < 0 ? -ENOMEM : 0;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    buf_deinit(&t->out);
    free(t->ca);
    free(t);
}

static int fail(struct tls *t, struct err *e)
{
    t->has_failed = true;
    t->in_len = 0;
    return tls_explain_failure(t, e);
}

/* The handshake says that the peer is who it should be; do not take its word alone. */
static int check_open(struct tls *t, struct err *e)
{
    X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    if (certificate && SSL_get_verify_result(t->ssl) == X509_V_OK && !SSL_session_reused(t->ssl) &&
        t->peer.role == t->expect_role && t->peer.role != ROLE_NONE) {
        t->is_open = true;
        return 0;
    }
    t->has_failed = true;
    t->in_len = 0;
    return err_set(e, -EPROTO, "the peer is not authenticated");
}

static int handshake(struct tls *t, struct err *e)
{
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    if (r == 1)
        return check_open(t, e);
    if (SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_READ)
        return 0;
    return fail(t, e);
}

int tls_receive(struct tls *t, const uint8_t *data, size_t len, struct err *e)
{
    if (t->has_failed)
        return err_set(e, -EPROTO, "TLS has failed");
    assert(t->in_len == 0); /* tls_read was not called until it returned 0 */
    t->in = data;
    t->in_len = len;
    return t->is_open ? 0 : handshake(t, e);
}

bool tls_is_open(const struct tls *t)
{
    return t->is_open;
}

const char *tls_peer_site(const struct tls *t)
{
    return t->peer.site;
}

enum role tls_peer_role(const struct tls *t)
{
    return t->peer.role;
}

const char *tls_group(const struct tls *t)
{
    const char *name = SSL_group_to_name(t->ssl, (int)SSL_get_negotiated_group(t->ssl));
    return name ? name : "none";
}

int tls_read(struct tls *t, uint8_t *out, size_t len, struct err *e)
{
    if (t->has_failed)
        return err_set(e, -EPROTO, "TLS has failed");
    if (!t->is_open)
        return 0;
    ERR_clear_error();
    size_t n = 0;
    int r = SSL_read_ex(t->ssl, out, MIN(len, TLS_RECORD_MAX), &n);
    if (r == 1)
        return (int)n;
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        t->in_len = 0;
        return -EPIPE;
    default:
        return fail(t, e);
    }
}

int tls_write(struct tls *t, const uint8_t *data, size_t len, struct err *e)
{
    assert(t->is_open);
    if (t->has_failed)
        return err_set(e, -EPROTO, "TLS has failed");
    if (len == 0)
        return 0;
    ERR_clear_error();
    size_t n = 0;
    if (SSL_write_ex(t->ssl, data, len, &n) == 1)
        return 0;
    return fail(t, e);
}

size_t tls_pending(const struct tls *t)
{
    return t->out.len;
}

void tls_take(struct tls *t, struct buf *b)
{
    assert(b->len == 0);
    struct buf full = t->out;
    t->out = *b;
    *b = full;
}

void tls_shutdown(struct tls *t)
{
    if (t->is_open && !t->has_failed)
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}
