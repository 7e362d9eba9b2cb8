/* SPDX-License-Identifier: Apache-2.0 */
/* Two filters talk to each other in memory: who is let in, and what is said to those who are not. */
#include "common/pki.h"
#include "common/tls.h"
#include "common/util.h"
#include "tests/common/certs.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
    struct scratch *s = malloc(sizeof(*s));
    scratch_init(s);
    certs_ca(s, "ca", "metro");
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scratch_deinit(*state);
    free(*state);
    return 0;
}

static struct tls_context *context_of(const struct member *m)
{
    struct tls_context *c;
    struct err e = {""};
    int r = tls_context_new(&c, &m->files, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
    return c;
}

/* ---- a conversation ---- */

struct end {
    struct tls_context *context;
    struct tls *tls;
    int result; /* of the last call */
    struct err e;
    size_t heard; /* bytes of plaintext */
    uint8_t last;
};

struct pair {
    struct end client;
    struct end server;
};

static void pair_init(struct pair *p, const struct member *client, const struct member *server,
    enum role expect_server, const char *expect_site)
{
    *p = (struct pair){0};
    p->client.context = context_of(client);
    p->server.context = context_of(server);
    assert_int_equal(
        tls_new(&p->client.tls, p->client.context, false, expect_server, expect_site), 0);
    assert_int_equal(tls_new(&p->server.tls, p->server.context, true, ROLE_CLIENT, NULL), 0);
}

static void pair_deinit(struct pair *p)
{
    tls_free(p->client.tls);
    tls_free(p->server.tls);
    tls_context_free(p->client.context);
    tls_context_free(p->server.context);
}

static void hear(struct end *to, const uint8_t *data, size_t len)
{
    uint8_t plain[1000];
    if (to->result < 0)
        return;
    to->result = tls_receive(to->tls, data, len, &to->e);
    while (to->result == 0) {
        int n = tls_read(to->tls, plain, sizeof(plain), &to->e);
        if (n <= 0) {
            to->result = n;
            break;
        }
        to->heard += (size_t)n;
        to->last = plain[n - 1];
    }
}

/* Moves what one end has to say, in pieces of `step` bytes; false when it was silent. */
static bool say(struct end *from, struct end *to, size_t step)
{
    struct buf b = {0};
    tls_take(from->tls, &b);
    for (size_t at = 0; at < b.len; at += step)
        hear(to, b.data + at, MIN(step, b.len - at));
    bool has_said = b.len > 0;
    buf_deinit(&b);
    return has_said;
}

static void talk(struct pair *p, size_t step)
{
    bool c;
    bool s;
    do {
        c = say(&p->client, &p->server, step);
        s = say(&p->server, &p->client, step);
    } while (c || s);
}

/* ---- good ends ---- */

static void test_ends_know_each_other(void **state)
{
    struct member alice;
    struct member server;
    certs_member(*state, ROLE_CLIENT, "alice", &alice);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    struct pair p;
    pair_init(&p, &alice, &server, ROLE_SERVER, "hub");
    assert_false(tls_is_open(p.client.tls));
    talk(&p, SIZE_MAX / 2);
    assert_true(tls_is_open(p.client.tls) && tls_is_open(p.server.tls));
    assert_string_equal(tls_peer_site(p.server.tls), "alice");
    assert_int_equal(tls_peer_role(p.server.tls), ROLE_CLIENT);
    assert_string_equal(tls_peer_site(p.client.tls), "hub");
    assert_int_equal(tls_peer_role(p.client.tls), ROLE_SERVER);
    assert_string_equal(tls_group(p.client.tls), tls_group(p.server.tls));
    assert_string_not_equal(tls_group(p.client.tls), "none");
    pair_deinit(&p);
}

static void test_bytes_cross_in_both_directions(void **state)
{
    struct member alice;
    struct member server;
    certs_member(*state, ROLE_CLIENT, "alice", &alice);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    static const size_t steps[] = {1, 7, 16384, 1 << 20};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct pair p;
        pair_init(&p, &alice, &server, ROLE_SERVER, NULL);
        talk(&p, steps[i]);
        static uint8_t data[100000];
        data[sizeof(data) - 1] = 42;
        assert_int_equal(tls_write(p.client.tls, data, sizeof(data), &p.client.e), 0);
        assert_true(tls_pending(p.client.tls) > sizeof(data));
        assert_int_equal(tls_write(p.server.tls, data, 5, &p.server.e), 0);
        talk(&p, steps[i]);
        assert_int_equal(tls_pending(p.client.tls), 0);
        assert_int_equal(p.server.heard, sizeof(data));
        assert_int_equal(p.server.last, 42);
        assert_int_equal(p.client.heard, 5);
        tls_shutdown(p.client.tls);
        talk(&p, steps[i]);
        assert_int_equal(p.server.result, -EPIPE);
        pair_deinit(&p);
    }
}

