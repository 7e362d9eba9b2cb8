/* SPDX-License-Identifier: Apache-2.0 */
/* `qflctl keyrate`: what a person may write, and what they are told when it is wrong. */
#include "keypool/qkd/keyrate_csv.h"

#include "common/util.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define HEADER "pair,mu,n,n_x,m_x,n_y,m_y\n"
#define ROW_AB "AB,0.017,208796444,169216602,1434989,2171543,10748\n"
#define ROW_AC "AC,0.0085,52455918,42542127,446184,575833,7221\n"

static int parse(struct keyrate_table *t, const char *text, struct err *e)
{
    struct keyrate_options o = keyrate_paper_options();
    return keyrate_csv_parse(t, text, strlen(text), "counts.csv", &o, e);
}

static struct keyrate_table compute(const char *text)
{
    struct keyrate_table t;
    struct err e = {{0}};
    struct keyrate_options o = keyrate_paper_options();
    assert_int_equal(parse(&t, text, &e), 0);
    keyrate_table_compute(&t, &o);
    return t;
}

static void counts_become_rates(void **unused)
{
    struct keyrate_table t = compute(HEADER ROW_AB ROW_AC);
    assert_int_equal(t.n, 2);
    assert_string_equal(t.rows[1].pair, "AC");
    assert_true(fabs(t.rows[0].result.rate_kbps - 228.21) < 0.01);
    assert_true(fabs(t.rows[1].result.rate_kbps - 37.59) < 0.01);
    keyrate_table_deinit(&t);
}

static void comments_blanks_spaces_and_carriage_returns_do_not_matter(void **unused)
{
    struct keyrate_table t = compute("# Table 7\r\n\r\n m_y , pair,mu,n,n_x,m_x,n_y,leak_bits\r\n"
                                     "  # one\r\n7221, AC ,0.0085,52455918,42542127,446184,575833,"
                                     "4219418\r\n7221,AC,.0085,52455918,42542127,446184,575833,");
    assert_int_equal(t.n, 2);
    assert_string_equal(t.rows[0].pair, "AC");
    assert_true(t.rows[0].counts.has_leak && t.rows[0].result.leak_bits == 4219418);
    assert_false(t.rows[1].counts.has_leak);
    assert_true(fabs(t.rows[1].result.rate_kbps - 37.59) < 0.01);
    keyrate_table_deinit(&t);
}

static void a_mistake_is_named_with_its_line(void **unused)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "counts.csv:0: no line with the columns' names"},
        {HEADER, "counts.csv:1: no pair in the file"},
        {"pair,mu,n,n_x,m_x,n_y\n", "counts.csv:1: column m_y is missing"},
        {"pair,mu,n,n_x,m_x,n_y,m_y,qber\n", "counts.csv:1: unknown column \"qber\"; known are"},
        {"pair,mu,mu\n", "counts.csv:1: column mu is named twice"},
        {HEADER ROW_AB "AC,1,2\n", "counts.csv:3: 3 fields where the header has 7"},
        {HEADER "AC,0.0085,x,1,0,1,0\n", "counts.csv:2: n is \"x\", not a number"},
        {HEADER "AC,0.0085,nan,1,0,1,0\n", "counts.csv:2: n is \"nan\", not a number"},
        {HEADER "AC,0.0085,1e999,1,0,1,0\n", "counts.csv:2: n is \"1e999\", not a number"},
        {HEADER "AC,0.0085,,1,0,1,0\n", "counts.csv:2: n is \"\", not a number"},
        {HEADER "AC,0.0085,-3,1,0,1,0\n", "counts.csv:2: n is negative"},
        {HEADER "\nAC,0.0085,10,4,5,4,0\n", "counts.csv:3: m_x is larger than n_x"},
        {HEADER "AC,0.0085,10,4,4,4,5\n", "counts.csv:2: m_y is larger than n_y"},
        {HEADER "AC,0.0085,10,8,4,4,2\n", "counts.csv:2: n_x + n_y is larger than n"},
        {HEADER "AC,0.0085,3e10,8,4,4,2\n", "counts.csv:2: n is larger than the number of pulses"},
        {HEADER "AC,0,10,4,4,4,2\n", "counts.csv:2: mu is not positive"},
        {HEADER ",1,10,4,4,4,2\n", "counts.csv:2: the name of the pair must have 1 to 63"},
        {HEADER "\x1b[2J,1,10,4,4,4,2\n", "counts.csv:2: the name of the pair holds a character"},
        {"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\n", "counts.csv:1: more than 16 fields"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct keyrate_table t;
        struct err e = {{0}};
        assert_int_equal(parse(&t, cases[i].text, &e), -EINVAL);
        assert_memory_equal(e.text, cases[i].says, strlen(cases[i].says));
        assert_null(t.rows);
    }
}

