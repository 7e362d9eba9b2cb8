/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines: format, level, and that no text can forge a line. */
#include "common/log.h"
#include "common/util.h"
#include "tests/common/scratch.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* What one log line looks like on standard error. */
static char *line_of(enum log_format format, const char *name, const char *text)
{
    struct scratch scratch;
    scratch_init(&scratch);
    struct log *l = log_new(name, format, NOTE_DEBUG);
    assert_non_null(l);
    struct scratch_capture capture = scratch_capture(&scratch, STDERR_FILENO, "err");
    log_write(l, NOTE_WARNING, "%s", text);
    scratch_release(&capture);
    log_free(l);
    char *line = scratch_read(&scratch, "err");
    scratch_deinit(&scratch);
    return line;
}

static const char *after_time(const char *line)
{
    const char *pattern = "dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; pattern[i]; i++) {
        bool is_digit = line[i] >= '0' && line[i] <= '9';
        assert_true(pattern[i] == 'd' ? is_digit : line[i] == pattern[i]);
    }
    return line + strlen(pattern);
}

static void test_text_line(void **state)
{
    auto_free char *line = line_of(LOG_TEXT, "client alice", "round 3 summed");
    assert_string_equal(after_time(line), "warning client alice: round 3 summed\n");
}

static void test_text_line_cannot_be_forged(void **state)
{
    auto_free char *line =
        line_of(LOG_TEXT, "server", "site \"a\n2026 info b\x1b[2J\xff\xc3\xa9\"");
    assert_string_equal(
        after_time(line), "warning server: site \"a\\x0a2026 info b\\x1b[2J\\xff\xc3\xa9\"\n");
}

static void test_json_line_is_one_object(void **state)
{
    auto_free char *line = line_of(
        LOG_JSON, "a\"b", "quote \" slash \\ newline \n bad \xf0\x9f\x98 good \xf0\x9f\x98\x80");
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    json_t *object = json_loads(line, 0, NULL);
    assert_non_null(object);
    assert_int_equal(json_object_size(object), 4);
    assert_string_equal(json_string_value(json_object_get(object, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(object, "name")), "a\"b");
    assert_string_equal(json_string_value(json_object_get(object, "text")),
        "quote \" slash \\ newline \n bad \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd good "
        "\xf0\x9f\x98\x80");
    json_decref(object);
}

static void test_long_text_is_cut(void **state)
{
    char text[5000];
    memset(text, '\x01', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    auto_free char *line = line_of(LOG_JSON, "s", text);
    assert_non_null(strstr(line, "\\u0001...\"}\n"));
    assert_true(strlen(line) > 6 * 2000 && strlen(line) < 6 * 2200);
}

struct heard {
    int n;
    char text[64];
};

static void hear(void *arg, enum note_level level, const char *text)
{
    struct heard *heard = arg;
    heard->n++;
    snprintf(heard->text, sizeof(heard->text), "%s %s", log_level_names[level], text);
}

static void test_lines_below_the_level_are_dropped(void **state)
{
    struct log *l = log_new("x", LOG_TEXT, NOTE_WARNING);
    struct heard heard = {0};
    log_set_sink(l, hear, &heard);
    errno = ENOSPC;
    log_write(l, NOTE_INFO, "not this");
    assert_int_equal(heard.n, 0);
    log_write(l, NOTE_ALARM, "but %s", "this");
    assert_int_equal(heard.n, 1);
    assert_string_equal(heard.text, "alarm but this");
    assert_int_equal(errno, ENOSPC);
    log_free(l);
    log_write(NULL, NOTE_ALARM, "nobody listens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_line),
        cmocka_unit_test(test_text_line_cannot_be_forged),
        cmocka_unit_test(test_json_line_is_one_object),
        cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test(test_lines_below_the_level_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