static void test_full_records_only(void **state)
{
    struct member alice;
    struct member server;
    certs_member(*state, ROLE_CLIENT, "alice", &alice);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    struct pair p;
    pair_init(&p, &alice, &server, ROLE_SERVER, NULL);
    talk(&p, SIZE_MAX / 2);
    static const uint8_t data[4 * TLS_RECORD_MAX];
    assert_int_equal(tls_write(p.client.tls, data, sizeof(data), NULL), 0);
    assert_int_equal(tls_pending(p.client.tls), 4 * (TLS_RECORD_MAX + 22));
    pair_deinit(&p);
}

static void test_no_session_is_ever_resumed(void **state)
{
    struct member alice;
    struct member server;
    certs_member(*state, ROLE_CLIENT, "alice", &alice);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    struct pair p;
    pair_init(&p, &alice, &server, ROLE_SERVER, NULL);
    talk(&p, SIZE_MAX / 2);
    uint8_t byte = 1;
    assert_int_equal(tls_write(p.server.tls, &byte, 1, NULL), 0);
    assert_int_equal(tls_pending(p.server.tls), 1 + 22); /* one record and no ticket before it */
    pair_deinit(&p);
}

/* ---- refusals ---- */

/* What each end says; NULL: it is content. The client may be open before it is refused. */
static void expect_refusal(struct pair *p, const char *server_says, const char *client_says)
{
    talk(p, SIZE_MAX / 2);
    assert_int_equal(p->server.result, server_says ? -EPROTO : 0);
    assert_string_equal(p->server.e.text, server_says ? server_says : "");
    assert_false(tls_is_open(p->server.tls));
    assert_int_equal(p->client.result, -EPROTO);
    assert_string_equal(p->client.e.text, client_says);
    pair_deinit(p);
}

static void test_wrong_role_is_refused(void **state)
{
    struct member kme;
    struct member server;
    certs_member(*state, ROLE_KME, "alice", &kme);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    struct pair p;
    pair_init(&p, &kme, &server, ROLE_SERVER, NULL);
    expect_refusal(&p, "the peer is kme alice, but client of any site is expected here",
        "the peer refuses qfl://metro/kme/alice: role, site or federation is not expected there, "
        "or "
        "no common key exchange");
}

static void test_wrong_far_end_is_refused(void **state)
{
    struct member alice;
    struct member server;
    certs_member(*state, ROLE_CLIENT, "alice", &alice);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    static const char refused[] =
        "the peer refuses qfl://metro/server/hub: role, site or federation "
        "is not expected there, or no common key exchange";
    struct pair p;
    pair_init(&p, &alice, &server, ROLE_KME, "hub");
    expect_refusal(&p, refused, "the peer is server hub, but kme hub is expected here");
    pair_init(&p, &alice, &server, ROLE_SERVER, "other");
    expect_refusal(&p, refused, "the peer is server hub, but other is expected here");
}

static void test_other_federation_is_refused(void **state)
{
    struct member alice;
    struct member server;
    certs_member(*state, ROLE_SERVER, "hub", &server);
    certs_member(*state, ROLE_CLIENT, "alice", &alice);
    certs_rename(
        *state, "ca", &alice, "URI:qfl://suburb/client/alice"); /* the same CA signs both */
    strcpy(alice.federation, "suburb");
    struct pair p;
    pair_init(&p, &alice, &server, ROLE_SERVER, NULL);
    expect_refusal(&p,
        "the peer refuses qfl://metro/server/hub: role, site or federation is not expected there, "
        "or no common key exchange",
        "certificate of server hub belongs to federation metro, not to suburb");
}

