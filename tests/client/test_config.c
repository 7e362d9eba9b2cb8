/* SPDX-License-Identifier: Apache-2.0 */
/* The files of qfl-client: what an operator may write, what is refused and how it is said. */
#include "client/config.h"
#include "client/hook.h"
#include "common/seed_file.h"
#include "common/util.h"
#include "tests/common/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

static const char good[] = "federation: demo\n"
                           "site: bob\n"
                           "server: 127.0.0.1:7000\n"
                           "tls: {certificate: cert.pem, key: key.pem, ca: ca.pem}\n"
                           "peers: [david, alice, charlie]\n"
                           "policy: {clip_max: 0.5, runs: any, key_budget_mbit_per_hour: 2}\n"
                           "task: {name: entanglement, shard: 1, shards: 4, layers: 3}\n";

static int load(const char *text, struct client_config *c, struct err *e)
{
    int r = config_load_text("/etc/client.yaml", text, strlen(text), client_config_fields, c, e);
    if (r < 0)
        return r;
    r = client_config_check(c, "/etc/client.yaml", e);
    if (r < 0)
        config_free(client_config_fields, c);
    return r;
}

static void what_a_short_file_means(void **state)
{
    (void)state;
    struct client_config c;
    struct err e = {0};
    assert_int_equal(load(good, &c, &e), 0);
    struct policy p = client_config_policy(&c);
    assert_int_equal(p.k_min, 3);
    assert_int_equal(p.t_min, 1);
    assert_true(p.any_run);
    assert_false(p.strict);
    assert_string_equal(p.task, "entanglement");
    assert_int_equal(p.key_budget_bytes_per_hour, 250000);
    assert_string_equal(c.tls.key, "/etc/key.pem");
    assert_string_equal(c.control, "/run/qfl/client-ctl.sock");
    const char **peers = client_config_peers(&c);
    assert_string_equal(peers[0], "alice");
    assert_string_equal(peers[2], "david");
    free(peers);
    config_free(client_config_fields, &c);
}

/* One line of the good file replaced. */
static void what_is_refused(void **state)
{
    static const struct {
        const char *line, *instead, *sentence;
    } rows[] = {
        {"site: bob", "site: Bob!", "/etc/client.yaml: site: \"Bob!\" is no name of a site"},
        {"peers: [david,", "peers: [bob,", "/etc/client.yaml: peers: bob is this site itself"},
        {"peers: [david,", "peers: [alice,", "/etc/client.yaml: peers: alice is named twice"},
        {"peers: [david,", "peers: [\"a b\",",
            "/etc/client.yaml: peers: \"a b\" is no name of a site"},
        {"runs: any", "k_min: 5",
            "/etc/client.yaml: policy: k_min is 5, but there are only 4 sites"},
        {"runs: any", "t_min: 3", "/etc/client.yaml: policy: t_min is 3, but 4 sites can bear 2"},
        {"runs: any", "q_min: 9, q_max: 8", "/etc/client.yaml: policy: q_min is above q_max"},
        {"shard: 1", "shard: 4", "/etc/client.yaml: task: shard 4 of 4: they count from 0"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct client_config c;
        struct err e = {0};
        char text[1024];
        const char *at = strstr(good, rows[i].line);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, rows[i].instead,
            at + strlen(rows[i].line));
        assert_int_equal(load(text, &c, &e), -EINVAL);
        assert_string_equal(e.text, rows[i].sentence);
    }
}

static void the_schema_names_the_place(void **state)
{
    static const struct {
        const char *line, *instead, *part;
    } rows[] = {
        {"runs: any", "k_min: 2", "/etc/client.yaml:6:"},
        {"runs: any", "runs: none", "/etc/client.yaml:6:"},
        {"server:", "servre:", "did you mean \"server\"?"},
        {"layers: 3", "lawyers: 3", "layers"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct client_config c;
        struct err e = {0};
        char text[1024];
        const char *at = strstr(good, rows[i].line);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, rows[i].instead,
            at + strlen(rows[i].line));
        assert_int_equal(load(text, &c, &e), -EINVAL);
        if (!strstr(e.text, rows[i].part))
            print_error("%s\n", e.text);
        assert_non_null(strstr(e.text, rows[i].part));
    }
}

