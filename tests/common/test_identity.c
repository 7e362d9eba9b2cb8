/* SPDX-License-Identifier: Apache-2.0 */
/* One spelling for one identity. */
#include "common/identity.h"
#include "common/util.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void only_exact_uris_are_identities(void **state)
{
    struct identity who;
    static const char *const bad[] = {"", "qfl://", "qfl://f/client", "qfl://f/client/",
        "qfl://f/client/a/b", "qfl://f/king/a", "QFL://f/client/a", "qfl://f/client/A",
        "qfl:///client/a", "qfl://f/none/a", "http://f/client/a", "qfl://f/client/a b"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(-EINVAL, identity_parse(bad[i], &who));
    char longest[128] = "qfl://f/client/";
    memset(longest + strlen(longest), 'a', SITE_NAME_MAX);
    assert_int_equal(0, identity_parse(longest, &who));
    strcat(longest, "a");
    assert_int_equal(-EINVAL, identity_parse(longest, &who));
}

static void an_identity_is_written_as_it_is_read(void **state)
{
    struct identity who;
    char uri[IDENTITY_URI_MAX];
    assert_int_equal(0, identity_parse("qfl://metro-1/qkdsim/lab", &who));
    assert_string_equal("metro-1", who.federation);
    assert_int_equal(ROLE_QKDSIM, who.role);
    assert_string_equal("lab", who.site);
    identity_format(&who, uri);
    assert_string_equal("qfl://metro-1/qkdsim/lab", uri);
    memset(who.federation, 'f', SITE_NAME_MAX);
    memset(who.site, 's', SITE_NAME_MAX);
    identity_format(&who, uri);
    struct identity again;
    assert_int_equal(0, identity_parse(uri, &again));
    assert_memory_equal(&who, &again, sizeof(who));
}

/* A certificate with these alternative names, as far as identities are concerned. */
static int identity_with(const char *names, struct identity *who)
{
    X509 *c = X509_new();
    assert_non_null(c);
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, NULL, c, NULL, NULL, 0);
    if (names) {
        X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, names);
        assert_non_null(x);
        assert_int_equal(1, X509_add_ext(c, x, -1));
        X509_EXTENSION_free(x);
    }
    int r = identity_of_certificate(c, who);
    X509_free(c);
    return r;
}

static void a_certificate_has_one_identity(void **state)
{
    struct identity who;
    assert_int_equal(0, identity_with("URI:qfl://f/client/bob", &who));
    assert_string_equal("bob", who.site);
    assert_int_equal(0,
        identity_with("DNS:bob.example,IP:127.0.0.1,URI:https://x/,URI:qfl://f/client/bob", &who));
    static const char *const bad[] = {NULL, "DNS:bob", "URI:https://f/client/bob",
        "DNS:qfl://f/client/bob", "URI:qfl://f/client/bob,URI:qfl://f/client/bob",
        "URI:qfl://f/client/bob,URI:qfl://f/kme/bob", "URI:qfl://f/client/bob,URI:qfl:x",
        "URI:QFL://f/client/bob", "URI:qfl://f/client/bob/"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(-EINVAL, identity_with(bad[i], &who));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_exact_uris_are_identities),
        cmocka_unit_test(an_identity_is_written_as_it_is_read),
        cmocka_unit_test(a_certificate_has_one_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