static void test_other_ca_is_refused(void **state)
{
    certs_ca(*state, "ca2", "metro");
    struct member mallory;
    struct member server;
    certs_issue(*state, "ca2", "metro", ROLE_CLIENT, "mallory", 0, 86400, &mallory);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    struct pair p;
    /* Mallory trusts the server, to see that the server refuses her. */
    auto_free char *ca = scratch_read(*state, "ca/ca.pem");
    auto_free char *ca2 = scratch_read(*state, "ca2/ca.pem");
    auto_free char *both = NULL;
    assert_true(asprintf(&both, "%s%s", ca, ca2) > 0);
    scratch_write(*state, "both.pem", both, 0644);
    mallory.files.ca = strcpy(mallory.ca, scratch_path(*state, "both.pem"));
    pair_init(&p, &mallory, &server, ROLE_SERVER, NULL);
    char expected[300];
    snprintf(expected, sizeof(expected),
        "certificate of client mallory is not signed by the CA in %s: was it issued for another "
        "federation?",
        server.ca);
    expect_refusal(&p, expected,
        "the peer refuses the certificate of qfl://metro/client/mallory: the peer does not know "
        "our "
        "CA; is it of another federation?");
}

/* The own one is refused at the start; a peer's one in test_strangers_are_refused. */
static void test_expired_certificate_is_refused(void **state)
{
    struct member bob;
    struct member server;
    certs_member(*state, ROLE_SERVER, "hub", &server);
    certs_issue(*state, "ca", "metro", ROLE_CLIENT, "bob", 0, -60, &bob);
    struct tls_context *c;
    struct err e = {""};
    assert_int_equal(tls_context_new(&c, &bob.files, &e), -EINVAL);
    char day[20];
    time_t then = time(NULL) - 60;
    struct tm utc;
    strftime(day, sizeof(day), "%Y-%m-%d", gmtime_r(&then, &utc));
    char expected[400];
    snprintf(
        expected, sizeof(expected), "%s: this certificate expired on %s", bob.certificate, day);
    assert_int_equal(strncmp(e.text, expected, strlen(expected)), 0);
    assert_non_null(strstr(e.text, " UTC: renew it with qflctl pki renew"));
}

static void test_not_yet_valid_certificate_is_refused(void **state)
{
    struct member bob;
    certs_issue(*state, "ca", "metro", ROLE_CLIENT, "bob", 86400, 2 * 86400, &bob);
    struct tls_context *c;
    struct err e = {""};
    assert_int_equal(tls_context_new(&c, &bob.files, &e), -EINVAL);
    assert_non_null(strstr(e.text, ": this certificate is valid only from "));
    assert_non_null(strstr(e.text, " UTC on: check the clocks of both ends"));
}

static void test_revoked_certificate_is_refused(void **state)
{
    struct member bob;
    struct member alice;
    struct member server;
    certs_member(*state, ROLE_CLIENT, "bob", &bob);
    certs_member(*state, ROLE_CLIENT, "alice", &alice);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    certs_revoke(*state, "ca", &server, &bob);
    struct pair p;
    pair_init(&p, &alice, &server, ROLE_SERVER, NULL);
    talk(&p, SIZE_MAX / 2);
    assert_true(tls_is_open(p.server.tls));
    pair_deinit(&p);
    pair_init(&p, &bob, &server, ROLE_SERVER, NULL);
    expect_refusal(&p,
        "certificate of client bob is revoked: issue a new one with qflctl pki issue",
        "the peer refuses the certificate of qfl://metro/client/bob: it is revoked; run qflctl pki "
        "issue");
}

/* ---- peers that are no filter of ours ---- */