static void a_zero_byte_and_an_endless_line_are_refused(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    struct keyrate_table t;
    struct err e = {{0}};
    assert_int_equal(keyrate_csv_parse(&t, "pa\0ir", 5, "f", &o, &e), -EINVAL);
    assert_string_equal(e.text, "f:1: the line holds a zero byte");
    char endless[2000];
    memset(endless, ',', sizeof(endless));
    assert_int_equal(keyrate_csv_parse(&t, endless, sizeof(endless), "f", &o, &e), -EINVAL);
    assert_string_equal(e.text, "f:1: the line is longer than 1024 bytes");
}

static void the_optimised_form_asks_for_an_expectation(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    o.kato = KEYRATE_KATO_OPTIMISED;
    struct keyrate_table t;
    struct err e = {{0}};
    const char plain[] = HEADER ROW_AC;
    assert_int_equal(keyrate_csv_parse(&t, plain, sizeof(plain) - 1, "f", &o, &e), -EINVAL);
    assert_non_null(strstr(e.text, "column expected_e_y is needed"));
    const char full[] = "pair,mu,n,n_x,m_x,n_y,m_y,expected_e_y\n"
                        "AC,0.0085,52455918,42542127,446184,575833,7221,0.0125\n";
    assert_int_equal(keyrate_csv_parse(&t, full, sizeof(full) - 1, "f", &o, &e), 0);
    keyrate_table_compute(&t, &o);
    assert_true(t.rows[0].result.rate_kbps > 40);
    keyrate_table_deinit(&t);
}

static void the_json_has_the_promised_members(void **unused)
{
    static const char *const members[] = {
        "pair", "e_x", "e_y", "e_y_upper", "delta", "e_p_upper", "key_bits", "rate_kbps"};
    struct keyrate_table t = compute(HEADER ROW_AB "dark,0.017,1000,400,200,50,25\n");
    char *text = keyrate_table_json(&t);
    json_t *root = json_loads(text, 0, NULL);
    json_t *pairs = json_object_get(root, "pairs");
    assert_int_equal(json_array_size(pairs), 2);
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        assert_non_null(json_object_get(json_array_get(pairs, 0), members[i]));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(pairs, 0), "key_bits")),
        (long long)t.rows[0].result.key_bits);
    assert_string_equal(json_string_value(json_object_get(json_array_get(pairs, 1), "reason")),
        "the error rate is not below one half");
    json_decref(root);
    free(text);
    keyrate_table_deinit(&t);
}

static void the_table_for_people_shows_each_pair(void **unused)
{
    struct keyrate_table t = compute(HEADER ROW_AB ROW_AC);
    char *text = keyrate_table_text(&t);
    assert_non_null(strstr(text, "228.21"));
    assert_non_null(strstr(text, "0.20027"));
    free(text);
    keyrate_table_deinit(&t);
}

static void the_papers_own_counts_are_built_in(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    struct keyrate_table t;
    assert_int_equal(keyrate_table_paper(&t, NULL, false), 0);
    assert_int_equal(t.n, 9);
    keyrate_table_deinit(&t);
    assert_int_equal(keyrate_table_paper(&t, "paper-4", true), 0);
    assert_int_equal(t.n, 6);
    keyrate_table_compute(&t, &o);
    assert_true(t.rows[0].result.leak_bits == 13122399);
    keyrate_table_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_become_rates),
        cmocka_unit_test(comments_blanks_spaces_and_carriage_returns_do_not_matter),
        cmocka_unit_test(a_mistake_is_named_with_its_line),
        cmocka_unit_test(a_zero_byte_and_an_endless_line_are_refused),
        cmocka_unit_test(the_optimised_form_asks_for_an_expectation),
        cmocka_unit_test(the_json_has_the_promised_members),
        cmocka_unit_test(the_table_for_people_shows_each_pair),
        cmocka_unit_test(the_papers_own_counts_are_built_in),
    };
    return cmocka_run_group_tests_name("keyrate_csv", tests, NULL, NULL);
}
