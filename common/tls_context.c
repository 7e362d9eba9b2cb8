/* SPDX-License-Identifier: Apache-2.0 */
/* The own certificate, key and CA: read, checked, reloaded. */
#include "common/tls_internal.h"

#include "common/util.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

static void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

static void ssl_ctx_freep(SSL_CTX **c)
{
    SSL_CTX_free(*c);
}

static void pkey_freep(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}

static int refuse(struct err *e, const char *path, const char *why)
{
    ERR_clear_error();
    return err_set(e, -EINVAL, "%s: %s", path, why);
}

/* ---- protocol ---- */

/* Plaintext of key management is key material; that of federated learning is masked or public. */
static bool carries_keys(enum role role)
{
    return role == ROLE_KME || role == ROLE_QKDSIM;
}

static int set_groups(SSL_CTX *c, bool require_pq, struct err *e)
{
    static const char *const lists[] = {"X25519MLKEM768:X25519:P-256", "X25519:P-256"};
    if (require_pq) {
        if (SSL_CTX_set1_groups_list(c, "X25519MLKEM768"))
            return 0;
        return refuse(e, "require_pq", "cannot be met: this OpenSSL knows no X25519MLKEM768");
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        if (SSL_CTX_set1_groups_list(c, lists[i])) {
            ERR_clear_error();
            return 0;
        }
    return -ENOMEM;
}

static int set_protocol(SSL_CTX *c, const struct tls_files *files, struct err *e)
{
    static const unsigned char session_context[] = "qfl";
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (carries_keys(files->role))
        SSL_CTX_set_options(c, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_verify_peer);
    SSL_CTX_set_verify_depth(c, 4);
    bool ok = SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) &&
              SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) &&
              SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:"
                                          "TLS_CHACHA20_POLY1305_SHA256") &&
              SSL_CTX_set_num_tickets(c, 0) &&
              SSL_CTX_set_session_id_context(c, session_context, sizeof(session_context) - 1);
    return ok ? set_groups(c, files->require_pq, e) : -ENOMEM;
}

/* ---- files ---- */

/* A private key never asks for its passphrase on a terminal. */
static int no_passphrase(char *out, int size, int is_writing, void *arg)
{
    return -1;
}

static int load_key(SSL_CTX *c, const char *path, struct err *e)
{
    cleanup(fclosep) FILE *f = fopen(path, "re");
    struct stat st;
    if (!f || fstat(fileno(f), &st) < 0)
        return err_set(e, -errno, "%s: cannot read the private key: %s", path, strerror(errno));
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(
            e, -EPERM, "%s: group or others may read this private key; run chmod 600 on it", path);
    setvbuf(f, NULL, _IONBF, 0); /* leave no copy of the key in a freed buffer */
    cleanup(pkey_freep) EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, no_passphrase, NULL);
    if (!key)
        return refuse(e, path, "no PEM private key without passphrase");
    if (SSL_CTX_use_PrivateKey(c, key) != 1 || SSL_CTX_check_private_key(c) != 1)
        return refuse(
            e, path, "not the key of the certificate; take both from one qflctl pki issue");
    return 0;
}

static int load_certificate(SSL_CTX *c, const char *path, struct err *e)
{
    cleanup(fclosep) FILE *f = fopen(path, "re"); /* OpenSSL's own error does not say which file */
    if (!f)
        return err_set(e, -errno, "%s: cannot read the certificate: %s", path, strerror(errno));
    if (SSL_CTX_use_certificate_chain_file(c, path) != 1)
        return refuse(e, path, "no PEM certificate");
    return 0;
}

static bool has_crl(X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++)
        if (X509_OBJECT_get_type(sk_X509_OBJECT_value(objects, i)) == X509_LU_CRL)
            return true;
    return false;
}

static int load_ca(SSL_CTX *c, const char *path, struct err *e)
{
    cleanup(fclosep) FILE *f = fopen(path, "re");
    if (!f)
        return err_set(e, -errno, "%s: cannot read the CA: %s", path, strerror(errno));
    X509_STORE *store = SSL_CTX_get_cert_store(c);
    if (X509_STORE_load_file(store, path) != 1)
        return refuse(e, path, "no PEM certificate of a CA");
    if (has_crl(store))
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return 0;
}