/* A plain OpenSSL client over memory; `with`: its certificate, or NULL. */
static void stranger_talks(
    const struct member *server, const struct member *with, int version, const char *expected)
{
    struct tls_context *context = context_of(server);
    struct end end = {.context = context};
    assert_int_equal(tls_new(&end.tls, context, true, ROLE_CLIENT, NULL), 0);
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(c, version);
    if (with) {
        assert_int_equal(SSL_CTX_use_certificate_file(c, with->certificate, SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(c, with->key, SSL_FILETYPE_PEM), 1);
    }
    SSL *ssl = SSL_new(c);
    BIO *to = BIO_new(BIO_s_mem());
    BIO *from = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, from, to);
    for (int i = 0; i < 4; i++) {
        (void)SSL_connect(ssl);
        char *data;
        long n = BIO_get_mem_data(to, &data);
        if (n > 0)
            hear(&end, (uint8_t *)data, (size_t)n);
        (void)BIO_reset(to);
        struct buf b = {0};
        tls_take(end.tls, &b);
        BIO_write(from, b.data, (int)b.len);
        buf_deinit(&b);
    }
    assert_int_equal(end.result, -EPROTO);
    assert_string_equal(end.e.text, expected);
    SSL_free(ssl);
    SSL_CTX_free(c);
    tls_free(end.tls);
    tls_context_free(context);
}

static void test_strangers_are_refused(void **state)
{
    struct member server;
    struct member bob;
    certs_member(*state, ROLE_SERVER, "hub", &server);
    stranger_talks(&server, NULL, TLS1_3_VERSION,
        "the peer showed no certificate, but one of role client is needed");
    stranger_talks(&server, NULL, TLS1_2_VERSION, "the peer does not speak TLS 1.3");
    certs_issue(*state, "ca", "metro", ROLE_CLIENT, "bob", 0, -60, &bob);
    struct pki_identity who;
    struct err e = {""};
    assert_int_equal(pki_read(bob.certificate, &who, &e), 0);
    char day[32];
    struct tm utc;
    strftime(day, sizeof(day), "%Y-%m-%d %H:%M UTC", gmtime_r(&who.expires, &utc));
    char expected[200];
    snprintf(expected, sizeof(expected),
        "certificate of client bob expired on %s: renew it with qflctl pki renew", day);
    stranger_talks(&server, &bob, TLS1_3_VERSION, expected);
    static const char *const names[] = {NULL, "URI:https://metro/client/bob",
        "URI:qfl://metro/client/bob,URI:qfl://metro/client/eve", "URI:qfl://metro/client/Bob"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        certs_member(*state, ROLE_CLIENT, "bob", &bob);
        certs_rename(*state, "ca", &bob, names[i]);
        stranger_talks(&server, &bob, TLS1_3_VERSION,
            "the peer's certificate must name exactly one qfl://federation/role/site: issue it "
            "with "
            "qflctl pki issue");
    }
}

static void test_garbage_is_refused(void **state)
{
    struct member server;
    certs_member(*state, ROLE_SERVER, "hub", &server);
    struct tls_context *c = context_of(&server);
    static const char *const garbage[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff xxxxxx",
        "\0\0\0\x05\0\x10hello, I am a frame"};
    static const size_t lengths[] = {18, 11, 25};
    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        struct end end = {.context = c};
        assert_int_equal(tls_new(&end.tls, c, true, ROLE_CLIENT, NULL), 0);
        hear(&end, (const uint8_t *)garbage[i], lengths[i]);
        assert_int_equal(end.result, -EPROTO);
        assert_string_equal(end.e.text, "the peer does not speak TLS");
        uint8_t byte;
        assert_int_equal(tls_receive(end.tls, &byte, 1, &end.e), -EPROTO); /* only free is left */
        assert_int_equal(tls_read(end.tls, &byte, 1, &end.e), -EPROTO);
        tls_free(end.tls);
    }
    tls_context_free(c);
}

