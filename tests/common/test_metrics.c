/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of a core as JSON and as OpenMetrics text. */
#include "common/metrics.h"
#include "common/util.h"
#include "tests/common/faults.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

struct counters {
    uint64_t frames;
    uint64_t key_bits;
    uint64_t sessions;
};

static const struct metric table[] = {
    METRIC(struct counters, frames, METRIC_COUNTER, "frames from clients"),
    METRIC(struct counters, sessions, METRIC_GAUGE, "open sessions"),
    METRIC(struct counters, key_bits, METRIC_COUNTER, "key used"),
    {0},
};

static const struct counters values = {.frames = 5, .key_bits = (uint64_t)1 << 62, .sessions = 2};

static void test_json(void **state)
{
    json_t *all = metrics_json(table, &values);
    assert_non_null(all);
    char *text = json_dumps(all, JSON_COMPACT);
    assert_string_equal(text, "{\"frames\":5,\"sessions\":2,\"key_bits\":4611686018427387904}");
    free(text);
    json_decref(all);
}

static void test_text(void **state)
{
    struct buf out = {0};
    assert_int_equal(metrics_text(&out, "qfl_server", "", table, &values), 0);
    assert_int_equal(metrics_text(&out, "qfl_client", "site=\"alice\"", table + 1, &values), 0);
    assert_int_equal(buf_append(&out, METRICS_EOF, sizeof(METRICS_EOF)), 0);
    assert_string_equal((const char *)out.data,
        "# TYPE qfl_server_frames counter\n"
        "# HELP qfl_server_frames frames from clients\n"
        "qfl_server_frames_total 5\n"
        "# TYPE qfl_server_sessions gauge\n"
        "# HELP qfl_server_sessions open sessions\n"
        "qfl_server_sessions 2\n"
        "# TYPE qfl_server_key_bits counter\n"
        "# HELP qfl_server_key_bits key used\n"
        "qfl_server_key_bits_total 4611686018427387904\n"
        "# TYPE qfl_client_sessions gauge\n"
        "# HELP qfl_client_sessions open sessions\n"
        "qfl_client_sessions{site=\"alice\"} 2\n"
        "# TYPE qfl_client_key_bits counter\n"
        "# HELP qfl_client_key_bits key used\n"
        "qfl_client_key_bits_total{site=\"alice\"} 4611686018427387904\n"
        "# EOF\n");
    buf_deinit(&out);
}

static void test_failures_are_reported(void **state)
{
    int r = -ENOMEM;
    unsigned failures = 0;
    for (unsigned n = 1; r != 0; n++) {
        struct buf out = {0};
        faults_fail_at(n);
        r = metrics_text(&out, "qfl", "", table, &values);
        assert_int_equal(r, faults_fired() ? -ENOMEM : 0);
        failures += faults_fired();
        faults_fail_at(0);
        buf_deinit(&out);
    }
    assert_true(failures > 0);
    char labels[600];
    memset(labels, 'x', sizeof(labels) - 1);
    labels[sizeof(labels) - 1] = '\0';
    struct buf out = {0};
    assert_int_equal(metrics_text(&out, "qfl", labels, table, &values), -EMSGSIZE);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_failures_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