/* ---- is it ours? ---- */

/* Against our own CA: what the peers will say about it anyway. */
static int check_chain(SSL_CTX *c, const struct tls_files *files, struct err *e)
{
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(c, &chain);
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    int r = -ENOMEM;
    if (store &&
        X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(c), SSL_CTX_get0_certificate(c), chain)) {
        r = X509_verify_cert(store) == 1 ? 0 : -EINVAL;
        if (r < 0)
            tls_explain_chain(store, "this certificate", files->ca, e);
    }
    X509_STORE_CTX_free(store);
    ERR_clear_error();
    return r < 0 ? err_wrap(e, r, "%s", files->certificate) : 0;
}

static int check_self(
    SSL_CTX *c, const struct tls_files *files, struct identity *self, struct err *e)
{
    if (identity_of_certificate(SSL_CTX_get0_certificate(c), self) < 0)
        return err_set(e, -EINVAL,
            "%s: must name exactly one qfl://federation/role/site; issue it with qflctl pki issue",
            files->certificate);
    if (self->role == files->role && strcmp(self->site, files->site) == 0 &&
        strcmp(self->federation, files->federation) == 0)
        return 0;
    char is[IDENTITY_URI_MAX];
    identity_format(self, is);
    return err_set(e, -EINVAL, "%s: is for %s, but qfl://%s/%s/%s is needed", files->certificate,
        is, files->federation, role_name(files->role), files->site);
}

static int64_t expiry_of(SSL_CTX *c)
{
    struct tm utc;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(c)), &utc) != 1)
        return 0;
    return timegm(&utc);
}

static int load(struct tls_context *t, struct err *e)
{
    cleanup(ssl_ctx_freep) SSL_CTX *c = SSL_CTX_new(TLS_method());
    if (!c)
        return err_set(e, -ENOMEM, "TLS: out of memory");
    struct identity self;
    int r = set_protocol(c, &t->files, e);
    if (r == 0)
        r = load_certificate(c, t->files.certificate, e);
    if (r == 0)
        r = load_key(c, t->files.key, e);
    if (r == 0)
        r = load_ca(c, t->files.ca, e);
    if (r == 0)
        r = check_chain(c, &t->files, e);
    if (r == 0)
        r = check_self(c, &t->files, &self, e);
    if (r < 0)
        return r;
    SSL_CTX_free(t->ssl); /* connections hold their own reference */
    t->ssl = steal(&c);
    t->self = self;
    t->expires_s = expiry_of(t->ssl);
    return 0;
}

/* ---- the context ---- */

static bool copy_files(struct tls_files *to, const struct tls_files *from)
{
    *to = *from;
    to->certificate = strdup(from->certificate);
    to->key = strdup(from->key);
    to->ca = strdup(from->ca);
    to->federation = strdup(from->federation);
    to->site = strdup(from->site);
    return to->certificate && to->key && to->ca && to->federation && to->site;
}

int tls_context_new(struct tls_context **out, const struct tls_files *files, struct err *e)
{
    *out = NULL;
    struct tls_context *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "TLS: out of memory");
    int r = copy_files(&t->files, files) && (t->bio = tls_bio_method()) ? 0 : -ENOMEM;
    if (r == 0)
        r = load(t, e);
    if (r < 0)
        tls_context_free(t);
    else
        *out = t;
    return r;
}

int tls_context_reload(struct tls_context *t, struct err *e)
{
    return load(t, e);
}

void tls_context_free(struct tls_context *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->ssl);
    BIO_meth_free(t->bio);
    free((char *)t->files.certificate);
    free((char *)t->files.key);
    free((char *)t->files.ca);
    free((char *)t->files.federation);
    free((char *)t->files.site);
    free(t);
}

int64_t tls_context_expires_s(const struct tls_context *t)
{
    return t->expires_s;
}
