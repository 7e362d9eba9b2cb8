/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon's log says about its own certificate. */
#include "common/config_tls.h"
#include "tests/common/certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400L

struct daemon {
    struct scratch scratch;
    struct log *log;
    char last[256]; /* of the log */
    struct member alice;
    struct config_tls config;
    struct tls_context *tls;
};

static void hear(void *arg, enum note_level level, const char *text)
{
    struct daemon *d = arg;
    snprintf(d->last, sizeof(d->last), "%s %s", log_level_names[level], text);
}

static int setup(void **state)
{
    struct daemon *d = calloc(1, sizeof(*d));
    scratch_init(&d->scratch);
    certs_ca(&d->scratch, "ca", "metro");
    d->log = log_new("x", LOG_TEXT, NOTE_INFO);
    log_set_sink(d->log, hear, d);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct daemon *d = *state;
    tls_context_free(d->tls);
    log_free(d->log);
    scratch_deinit(&d->scratch);
    free(d);
    return 0;
}

static void start(struct daemon *d, long lifetime_s)
{
    struct err e = {""};
    certs_issue(&d->scratch, "ca", "metro", ROLE_CLIENT, "alice", 0, lifetime_s, &d->alice);
    d->config = (struct config_tls){d->alice.certificate, d->alice.key, d->alice.ca};
    assert_int_equal(
        config_tls_open(&d->tls, &d->config, "metro", ROLE_CLIENT, "alice", d->log, &e), 0);
}

static bool said(const struct daemon *d, const char *level, const char *what)
{
    return strncmp(d->last, level, strlen(level)) == 0 && strstr(d->last, what);
}

static void a_start_says_until_when(void **state)
{
    struct daemon *d = *state;
    start(d, 30 * DAY);
    assert_true(said(d, "info", "own certificate, valid until 20"));
    assert_null(strstr(d->last, "renew"));
}

static void the_last_days_are_a_warning(void **state)
{
    struct daemon *d = *state;
    start(d, (CONFIG_TLS_WARN_DAYS - 1) * DAY);
    assert_true(said(d, "warning", "renew it with qflctl pki renew"));
}

static void a_reload_is_confirmed_and_a_failed_one_explained(void **state)
{
    struct daemon *d = *state;
    start(d, 30 * DAY);
    config_tls_reload(d->tls, d->log);
    assert_true(said(d, "info", "certificates have been read again; the own one, valid until 20"));
    FILE *f = fopen(d->alice.certificate, "w");
    assert_non_null(f);
    fclose(f);
    config_tls_reload(d->tls, d->log);
    assert_true(said(d, "warning", "certificates not read again: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_start_says_until_when, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_days_are_a_warning, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_reload_is_confirmed_and_a_failed_one_explained, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
