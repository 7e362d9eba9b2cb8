/* SPDX-License-Identifier: Apache-2.0 */
/* The certification authority: identities that come back as they were given, keys nobody else may
 * read, nothing overwritten by accident. */
#include "common/pki.h"

#include "common/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[64];
    char ca[96];
    char leaf[96];
    char certificate[128];
    char key[128];
};

static int place_init(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    strcpy(p->dir, "/tmp/qfl-pki.XXXXXX");
    if (!p || !mkdtemp(p->dir))
        return -1;
    snprintf(p->ca, sizeof(p->ca), "%s/ca", p->dir);
    snprintf(p->leaf, sizeof(p->leaf), "%s/alice", p->dir);
    snprintf(p->certificate, sizeof(p->certificate), "%s/cert.pem", p->leaf);
    snprintf(p->key, sizeof(p->key), "%s/key.pem", p->leaf);
    *state = p;
    return 0;
}

static int place_deinit(void **state)
{
    struct place *p = *state;
    static const char *const files[] = {
        "ca/ca.pem", "ca/ca-key.pem", "alice/ca.pem", "alice/cert.pem", "alice/key.pem"};
    char path[128];
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", p->dir, files[i]);
        unlink(path);
    }
    rmdir(p->ca);
    rmdir(p->leaf);
    rmdir(p->dir);
    free(p);
    return 0;
}

static void an_identity_comes_back_as_it_was_given(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    for (int algorithm = PKI_P256; algorithm <= PKI_ED25519; algorithm++) {
        assert_int_equal(0, pki_init(p->ca, "metro", (enum pki_algorithm)algorithm, 10, &e));
        const struct pki_request q = {.role = ROLE_CLIENT,
            .site = "alice",
            .algorithm = (enum pki_algorithm)algorithm,
            .lifetime_s = 86400,
            .force = true};
        assert_int_equal(0, pki_issue(p->ca, &q, p->leaf, &e));
        struct pki_identity who;
        assert_int_equal(0, pki_read(p->certificate, &who, &e));
        assert_string_equal("metro", who.federation);
        assert_string_equal("alice", who.site);
        assert_int_equal(ROLE_CLIENT, who.role);
        assert_in_range(who.expires - time(NULL), 86400 - 100, 86400);
        char path[128];
        snprintf(path, sizeof(path), "%s/ca.pem", p->ca);
        unlink(path);
        snprintf(path, sizeof(path), "%s/ca-key.pem", p->ca);
        unlink(path);
    }
}

static void keys_are_for_their_owner_only(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    struct stat st;
    char path[128];
    assert_int_equal(0, pki_init(p->ca, "metro", PKI_P256, 10, &e));
    snprintf(path, sizeof(path), "%s/ca-key.pem", p->ca);
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0600, st.st_mode & 07777);
    const struct pki_request q = {.role = ROLE_KME, .site = "bob", .lifetime_s = 60};
    assert_int_equal(0, pki_issue(p->ca, &q, p->leaf, &e));
    assert_int_equal(0, stat(p->key, &st));
    assert_int_equal(0600, st.st_mode & 07777);
}

static void nothing_is_overwritten_unless_told_to(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    assert_int_equal(0, pki_init(p->ca, "metro", PKI_P256, 10, &e));
    assert_true(pki_init(p->ca, "metro", PKI_P256, 10, &e) < 0);
    assert_non_null(strstr(e.text, "is not overwritten"));
    struct pki_request q = {.role = ROLE_SERVER, .site = "aggregator", .lifetime_s = 60};
    assert_int_equal(0, pki_issue(p->ca, &q, p->leaf, &e));
    assert_true(pki_issue(p->ca, &q, p->leaf, &e) < 0);
    q.force = true;
    assert_int_equal(0, pki_issue(p->ca, &q, p->leaf, &e));
}

static void renewing_keeps_the_identity_and_changes_the_key(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    char before[4096] = {0};
    char after[4096] = {0};
    assert_int_equal(0, pki_init(p->ca, "metro", PKI_ED25519, 10, &e));
    const struct pki_request q = {
        .role = ROLE_CLIENT, .site = "carol", .algorithm = PKI_ED25519, .lifetime_s = 60};
    assert_int_equal(0, pki_issue(p->ca, &q, p->leaf, &e));
    FILE *f = fopen(p->key, "r");
    assert_true(fread(before, 1, sizeof(before) - 1, f) > 0);
    fclose(f);
    assert_int_equal(0, pki_renew(p->ca, p->leaf, 7200, &e));
    f = fopen(p->key, "r");
    assert_true(fread(after, 1, sizeof(after) - 1, f) > 0);
    fclose(f);
    assert_string_not_equal(before, after);
    struct pki_identity who;
    assert_int_equal(0, pki_read(p->certificate, &who, &e));
    assert_string_equal("carol", who.site);
    assert_true(who.expires > time(NULL) + 7000);
}

static void bad_requests_are_refused_with_a_sentence(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    assert_int_equal(-EINVAL, pki_init(p->ca, "Metro Net", PKI_P256, 10, &e));
    assert_non_null(strstr(e.text, "no federation name"));
    const struct pki_request q = {.role = ROLE_CLIENT, .site = "alice", .lifetime_s = 60};
    assert_int_equal(-ENOENT, pki_issue(p->ca, &q, p->leaf, &e));
    assert_non_null(strstr(e.text, "cannot read the certificate"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_identity_comes_back_as_it_was_given, place_init, place_deinit),
        cmocka_unit_test_setup_teardown(keys_are_for_their_owner_only, place_init, place_deinit),
        cmocka_unit_test_setup_teardown(
            nothing_is_overwritten_unless_told_to, place_init, place_deinit),
        cmocka_unit_test_setup_teardown(
            renewing_keeps_the_identity_and_changes_the_key, place_init, place_deinit),
        cmocka_unit_test_setup_teardown(
            bad_requests_are_refused_with_a_sentence, place_init, place_deinit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
