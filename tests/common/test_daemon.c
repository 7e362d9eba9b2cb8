/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a daemon: what it prints and its exit status. */
#include "common/daemon.h"
#include "common/util.h"
#include "tests/common/scratch.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

struct toy {
    uint64_t port;
    struct daemon_log log;
};

static const struct config_field fields[] = {
    {.key = "port",
        .type = CONFIG_U64,
        .offset = offsetof(struct toy, port),
        .help = "where it listens",
        .required = true,
        .min = 1,
        .max = 65535},
    DAEMON_LOG_FIELD(struct toy, log),
    {0},
};

static int check(const void *config, const char *path, struct err *e)
{
    const struct toy *toy = config;
    return toy->port == 13 ? err_set(e, -EINVAL, "%s: port 13 brings bad luck", path) : 0;
}

static int run(const void *config, struct log *log, struct err *e)
{
    const struct toy *toy = config;
    log_write(log, NOTE_INFO, "port %d", (int)toy->port);
    if (toy->port != 80)
        return EX_OK;
    err_set(e, -EADDRINUSE, "port 80 is in use");
    return EX_TEMPFAIL;
}

static const struct daemon_program program = {
    .name = "qfl-toy",
    .summary = "Does nothing, politely.",
    .default_config = "/nonexistent/toy.yaml",
    .fields = fields,
    .config_size = sizeof(struct toy),
    .check = check,
    .run = run,
    .log_offset = offsetof(struct toy, log),
};

struct outcome {
    int status;
    char *out;
    char *err;
};

static struct outcome start(const struct scratch *s, const char *arg1, const char *arg2)
{
    const char *argv[] = {"qfl-toy", arg1, arg2, NULL};
    int argc = arg2 ? 3 : arg1 ? 2 : 1;
    struct scratch_capture out = scratch_capture(s, STDOUT_FILENO, "out");
    struct scratch_capture err = scratch_capture(s, STDERR_FILENO, "err");
    struct outcome o = {.status = daemon_main(&program, argc, (char **)argv)};
    scratch_release(&err);
    scratch_release(&out);
    o.out = scratch_read(s, "out");
    o.err = scratch_read(s, "err");
    return o;
}

static struct outcome start_with(const struct scratch *s, const char *text, const char *option)
{
    scratch_write(s, "toy.yaml", text, 0600);
    static char config[200];
    snprintf(config, sizeof(config), "--config=%s", scratch_path(s, "toy.yaml"));
    return start(s, config, option);
}

static void outcome_deinit(struct outcome *o)
{
    free(o->out);
    free(o->err);
}

