/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's side of the filter: reads straight from the caller's bytes and appends to one buffer, which
 * saves the copies of BIO_s_mem in both directions. */
#include "common/tls_internal.h"

#include "common/util.h"

#include <errno.h>

static int bio_read(BIO *bio, char *out, int len)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->in_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = MIN((size_t)len, t->in_len);
    memcpy(out, t->in, n);
    t->in += n;
    t->in_len -= n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    return buf_append(&t->out, data, (size_t)len) < 0 ? -1 : len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *p)
{
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "qfl span");
    if (m && BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
        BIO_meth_set_ctrl(m, bio_ctrl))
        return m;
    BIO_meth_free(m);
    return NULL;
}

int tls_bio_attach(struct tls *t, const BIO_METHOD *method)
{
    BIO *bio = BIO_new(method);
    if (!bio)
        return -ENOMEM;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return 0;
}