static void test_changed_record_is_refused(void **state)
{
    struct member alice;
    struct member server;
    certs_member(*state, ROLE_CLIENT, "alice", &alice);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    struct pair p;
    pair_init(&p, &alice, &server, ROLE_SERVER, NULL);
    talk(&p, SIZE_MAX / 2);
    assert_int_equal(tls_write(p.client.tls, (const uint8_t *)"hello", 5, NULL), 0);
    struct buf b = {0};
    tls_take(p.client.tls, &b);
    b.data[b.len - 1] ^= 1;
    hear(&p.server, b.data, b.len);
    buf_deinit(&b);
    assert_int_equal(p.server.result, -EPROTO);
    assert_int_equal(p.server.heard, 0);
    assert_string_equal(p.server.e.text, "TLS failed: decryption failed or bad record mac");
    talk(&p, SIZE_MAX / 2);
    assert_int_equal(p.client.result, -EPROTO);
    assert_string_equal(p.client.e.text, "the peer ended TLS with the alert \"bad record mac\"");
    pair_deinit(&p);
}

/* ---- files ---- */

static void expect_context(const struct member *m, int result, const char *path, const char *why)
{
    struct tls_context *c;
    struct err e = {""};
    assert_int_equal(tls_context_new(&c, &m->files, &e), result);
    assert_null(c);
    char expected[400];
    snprintf(expected, sizeof(expected), "%s%s", path, why);
    assert_string_equal(e.text, expected);
}

static void test_own_files_are_checked(void **state)
{
    const struct scratch *s = *state;
    struct member bob;
    struct member eve;
    certs_member(s, ROLE_CLIENT, "bob", &bob);
    certs_member(s, ROLE_CLIENT, "eve", &eve);
    struct member m = bob;

    m.files.certificate = "/no/cert.pem";
    expect_context(&m, -ENOENT, "",
        "/no/cert.pem: cannot read the certificate: "
        "No such file or directory");
    m.files = bob.files;
    m.files.key = "/no/key.pem";
    expect_context(&m, -ENOENT, "",
        "/no/key.pem: cannot read the private key: "
        "No such file or directory");
    m.files = bob.files;
    m.files.ca = "/no/ca.pem";
    expect_context(&m, -ENOENT, "", "/no/ca.pem: cannot read the CA: No such file or directory");
    m.files = bob.files;
    m.files.key = eve.key;
    expect_context(&m, -EINVAL, eve.key,
        ": not the key of the certificate; take both from one qflctl pki issue");
    m.files = bob.files;
    m.files.key = bob.certificate;
    assert_int_equal(chmod(bob.certificate, 0600), 0);
    expect_context(&m, -EINVAL, bob.certificate, ": no PEM private key without passphrase");
    m.files = bob.files;
    m.files.certificate = bob.key;
    expect_context(&m, -EINVAL, bob.key, ": no PEM certificate");
    m.files = bob.files;
    m.files.ca = bob.key;
    expect_context(&m, -EINVAL, bob.key, ": no PEM certificate of a CA");
}

static void test_own_identity_is_checked(void **state)
{
    struct member bob;
    certs_member(*state, ROLE_CLIENT, "bob", &bob);
    struct member m = bob;
    m.files.role = ROLE_KME;
    expect_context(&m, -EINVAL, bob.certificate,
        ": is for qfl://metro/client/bob, but qfl://metro/kme/bob is needed");
    m.files = bob.files;
    m.files.site = "alice";
    expect_context(&m, -EINVAL, bob.certificate,
        ": is for qfl://metro/client/bob, but qfl://metro/client/alice is needed");
    m.files = bob.files;
    m.files.federation = "suburb";
    expect_context(&m, -EINVAL, bob.certificate,
        ": is for qfl://metro/client/bob, but qfl://suburb/client/bob is needed");
    certs_rename(*state, "ca", &bob, NULL);
    expect_context(&bob, -EINVAL, bob.certificate,
        ": must name exactly one qfl://federation/role/site; issue it with qflctl pki issue");
}

static void test_own_certificate_of_another_ca_is_refused(void **state)
{
    certs_ca(*state, "ca2", "metro");
    struct member bob;
    struct member other;
    certs_member(*state, ROLE_CLIENT, "bob", &bob);
    certs_issue(*state, "ca2", "metro", ROLE_CLIENT, "bob", 0, 86400, &other);
    bob.files.ca = other.ca;
    char why[400];
    snprintf(why, sizeof(why),
        ": this certificate is not signed by the CA in %s: was it issued for another federation?",
        other.ca);
    expect_context(&bob, -EINVAL, bob.certificate, why);
}

