/* SPDX-License-Identifier: Apache-2.0 */
/* qflctl's own logic: command lines, what fits a terminal's line, audits of key and of sums. */
#include "deploy/ctl/audit.h"
#include "deploy/ctl/options.h"
#include "deploy/ctl/screen.h"
#include "deploy/ctl/term.h"

#include "common/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sysexits.h>

#include <cmocka.h>

/* ---- command lines ------------------------------------------------------------------------------ */

struct line {
    bool json;
    const char *control;
    const char *hooks[OPTION_VALUES_MAX];
    size_t n_hooks;
    char *argv[2 * OPTION_VALUES_MAX + 4];
    int operands;
    struct err e;
};

/* `words` ends with NULL. */
static int parse(struct line *l, int most, const char *const *words)
{
    const struct option_spec specs[] = {{.name = "json", .is_flag = true, .flag = &l->json},
        {.name = "control", .value = &l->control},
        {.name = "hooks", .values = l->hooks, .n_values = &l->n_hooks}, {0}};
    int argc = 0;
    for (; words[argc]; argc++)
        l->argv[argc] = (char *)words[argc];
    return options_parse(specs, argc, l->argv, most, &l->operands, &l->e);
}

static void options_and_operands_may_be_mixed(void **state)
{
    struct line l = {0};
    const char *const words[] = {"site pair", "alice", "--json", "--control=/a", "bob", "--hooks",
        "1", "--hooks", "2", NULL};
    assert_int_equal(parse(&l, 2, words), 0);
    assert_true(l.json);
    assert_string_equal(l.control, "/a");
    assert_int_equal(l.n_hooks, 2);
    assert_int_equal(l.operands, 2);
    assert_string_equal(l.argv[0], "alice");
    assert_string_equal(l.argv[1], "bob");
}

