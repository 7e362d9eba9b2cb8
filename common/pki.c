/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pki.h"

#include "common/identity.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PKI_PATH_MAX 4096
#define PKI_SLACK_S  3600L /* a certificate is valid from an hour ago: clocks differ */
#define PKI_SERIAL   16

static void pkey_freep(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}

static void x509_freep(X509 **c)
{
    X509_free(*c);
}

static void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

static int openssl_error(struct err *e, const char *what)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    ERR_clear_error();
    return err_set(e, -EIO, "%s: %s", what, text);
}

/* ---- files ------------------------------------------------------------------------------------ */

static int join(char out[PKI_PATH_MAX], const char *dir, const char *name, struct err *e)
{
    if (snprintf(out, PKI_PATH_MAX, "%s/%s", dir, name) >= PKI_PATH_MAX)
        return err_set(e, -ENAMETOOLONG, "the path %s is too long", dir);
    return 0;
}

static int make_dir(const char *dir, struct err *e)
{
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set(e, -errno, "cannot make the directory %s: %s", dir, strerror(errno));
    return 0;
}

/* Opens a new file; with `force` in the place of an old one. */
static FILE *create_file(const char *path, mode_t mode, bool force, struct err *e)
{
    if (force && unlink(path) < 0 && errno != ENOENT) {
        err_set(e, -errno, "cannot replace %s: %s", path, strerror(errno));
        return NULL;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        err_set(e, -errno,
            errno == EEXIST ? "%s is there already and is not overwritten: %s"
                            : "cannot create %s: %s",
            path, strerror(errno));
    return f;
}

static int finish_file(FILE **f, int written, const char *path, struct err *e)
{
    FILE *file = steal(f);
    bool flushed = fflush(file) == 0 && fsync(fileno(file)) == 0;
    bool closed = fclose(file) == 0;
    if (written != 1 || !flushed || !closed)
        return err_set(e, -EIO, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

static int write_key(const char *dir, const char *name, EVP_PKEY *key, bool force, struct err *e)
{
    char path[PKI_PATH_MAX];
    int r = join(path, dir, name, e);
    if (r < 0)
        return r;
    cleanup(fclosep) FILE *f = create_file(path, 0600, force, e);
    if (!f)
        return -EEXIST;
    return finish_file(&f, PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), path, e);
}

static int write_certificate(
    const char *dir, const char *name, X509 *certificate, bool force, struct err *e)
{
    char path[PKI_PATH_MAX];
    int r = join(path, dir, name, e);
    if (r < 0)
        return r;
    cleanup(fclosep) FILE *f = create_file(path, 0644, force, e);
    if (!f)
        return -EEXIST;
    return finish_file(&f, PEM_write_X509(f, certificate), path, e);
}

static X509 *load_certificate(const char *path, struct err *e)
{
    cleanup(fclosep) FILE *f = fopen(path, "re");
    if (!f) {
        err_set(e, -errno, "cannot read the certificate %s: %s", path, strerror(errno));
        return NULL;
    }
    X509 *c = PEM_read_X509(f, NULL, NULL, NULL);
    if (!c)
        err_set(e, -EINVAL, "%s holds no PEM certificate", path);
    ERR_clear_error();
    return c;
}

static EVP_PKEY *load_key(const char *path, struct err *e)
{
    cleanup(fclosep) FILE *f = fopen(path, "re");
    if (!f) {
        err_set(e, -errno, "cannot read the key %s: %s", path, strerror(errno));
        return NULL;
    }
    EVP_PKEY *k = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    if (!k)
        err_set(e, -EINVAL, "%s holds no PEM key", path);
    ERR_clear_error();
    return k;
}

/* ---- certificates ----------------------------------------------------------------------------- */

static EVP_PKEY *make_key(enum pki_algorithm algorithm)
{
    return algorithm == PKI_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                    : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static bool set_serial(X509 *c)
{
    uint8_t bytes[PKI_SERIAL];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(c));
    BN_free(number);
    return ok;
}

static bool set_name(X509 *c, const char *organisation, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(c);
    return X509_NAME_add_entry_by_txt(
               name, "O", MBSTRING_UTF8, (const uint8_t *)organisation, -1, -1, 0) &&
           X509_NAME_add_entry_by_txt(
               name, "CN", MBSTRING_UTF8, (const uint8_t *)common_name, -1, -1, 0);
}

static bool add_extension(X509 *c, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = x && X509_add_ext(c, x, -1);
    X509_EXTENSION_free(x);
    return ok;
}

static X509 *start_certificate(EVP_PKEY *key, const char *organisation, const char *common_name,
    long not_before_s, long not_after_s)
{
    X509 *c = X509_new();
    if (c && X509_set_version(c, 2) && set_serial(c) && set_name(c, organisation, common_name) &&
        X509_gmtime_adj(X509_getm_notBefore(c), not_before_s - PKI_SLACK_S) &&
        X509_gmtime_adj(X509_getm_notAfter(c), not_after_s) && X509_set_pubkey(c, key))
        return c;
    X509_free(c);
    return NULL;
}

/* Ed25519 signs without a separate digest. */
static bool sign(X509 *c, EVP_PKEY *key)
{
    const EVP_MD *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
    return X509_sign(c, key, digest) > 0;
}

int pki_init(const char *dir, const char *federation, enum pki_algorithm algorithm, unsigned days,
    struct err *e)
{
    if (!identity_is_name(federation))
        return err_set(e, -EINVAL,
            "\"%s\" is no federation name: lower-case letters, digits and '-', at most %d",
            federation, SITE_NAME_MAX);
    int r = make_dir(dir, e);
    if (r < 0)
        return r;
    cleanup(pkey_freep) EVP_PKEY *key = make_key(algorithm);
    cleanup(x509_freep) X509 *c =
        key ? start_certificate(key, federation, "QuNetQFL CA", 0, (long)days * 86400) : NULL;
    if (!c || !X509_set_issuer_name(c, X509_get_subject_name(c)) ||
        !add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(c, c, NID_subject_key_identifier, "hash") || !sign(c, key))
        return openssl_error(e, "cannot make the CA certificate");
    r = write_key(dir, PKI_CA_KEY, key, false, e);
    return r < 0 ? r : write_certificate(dir, PKI_CA_CERTIFICATE, c, false, e);
}

static int federation_of(X509 *ca, char out[SITE_NAME_MAX + 1], struct err *e)
{
    int len = X509_NAME_get_text_by_NID(
        X509_get_subject_name(ca), NID_organizationName, out, SITE_NAME_MAX + 1);
    if (len <= 0 || !identity_is_name(out))
        return err_set(e, -EINVAL,
            "the CA's certificate names no federation: made by qflctl pki "
            "init?");
    return 0;
}

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
    char federation[SITE_NAME_MAX + 1];
};

static void authority_deinit(struct authority *a)
{
    X509_free(a->certificate);
    EVP_PKEY_free(a->key);
}

static int authority_load(struct authority *a, const char *dir, struct err *e)
{
    char path[PKI_PATH_MAX];
    int r = join(path, dir, PKI_CA_CERTIFICATE, e);
    if (r < 0 || !(a->certificate = load_certificate(path, e)))
        return r < 0 ? r : -ENOENT;
    r = join(path, dir, PKI_CA_KEY, e);
    if (r < 0 || !(a->key = load_key(path, e)))
        return r < 0 ? r : -ENOENT;
    return federation_of(a->certificate, a->federation, e);
}

static X509 *make_leaf(const struct authority *a, const struct pki_request *q, EVP_PKEY *key)
{
    char uri[4 * SITE_NAME_MAX];
    snprintf(uri, sizeof(uri), "URI:qfl://%s/%s/%s", a->federation, role_name(q->role), q->site);
    X509 *c = start_certificate(key, a->federation, q->site, q->not_before_s, q->lifetime_s);
    if (c && X509_set_issuer_name(c, X509_get_subject_name(a->certificate)) &&
        add_extension(c, a->certificate, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(c, a->certificate, NID_key_usage, "critical,digitalSignature") &&
        add_extension(c, a->certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
        add_extension(c, a->certificate, NID_subject_alt_name, uri) &&
        add_extension(c, a->certificate, NID_authority_key_identifier, "keyid") && sign(c, a->key))
        return c;
    X509_free(c);
    return NULL;
}

int pki_issue(const char *ca_dir, const struct pki_request *q, const char *out, struct err *e)
{
    if (q->role == ROLE_NONE || !identity_is_name(q->site))
        return err_set(e, -EINVAL,
            "\"%s\" is no site name: lower-case letters, digits and '-', at most %d", q->site,
            SITE_NAME_MAX);
    cleanup(authority_deinit) struct authority a = {0};
    int r = authority_load(&a, ca_dir, e);
    if (r == 0)
        r = make_dir(out, e);
    if (r < 0)
        return r;
    cleanup(pkey_freep) EVP_PKEY *key = make_key(q->algorithm);
    cleanup(x509_freep) X509 *c = key ? make_leaf(&a, q, key) : NULL;
    if (!c)
        return openssl_error(e, "cannot make the certificate");
    r = write_key(out, PKI_KEY, key, q->force, e);
    if (r == 0)
        r = write_certificate(out, PKI_CERTIFICATE, c, q->force, e);
    return r < 0 ? r : write_certificate(out, PKI_CA_CERTIFICATE, a.certificate, true, e);
}

/* ---- reading ---------------------------------------------------------------------------------- */

int pki_read(const char *certificate, struct pki_identity *out, struct err *e)
{
    cleanup(x509_freep) X509 *c = load_certificate(certificate, e);
    if (!c)
        return -EINVAL;
    struct identity who;
    if (identity_of_certificate(c, &who) < 0)
        return err_set(e, -EINVAL, "%s names no qfl://federation/role/site", certificate);
    struct tm expires;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(c), &expires) != 1)
        return err_set(e, -EINVAL, "%s has no readable expiry", certificate);
    *out = (struct pki_identity){.role = who.role, .expires = timegm(&expires)};
    strcpy(out->federation, who.federation);
    strcpy(out->site, who.site);
    return 0;
}

int pki_renew(const char *ca_dir, const char *dir, long lifetime_s, struct err *e)
{
    char path[PKI_PATH_MAX];
    int r = join(path, dir, PKI_CERTIFICATE, e);
    if (r < 0)
        return r;
    struct pki_identity old;
    r = pki_read(path, &old, e);
    if (r < 0)
        return r;
    r = join(path, dir, PKI_KEY, e);
    if (r < 0)
        return r;
    cleanup(pkey_freep) EVP_PKEY *key = load_key(path, e);
    if (!key)
        return -EINVAL;
    const struct pki_request q = {.role = old.role,
        .site = old.site,
        .algorithm = EVP_PKEY_is_a(key, "ED25519") ? PKI_ED25519 : PKI_P256,
        .lifetime_s = lifetime_s,
        .force = true};
    return pki_issue(ca_dir, &q, dir, e);
}