static void test_open_key_is_refused(void **state)
{
    struct member bob;
    certs_member(*state, ROLE_CLIENT, "bob", &bob);
    static const mode_t modes[] = {0640, 0604, 0660, 0601};
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(bob.key, modes[i]), 0);
        expect_context(&bob, -EPERM, bob.key,
            ": group or others may read this private key; run chmod 600 on it");
    }
    assert_int_equal(chmod(bob.key, 0400), 0);
    tls_context_free(context_of(&bob));
}

static void test_reload_takes_new_files_and_keeps_old_ones_on_error(void **state)
{
    struct member bob;
    struct member server;
    certs_member(*state, ROLE_CLIENT, "bob", &bob);
    certs_member(*state, ROLE_SERVER, "hub", &server);
    struct pair p;
    pair_init(&p, &bob, &server, ROLE_SERVER, NULL);
    int64_t before = tls_context_expires_s(p.client.context);
    assert_true(before > time(NULL) + 80000 && before < time(NULL) + 90000);
    struct err e = {""};
    assert_int_equal(pki_renew(scratch_path(*state, "ca"), scratch_path(*state, "ca-client-bob"),
                         10 * 86400, &e),
        0);
    assert_int_equal(tls_context_reload(p.client.context, &e), 0);
    assert_true(tls_context_expires_s(p.client.context) > before + 8 * 86400);
    assert_int_equal(unlink(bob.key), 0);
    assert_int_equal(tls_context_reload(p.client.context, &e), -ENOENT);
    talk(&p, SIZE_MAX / 2); /* a connection begun before the reload is none the worse */
    assert_true(tls_is_open(p.client.tls) && tls_is_open(p.server.tls));
    struct tls *again;
    assert_int_equal(tls_new(&again, p.client.context, false, ROLE_SERVER, NULL), 0);
    tls_free(p.client.tls);
    tls_free(p.server.tls);
    assert_int_equal(tls_new(&p.server.tls, p.server.context, true, ROLE_CLIENT, NULL), 0);
    p.client.tls = again;
    talk(&p, SIZE_MAX / 2);
    assert_true(tls_is_open(p.client.tls) && tls_is_open(p.server.tls));
    pair_deinit(&p);
}

static void test_post_quantum_may_be_required(void **state)
{
    struct member bob;
    certs_member(*state, ROLE_CLIENT, "bob", &bob);
    bob.files.require_pq = true;
    struct tls_context *c;
    struct err e = {""};
    int r = tls_context_new(&c, &bob.files, &e);
    SSL_CTX *probe = SSL_CTX_new(TLS_method());
    bool is_known = SSL_CTX_set1_groups_list(probe, "X25519MLKEM768") == 1;
    SSL_CTX_free(probe);
    assert_int_equal(r, is_known ? 0 : -EINVAL);
    assert_string_equal(
        e.text, is_known ? "" : "require_pq: cannot be met: this OpenSSL knows no X25519MLKEM768");
    tls_context_free(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ends_know_each_other),
        TEST(test_bytes_cross_in_both_directions),
        TEST(test_full_records_only),
        TEST(test_no_session_is_ever_resumed),
        TEST(test_wrong_role_is_refused),
        TEST(test_wrong_far_end_is_refused),
        TEST(test_other_federation_is_refused),
        TEST(test_other_ca_is_refused),
        TEST(test_expired_certificate_is_refused),
        TEST(test_not_yet_valid_certificate_is_refused),
        TEST(test_revoked_certificate_is_refused),
        TEST(test_strangers_are_refused),
        TEST(test_garbage_is_refused),
        TEST(test_changed_record_is_refused),
        TEST(test_own_files_are_checked),
        TEST(test_own_identity_is_checked),
        TEST(test_own_certificate_of_another_ca_is_refused),
        TEST(test_open_key_is_refused),
        TEST(test_reload_takes_new_files_and_keeps_old_ones_on_error),
        TEST(test_post_quantum_may_be_required),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
