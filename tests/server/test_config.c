/* SPDX-License-Identifier: Apache-2.0 */
/* server.yaml: what an operator may write, what is refused and how it is said. */
#include "server/config.h"

#include "common/checkpoint.h"
#include "common/util.h"
#include "tests/common/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#define PATH "/etc/server.yaml"

static const char good[] = "federation: demo\n"
                           "listen: 127.0.0.1:7000\n"
                           "tls: {certificate: cert.pem, key: key.pem, ca: ca.pem}\n"
                           "roster: [david, alice, charlie, bob]\n"
                           "run:\n"
                           "  task: test\n"
                           "  trainer: none\n"
                           "  model: MODEL\n"
                           "  rounds: 5\n"
                           "  clip: 0.5\n"
                           "  q: 8\n"
                           "  settings: {lr: 0.05, batch: 20}\n"
                           "deadlines: {ready_s: 1.5}\n";

static void write_model(const char *path, const char *federation, const char *task)
{
    double weights[3] = {1, 2, 3};
    struct checkpoint c = {.parameters = 3, .model = weights};
    snprintf(c.federation, sizeof(c.federation), "%s", federation);
    snprintf(c.task, sizeof(c.task), "%s", task);
    struct blob *bytes = checkpoint_encode(&c);
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(bytes->data, 1, bytes->len, f), bytes->len);
    fclose(f);
    blob_unref(bytes);
}

/* `text` with its first `what` replaced. */
static char *replace(const char *text, const char *what, const char *with)
{
    const char *at = strstr(text, what);
    assert_non_null(at);
    size_t size = strlen(text) + strlen(with) + 1;
    char *out = malloc(size);
    assert_non_null(out);
    snprintf(out, size, "%.*s%s%s", (int)(at - text), text, with, at + strlen(what));
    return out;
}

/* The good file with the model in place, and one more line changed. */
static int load(const struct scratch *s, const char *line, const char *instead,
    struct server_config *c, struct err *e)
{
    auto_free char *with_model = replace(good, "MODEL", scratch_path(s, "model.qflm"));
    auto_free char *text = replace(with_model, line, instead);
    *e = (struct err){0};
    int r = config_load_text(PATH, text, strlen(text), server_fields, c, e);
    if (r < 0)
        return r;
    r = server_config_check(c, PATH, e);
    if (r < 0)
        config_free(server_fields, c);
    return r;
}

static void what_the_core_is_given(void **state)
{
    struct scratch s;
    struct server_config c;
    struct server_terms t;
    struct err e;
    scratch_init(&s);
    write_model(scratch_path(&s, "model.qflm"), "demo", "test");
    assert_int_equal(load(&s, "q: 8", "q: 8", &c, &e), 0);
    assert_int_equal(server_terms_init(&t, &c, &e), 0);
    assert_string_equal(t.aggregator.roster[0], "alice");
    assert_string_equal(t.aggregator.roster[3], "david");
    assert_int_equal(t.aggregator.min_clients, 3);
    assert_int_equal(t.aggregator.wait_ms, 10000);
    assert_int_equal(t.aggregator.deadlines.ready_ms, 1500);
    assert_int_equal(t.aggregator.deadlines.confirm_ms, 10000);
    assert_true(t.aggregator.start_auto);
    assert_false(t.aggregator.exit_when_done);
    assert_int_equal(t.params.parameters, 3);
    assert_int_equal(t.params.n_settings, 2);
    assert_string_equal(t.params.settings[0]->name, "lr");
    assert_true(t.params.settings[0]->value == 0.05);
    assert_true(t.model[2] == 3);
    assert_string_equal(c.tls.key, "/etc/key.pem");
    assert_string_equal(c.control, "/run/qfl/server.sock");
    server_terms_deinit(&t);
    config_free(server_fields, &c);
    scratch_deinit(&s);
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *line, *instead, *sentence;
    } rows[] = {
        {"federation: demo", "federation: DEMO",
            PATH ": federation and site are lower-case letters, digits and '-'"},
        {"[david,", "[Dave,", PATH ": roster: \"Dave\" is no name of a site"},
        {"[david,", "[alice,", PATH ": alice stands twice in the roster"},
        {"q: 8", "q: 3",
            PATH ": a federation of 4 sites: q = 3 is too small for 4 participants: the least is "
                 "q = 4"},
        {"q: 8", "q: 8\n  min_clients: 5", PATH ": a roster of 4 sites cannot make min_clients 5"},
        {"q: 8", "q: 32\n  chunk_words: 524288",
            PATH ": chunks of 524288 words of 32 bits are larger than 1048576 bytes"},
    };
    struct scratch s;
    scratch_init(&s);
    write_model(scratch_path(&s, "model.qflm"), "demo", "test");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct server_config c;
        struct err e;
        assert_int_equal(load(&s, rows[i].line, rows[i].instead, &c, &e), -EINVAL);
        assert_string_equal(e.text, rows[i].sentence);
    }
    scratch_deinit(&s);
}

static void expect_model_refused(const struct scratch *s, int error, const char *end)
{
    struct server_config c;
    struct err e;
    assert_int_equal(load(s, "q: 8", "q: 8", &c, &e), error);
    assert_non_null(strstr(e.text, PATH ": run: model: "));
    const char *told = strstr(e.text, "model.qflm");
    assert_non_null(told);
    assert_string_equal(told + strlen("model.qflm"), end);
}

static void a_model_that_does_not_fit_is_refused(void **state)
{
    struct scratch s;
    scratch_init(&s);
    expect_model_refused(&s, -ENOENT, ": No such file or directory");
    write_model(scratch_path(&s, "model.qflm"), "demo", "other");
    expect_model_refused(&s, -EINVAL, ": is of task \"other\", the run trains \"test\"");
    write_model(scratch_path(&s, "model.qflm"), "else", "test");
    expect_model_refused(&s, -EINVAL, ": is of federation \"else\", this one is \"demo\"");
    scratch_deinit(&s);
}

static void a_file_that_is_no_model_is_refused(void **state)
{
    struct scratch s;
    struct server_config c;
    struct err e;
    scratch_init(&s);
    scratch_write(&s, "model.qflm", "nothing of the kind", 0600);
    assert_int_equal(load(&s, "q: 8", "q: 8", &c, &e), -EINVAL);
    assert_non_null(strstr(e.text, "model.qflm: "));
    scratch_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_core_is_given),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_model_that_does_not_fit_is_refused),
        cmocka_unit_test(a_file_that_is_no_model_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