static int setup(void **state)
{
    struct scratch *s = malloc(sizeof(*s));
    scratch_init(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scratch_deinit(*state);
    free(*state);
    return 0;
}

static void test_wrong_use(void **state)
{
    struct outcome o = start(*state, "--confg", NULL);
    assert_int_equal(o.status, EX_USAGE);
    assert_string_equal(o.err, "qfl-toy: unknown option --confg; see qfl-toy --help\n");
    outcome_deinit(&o);
    o = start(*state, "--config", NULL);
    assert_int_equal(o.status, EX_USAGE);
    assert_string_equal(o.err, "qfl-toy: a value is missing after --config; see qfl-toy --help\n");
    outcome_deinit(&o);
    o = start(*state, "toy.yaml", NULL);
    assert_int_equal(o.status, EX_USAGE);
    assert_string_equal(o.err, "qfl-toy: unexpected argument toy.yaml; see qfl-toy --help\n");
    outcome_deinit(&o);
}

static void test_version_and_help(void **state)
{
    struct outcome o = start(*state, "--version", NULL);
    assert_int_equal(o.status, EX_OK);
    assert_string_equal(o.out, "qfl-toy " QFL_VERSION "\n");
    outcome_deinit(&o);
    o = start(*state, "--help", NULL);
    assert_int_equal(o.status, EX_OK);
    assert_non_null(strstr(o.out, "Does nothing, politely."));
    assert_non_null(strstr(o.out, "/nonexistent/toy.yaml"));
    outcome_deinit(&o);
}

static void test_no_configuration(void **state)
{
    struct outcome o = start(*state, NULL, NULL);
    assert_int_equal(o.status, EX_NOINPUT);
    assert_string_equal(
        o.err, "qfl-toy: /nonexistent/toy.yaml: there is no such file; name one with --config\n");
    outcome_deinit(&o);
}

static void test_wrong_configuration(void **state)
{
    struct outcome o = start_with(*state, "port: 0", "--check-config");
    assert_int_equal(o.status, EX_CONFIG);
    assert_non_null(strstr(o.err, "toy.yaml:1:7: port is 0, but must be 1 to 65535\n"));
    outcome_deinit(&o);
    o = start_with(*state, "port: 13", "--check-config");
    assert_int_equal(o.status, EX_CONFIG);
    assert_non_null(strstr(o.err, "toy.yaml: port 13 brings bad luck\n"));
    assert_string_equal(o.out, "");
    outcome_deinit(&o);
    o = start_with(*state, "port: 13", NULL); /* a start checks as well */
    assert_int_equal(o.status, EX_CONFIG);
    assert_null(strstr(o.err, "port 13\n"));
    outcome_deinit(&o);
}

static void test_check_and_print(void **state)
{
    struct outcome o = start_with(*state, "port: 8", "--check-config");
    assert_int_equal(o.status, EX_OK);
    assert_non_null(strstr(o.out, "toy.yaml: the configuration is right\n"));
    assert_string_equal(o.err, "");
    outcome_deinit(&o);
    o = start_with(*state, "port: 8", "--print-config");
    assert_int_equal(o.status, EX_OK);
    assert_string_equal(o.out, "port: 8  # where it listens\n"
                               "log:  # what is logged, to standard error\n"
                               "  format: text  # text or json\n"
                               "  level: info  # debug, info, warning or alarm\n"
                               "  # name:  # shown in each line; default: the program's name\n");
    outcome_deinit(&o);
}

static void test_run_logs_under_its_name(void **state)
{
    struct outcome o = start_with(*state, "port: 8", NULL);
    assert_int_equal(o.status, EX_OK);
    assert_non_null(strstr(o.err, "Z info qfl-toy: port 8\n"));
    outcome_deinit(&o);
    o = start_with(*state, "port: 80\nlog: {level: warning, name: toy of alice}", NULL);
    assert_int_equal(o.status, EX_TEMPFAIL);
    assert_null(strstr(o.err, "info"));
    assert_non_null(strstr(o.err, "Z alarm toy of alice: port 80 is in use\n"));
    outcome_deinit(&o);
}

static void test_process_is_hardened(void **state)
{
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = MIN((rlim_t)256, files.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    struct outcome o = start(*state, "--version", NULL);
    outcome_deinit(&o);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    assert_true(files.rlim_cur == MIN((rlim_t)8192, files.rlim_max));
    struct rlimit core;
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    assert_int_equal(core.rlim_max, 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    struct sigaction pipe;
    assert_int_equal(sigaction(SIGPIPE, NULL, &pipe), 0);
    assert_ptr_equal(pipe.sa_handler, SIG_IGN);
    assert_int_equal(umask(077), 077);
}

static void test_exit_statuses(void **state)
{
    static const struct {
        int error;
        int status;
    } rows[] = {{0, EX_OK}, {-EINVAL, EX_CONFIG}, {-EPROTO, EX_CONFIG}, {-ENOENT, EX_NOINPUT},
        {-EACCES, EX_NOPERM}, {-EADDRINUSE, EX_TEMPFAIL}, {-EBUSY, EX_TEMPFAIL},
        {-ECONNREFUSED, EX_UNAVAILABLE}, {-EBADMSG, EX_DATAERR}, {-ENOMEM, EX_OSERR},
        {-EIO, EX_OSERR}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(daemon_exit_status(rows[i].error), rows[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wrong_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version_and_help, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_check_and_print, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_logs_under_its_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_process_is_hardened, setup, teardown),
        cmocka_unit_test(test_exit_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
