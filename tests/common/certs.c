/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/common/certs.h"

#include "common/pki.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void certs_ca(const struct scratch *s, const char *ca, const char *federation)
{
    struct err e = {""};
    assert_int_equal(pki_init(scratch_path(s, ca), federation, PKI_P256, 10, &e), 0);
}

void certs_issue(const struct scratch *s, const char *ca, const char *federation, enum role role,
    const char *site, long from_s, long until_s, struct member *out)
{
    const struct pki_request request = {
        .role = role, .site = site, .not_before_s = from_s, .lifetime_s = until_s, .force = true};
    char folder[160];
    char dir[100];
    snprintf(folder, sizeof(folder), "%.20s-%s-%s", ca, role_name(role), site);
    snprintf(dir, sizeof(dir), "%s", scratch_path(s, folder));
    struct err e = {""};
    int r = pki_issue(scratch_path(s, ca), &request, dir, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
    snprintf(out->certificate, sizeof(out->certificate), "%s/%s", dir, PKI_CERTIFICATE);
    snprintf(out->key, sizeof(out->key), "%s/%s", dir, PKI_KEY);
    snprintf(out->ca, sizeof(out->ca), "%s/%s", dir, PKI_CA_CERTIFICATE);
    snprintf(out->site, sizeof(out->site), "%s", site);
    snprintf(out->federation, sizeof(out->federation), "%s", federation);
    out->files = (struct tls_files){.certificate = out->certificate,
        .key = out->key,
        .ca = out->ca,
        .federation = out->federation,
        .role = role,
        .site = out->site};
}

void certs_member(const struct scratch *s, enum role role, const char *site, struct member *out)
{
    certs_issue(s, "ca", "metro", role, site, 0, 86400, out);
}

static X509 *read_certificate(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    X509 *c = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(c);
    return c;
}

static EVP_PKEY *read_ca_key(const struct scratch *s, const char *ca)
{
    char name[60];
    snprintf(name, sizeof(name), "%.20s/%s", ca, PKI_CA_KEY);
    FILE *f = fopen(scratch_path(s, name), "r");
    assert_non_null(f);
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    assert_non_null(key);
    return key;
}

void certs_rename(const struct scratch *s, const char *ca, struct member *m, const char *names)
{
    X509 *c = read_certificate(m->certificate);
    EVP_PKEY *key = read_ca_key(s, ca);
    int at = X509_get_ext_by_NID(c, NID_subject_alt_name, -1);
    X509_EXTENSION_free(X509_delete_ext(c, at));
    if (names) {
        X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
        assert_non_null(x);
        assert_int_equal(X509_add_ext(c, x, -1), 1);
        X509_EXTENSION_free(x);
    }
    assert_true(X509_sign(c, key, EVP_sha256()) > 0);
    FILE *f = fopen(m->certificate, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, c), 1);
    fclose(f);
    X509_free(c);
    EVP_PKEY_free(key);
}

void certs_revoke(
    const struct scratch *s, const char *ca, struct member *m, const struct member *revoked)
{
    X509 *ca_certificate = read_certificate(m->ca);
    X509 *c = read_certificate(revoked->certificate);
    EVP_PKEY *key = read_ca_key(s, ca);
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -60);
    ASN1_TIME *later = X509_gmtime_adj(NULL, 86400);
    X509_REVOKED *entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(c));
    X509_REVOKED_set_revocationDate(entry, now);
    X509_CRL_set_version(list, 1);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(ca_certificate));
    X509_CRL_set1_lastUpdate(list, now);
    X509_CRL_set1_nextUpdate(list, later);
    X509_CRL_add0_revoked(list, entry);
    assert_true(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    FILE *f = fopen(m->ca, "a");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509_CRL(f, list), 1);
    fclose(f);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    X509_CRL_free(list);
    X509_free(c);
    X509_free(ca_certificate);
    EVP_PKEY_free(key);
}