static void a_task_is_opened_with_its_options(void **state)
{
    (void)state;
    struct client_config c;
    struct err e = {0};
    struct task *task = NULL;
    assert_int_equal(load(good, &c, &e), 0);
    c.task.samples = 8;
    assert_int_equal(client_config_open_task(&c, &task, &e), 0);
    assert_true(task->parameters > 0);
    task_free(task);
    free(c.task.layers);
    c.task.layers = strdup("many");
    assert_int_equal(client_config_open_task(&c, &task, &e), -EINVAL);
    assert_non_null(strstr(e.text, "layers"));
    config_free(client_config_fields, &c);
}

/* ---- seed --------------------------------------------------------------------------------------- */

static void a_seed_is_made_once(void **state)
{
    (void)state;
    struct scratch s;
    struct err e = {0};
    struct stat st;
    uint8_t first[RNG_SEED_BYTES] = {0}, again[RNG_SEED_BYTES] = {0}, zeros[RNG_SEED_BYTES] = {0};
    scratch_init(&s);
    assert_int_equal(seed_file_load(scratch_path(&s, "seed"), true, first, &e), 0);
    assert_memory_not_equal(first, zeros, sizeof(zeros));
    assert_int_equal(stat(scratch_path(&s, "seed"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(seed_file_load(scratch_path(&s, "seed"), true, again, &e), 0);
    assert_memory_equal(first, again, sizeof(again));
    scratch_deinit(&s);
}

static void seeds_that_are_refused(void **state)
{
    (void)state;
    struct scratch s;
    struct err e = {0};
    uint8_t seed[RNG_SEED_BYTES];
    scratch_init(&s);
    scratch_write(&s, "open", "0123456789abcdef0123456789abcdef", 0640);
    assert_int_equal(seed_file_load(scratch_path(&s, "open"), true, seed, &e), -EACCES);
    assert_non_null(strstr(e.text, "others may read it; chmod 600"));
    scratch_write(&s, "short", "0123456789abcdef0123456789abcde", 0600);
    assert_int_equal(seed_file_load(scratch_path(&s, "short"), true, seed, &e), -EBADMSG);
    scratch_write(&s, "long", "0123456789abcdef0123456789abcdef\n", 0600);
    assert_int_equal(seed_file_load(scratch_path(&s, "long"), true, seed, &e), -EBADMSG);
    assert_int_equal(seed_file_load(scratch_path(&s, "no/such"), true, seed, &e), -ENOENT);
    scratch_deinit(&s);
}

/* ---- hook --------------------------------------------------------------------------------------- */

static void hooks_are_for_builds_that_have_them(void **state)
{
    (void)state;
    struct client_config c;
    struct err e = {0};
    char text[1024];
    snprintf(text, sizeof(text), "%shook_dir: /tmp\n", good);
#ifdef QFL_TEST_HOOKS
    assert_int_equal(load(text, &c, &e), 0);
    config_free(client_config_fields, &c);
#else
    assert_int_equal(load(text, &c, &e), -EINVAL);
    assert_non_null(strstr(e.text, "this build has no test hooks"));
#endif
}

#ifdef QFL_TEST_HOOKS
static void the_hook_writes_an_array_for_nobody_else(void **state)
{
    (void)state;
    static const int64_t v[] = {1, -31, 0};
    struct scratch s;
    struct stat st;
    scratch_init(&s);
    struct hook hook = {.dir = s.path, .site = "bob"};
    hook_write(&hook, 3, 17, v, ARRAY_SIZE(v));
    char *text = scratch_read(&s, "bob-3-17.json");
    assert_string_equal(text, "[1,-31,0]\n");
    assert_int_equal(stat(scratch_path(&s, "bob-3-17.json"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    free(text);
    scratch_deinit(&s);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_short_file_means),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(the_schema_names_the_place),
        cmocka_unit_test(a_task_is_opened_with_its_options),
        cmocka_unit_test(a_seed_is_made_once),
        cmocka_unit_test(seeds_that_are_refused),
        cmocka_unit_test(hooks_are_for_builds_that_have_them),
#ifdef QFL_TEST_HOOKS
        cmocka_unit_test(the_hook_writes_an_array_for_nobody_else),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
