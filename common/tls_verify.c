/* SPDX-License-Identifier: Apache-2.0 */
/* Whom we talk to: the chain, the identity, and the sentence when either is wrong. */
#include "common/tls_internal.h"

#include "common/util.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#define WHO_MAX 128

void tls_format_time(const ASN1_TIME *time, char out[TLS_TIME_MAX])
{
    struct tm utc;
    if (ASN1_TIME_to_tm(time, &utc) != 1 ||
        strftime(out, TLS_TIME_MAX, "%Y-%m-%d %H:%M UTC", &utc) == 0)
        snprintf(out, TLS_TIME_MAX, "an unreadable date");
}

/* ---- the chain ---- */

static void explain_time(
    const X509_STORE_CTX *store, const char *who, const char *ca, bool has_expired, struct err *e)
{
    const X509 *at = X509_STORE_CTX_get_current_cert(store);
    char when[TLS_TIME_MAX];
    tls_format_time(has_expired ? X509_get0_notAfter(at) : X509_get0_notBefore(at), when);
    bool is_ca = X509_STORE_CTX_get_error_depth(store) > 0;
    if (is_ca && has_expired)
        err_set(e, 0, "the CA certificate in %s expired on %s: make a new CA with qflctl pki init",
            ca, when);
    else if (has_expired)
        err_set(e, 0, "%s expired on %s: renew it with qflctl pki renew", who, when);
    else
        err_set(e, 0, "%s is valid only from %s on: check the clocks of both ends",
            is_ca ? "the CA certificate" : who, when);
}

void tls_explain_chain(const X509_STORE_CTX *store, const char *who, const char *ca, struct err *e)
{
    int error = X509_STORE_CTX_get_error(store);
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        explain_time(store, who, ca, true, e);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        explain_time(store, who, ca, false, e);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        err_set(e, 0, "%s is not signed by the CA in %s: was it issued for another federation?",
            who, ca);
        break;
    case X509_V_ERR_CERT_REVOKED:
        err_set(e, 0, "%s is revoked: issue a new one with qflctl pki issue", who);
        break;
    case X509_V_ERR_CRL_HAS_EXPIRED:
        err_set(e, 0, "the revocation list in %s has expired: put a fresh one there", ca);
        break;
    default:
        err_set(e, 0, "%s is refused: %s", who, X509_verify_cert_error_string(error));
        break;
    }
}

/* ---- the identity ---- */

/* "certificate of client bob", as far as it can be read; it need not be trusted yet. */
static void describe(const X509 *certificate, char out[WHO_MAX])
{
    struct identity who;
    if (identity_of_certificate(certificate, &who) == 0)
        snprintf(out, WHO_MAX, "certificate of %s %s", role_name(who.role), who.site);
    else
        snprintf(out, WHO_MAX, "the peer's certificate");
}

/* Is the holder of a good certificate the one we want? */
static int check_identity(struct tls *t, const X509 *leaf)
{
    if (identity_of_certificate(leaf, &t->peer) < 0)
        return err_set(&t->refusal, -EPROTO,
            "the peer's certificate must name exactly one qfl://federation/role/site: issue it "
            "with "
            "qflctl pki issue");
    const struct identity *peer = &t->peer;
    const char *federation = t->context->self.federation;
    if (strcmp(peer->federation, federation) != 0)
        return err_set(&t->refusal, -EPROTO,
            "certificate of %s %s belongs to federation %s, not to %s", role_name(peer->role),
            peer->site, peer->federation, federation);
    if (peer->role != t->expect_role)
        return err_set(&t->refusal, -EPROTO, "the peer is %s %s, but %s %s is expected here",
            role_name(peer->role), peer->site, role_name(t->expect_role),
            t->expect_site[0] ? t->expect_site : "of any site");
    if (t->expect_site[0] && strcmp(peer->site, t->expect_site) != 0)
        return err_set(&t->refusal, -EPROTO, "the peer is %s %s, but %s is expected here",
            role_name(peer->role), peer->site, t->expect_site);
    return 0;
}

int tls_verify_peer(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *t = SSL_get_app_data(ssl);
    if (!ok) {
        char who[WHO_MAX];
        describe(X509_STORE_CTX_get0_cert(store), who);
        tls_explain_chain(store, who, t->ca, &t->refusal);
        return 0;
    }
    if (X509_STORE_CTX_get_error_depth(store) > 0 ||
        check_identity(t, X509_STORE_CTX_get0_cert(store)) == 0)
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

/* ---- what went wrong ---- */

/* Alerts of RFC 8446 section 6.2 as the other end's opinion of us. */
static const struct {
    int alert;
    const char *meaning;
} alerts[] = {
    {SSL_AD_CERTIFICATE_EXPIRED, "it has expired by the peer's clock; run qflctl pki renew"},
    {SSL_AD_CERTIFICATE_REVOKED, "it is revoked; run qflctl pki issue"},
    {SSL_AD_UNKNOWN_CA, "the peer does not know our CA; is it of another federation?"},
    {SSL_AD_BAD_CERTIFICATE, "it is not valid yet by the peer's clock, or damaged"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "it is not made for this use"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "the peer's log says why"},
    {SSL_AD_ACCESS_DENIED, "our role, site or federation is not expected there"},
    {TLS13_AD_CERTIFICATE_REQUIRED, "we showed none"},
};

static int explain_alert(const struct tls *t, int alert, struct err *e)
{
    char self[IDENTITY_URI_MAX];
    identity_format(&t->context->self, self);
    for (size_t i = 0; i < ARRAY_SIZE(alerts); i++)
        if (alerts[i].alert == alert)
            return err_set(
                e, -EPROTO, "the peer refuses the certificate of %s: %s", self, alerts[i].meaning);
    /* What OpenSSL sends for X509_V_ERR_APPLICATION_VERIFICATION, and for no common group. */
    if (alert == SSL_AD_HANDSHAKE_FAILURE)
        return err_set(e, -EPROTO,
            "the peer refuses %s: role, site or federation is not expected there, or no common key "
            "exchange",
            self);
    return err_set(
        e, -EPROTO, "the peer ended TLS with the alert \"%s\"", SSL_alert_desc_string_long(alert));
}

static int explain_reason(const struct tls *t, int reason, struct err *e)
{
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return err_set(e, -EPROTO, "the peer showed no certificate, but one of role %s is needed",
            role_name(t->expect_role));
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
        return err_set(e, -EPROTO, "the peer does not speak TLS");
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
        return err_set(e, -EPROTO, "the peer does not speak TLS 1.3");
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
        return err_set(e, -EPROTO, "no cipher or key exchange in common with the peer");
    default:
        return err_set(e, -EPROTO, "TLS failed: %s", ERR_reason_error_string(ERR_peek_error()));
    }
}

int tls_explain_failure(struct tls *t, struct err *e)
{
    int reason = ERR_GET_REASON(ERR_peek_error());
    int r;
    if (t->refusal.text[0])
        r = err_set(e, -EPROTO, "%s", t->refusal.text);
    else if (ERR_peek_error() == 0)
        r = err_set(e, -EPROTO, "TLS failed");
    else if (reason > SSL_AD_REASON_OFFSET)
        r = explain_alert(t, reason - SSL_AD_REASON_OFFSET, e);
    else
        r = explain_reason(t, reason, e);
    ERR_clear_error();
    return r;
}