static void wrong_command_lines_are_named(void **state)
{
    const struct {
        const char *words[4];
        int most;
        const char *sentence;
    } rows[] = {
        {{"run stop", "now"}, 0, "run stop takes options only, not \"now\""},
        {{"approve", "1", "2"}, 1, "approve: \"2\" is one operand too many"},
        {{"run stop", "--jsno"}, 0,
            "run stop does not know the option --jsno; see qflctl run stop --help"},
        {{"run stop", "--control"}, 0, "--control needs a value"},
        {{"run stop", "--json=yes"}, 0, "--json takes no value"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct line l = {0};
        assert_int_equal(parse(&l, rows[i].most, rows[i].words), EX_USAGE);
        assert_string_equal(l.e.text, rows[i].sentence);
    }
}

static void an_option_is_not_given_too_often(void **state)
{
    const char *words[2 * OPTION_VALUES_MAX + 4] = {"audit"};
    struct line l = {0};
    for (int i = 0; i <= OPTION_VALUES_MAX; i++) {
        words[1 + 2 * i] = "--hooks";
        words[2 + 2 * i] = "x";
    }
    assert_int_equal(parse(&l, 0, words), EX_USAGE);
    assert_int_equal(l.n_hooks, OPTION_VALUES_MAX);
}

static void numbers_are_whole_and_within_bounds(void **state)
{
    struct err e = {0};
    long long n = -1;
    assert_int_equal(options_number("from", "12", 1, 12, &n, &e), 0);
    assert_int_equal(n, 12);
    const char *const wrong[] = {"0", "13", "", "1x", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(options_number("from", wrong[i], 1, 12, &n, &e), EX_USAGE);
}

/* ---- the terminal ------------------------------------------------------------------------------- */

static size_t fit(const char *line, size_t columns)
{
    return screen_fit(line, strlen(line), columns);
}

static void a_line_is_cut_by_what_is_seen(void **state)
{
    assert_int_equal(fit("round", 80), 5);
    assert_int_equal(fit("round", 3), 3);
    assert_int_equal(fit("", 3), 0);
    /* Colours take no column, and one behind the last column is still sent. */
    assert_int_equal(fit("\033[1mab\033[0mc", 2), 10);
    /* A character is never cut into bytes. */
    assert_int_equal(fit("▁▂▃", 2), 6);
    /* A sequence that does not end ends with the line. */
    assert_int_equal(fit("a\033[1", 5), 4);
}

static void a_sparkline_spans_its_values(void **state)
{
    char out[TERM_TEXT];
    const double falling[] = {3, 2, 1};
    assert_string_equal(term_sparkline(out, falling, 3, 60), "█▄▁");
    assert_string_equal(term_sparkline(out, falling, 3, 2), "█▁");
    const double level[] = {1, 1};
    assert_string_equal(term_sparkline(out, level, 2, 60), "▄▄");
    assert_string_equal(term_sparkline(out, level, 0, 60), "");
}

static void amounts_have_units(void **state)
{
    char out[TERM_TEXT];
    assert_string_equal(term_bits(out, 999), "999 bit");
    assert_string_equal(term_bits(out, 1234567), "1.23 Mbit");
    assert_string_equal(term_bar(out, 0.5, 4), "[##..]");
    assert_string_equal(term_bar(out, 7, 4), "[####]");
}

/* ---- audits ------------------------------------------------------------------------------------- */

static uint64_t reused(const char *vaults)
{
    json_t *v = json_loads(vaults, 0, NULL);
    struct audit_findings f;
    struct err e = {0};
    assert_non_null(v);
    assert_int_equal(audit_ranges(v, &f, &e), 0);
    json_decref(v);
    json_decref(f.conflicts);
    return f.reused;
}

#define RANGE(stream, start, end, attempt)                                                         \
    "{\"kind\":\"reserve\",\"stream\":\"" stream "\",\"start\":" #start ",\"end\":" #end           \
    ",\"attempt\":" #attempt "}"
#define VAULT(site, ...) "{\"site\":\"" site "\",\"ranges\":[" __VA_ARGS__ "]}"

static void the_two_ends_of_one_attempt_share_bytes(void **state)
{
    assert_int_equal(reused("[" VAULT("alice", RANGE("s", 0, 10, 1) "," RANGE("s", 10, 20,
                                                   2)) "," VAULT("bob", RANGE("s", 0, 10, 1)) "]"),
        0);
}

static void two_attempts_never_do(void **state)
{
    assert_int_equal(
        reused("[" VAULT("alice", RANGE("s", 0, 10, 1) "," RANGE("s", 9, 20, 2)) "]"), 1);
    assert_int_equal(
        reused("[" VAULT("alice", RANGE("s", 0, 10, 1)) "," VAULT("bob", RANGE("s", 5, 15, 2)) "]"),
        1);
    /* One end, twice in one attempt. */
    assert_int_equal(
        reused("[" VAULT("alice", RANGE("s", 0, 10, 1) "," RANGE("s", 0, 10, 1)) "]"), 1);
    /* Other streams are other bytes. */
    assert_int_equal(
        reused("[" VAULT("alice", RANGE("s", 0, 10, 1) "," RANGE("t", 0, 10, 2)) "]"), 0);
}

static void an_answer_of_another_shape_is_refused(void **state)
{
    json_t *v = json_loads("[{\"ranges\":[]}]", 0, NULL);
    struct audit_findings f;
    struct err e = {0};
    assert_int_equal(audit_ranges(v, &f, &e), -EINVAL);
    json_decref(v);
}

static void sums_are_compared_word_by_word(void **state)
{
    struct err e = {0};
    json_t *clients = json_loads("[[1,-2],[3,4]]", 0, NULL);
    json_t *right = json_loads("[4,2]", 0, NULL);
    json_t *wrong = json_loads("[4,3]", 0, NULL);
    json_t *longer = json_loads("[4,2,0]", 0, NULL);
    assert_int_equal(audit_sum(clients, right, &e), 1);
    assert_int_equal(audit_sum(clients, wrong, &e), 0);
    assert_int_equal(audit_sum(clients, longer, &e), -EINVAL);
    json_decref(clients);
    json_decref(right);
    json_decref(wrong);
    json_decref(longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_may_be_mixed),
        cmocka_unit_test(wrong_command_lines_are_named),
        cmocka_unit_test(an_option_is_not_given_too_often),
        cmocka_unit_test(numbers_are_whole_and_within_bounds),
        cmocka_unit_test(a_line_is_cut_by_what_is_seen),
        cmocka_unit_test(a_sparkline_spans_its_values),
        cmocka_unit_test(amounts_have_units),
        cmocka_unit_test(the_two_ends_of_one_attempt_share_bytes),
        cmocka_unit_test(two_attempts_never_do),
        cmocka_unit_test(an_answer_of_another_shape_is_refused),
        cmocka_unit_test(sums_are_compared_word_by_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
