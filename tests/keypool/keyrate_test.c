/* SPDX-License-Identifier: Apache-2.0 */
/* The finite-key length: the published tables come out, and nothing that is not a number gets in. */
#include "keypool/qkd/keyrate.h"
#include "keypool/qkd/link_model.h"

#include "common/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* mdiqkd.md section 6: rate in kbit/s with the predicted leak, and (E_y upper, Delta, E_p upper). */
static const struct {
    const char *network, *pair;
    double kbps;
    const char *e_y, *delta, *e_p;
} paper_values[] = {
    {"paper-3", "AB", 228.21, "0.00725", "0.02737", "0.16478"},
    {"paper-3", "AC", 37.59, "0.01701", "0.02739", "0.20027"},
    {"paper-3", "AD", 45.90, "0.01130", "0.02879", "0.18775"},
    {"paper-4", "AB", 244.33, "0.00629", "0.02726", "0.15994"},
    {"paper-4", "AC", 35.53, "0.01811", "0.02672", "0.20034"},
    {"paper-4", "AD", 42.99, "0.01327", "0.02807", "0.19138"},
    {"paper-4", "BC", 44.64, "0.01185", "0.02830", "0.18747"},
    {"paper-4", "BD", 36.62, "0.01636", "0.02812", "0.20179"},
    {"paper-4", "CD", 32.80, "0.01758", "0.02400", "0.18514"},
};

static const struct link_paper *paper_row(size_t i)
{
    const struct link_paper *link = link_paper_at(i);
    assert_string_equal(link->network, paper_values[i].network);
    assert_string_equal(link->pair, paper_values[i].pair);
    return link;
}

static struct keyrate_counts predicted(const struct link_paper *link)
{
    struct keyrate_counts c = link->counts;
    c.has_leak = false;
    return c;
}

static void assert_printed(double value, const char *digits)
{
    char text[32];
    snprintf(text, sizeof(text), "%.5f", value);
    assert_string_equal(text, digits);
}

static void the_nine_published_rates_come_out(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    assert_int_equal(link_paper_count(), ARRAY_SIZE(paper_values));
    for (size_t i = 0; i < ARRAY_SIZE(paper_values); i++) {
        struct keyrate_counts c = predicted(paper_row(i));
        struct keyrate k = keyrate_compute(&c, &o);
        assert_int_equal(k.outcome, KEYRATE_KEY);
        assert_true(fabs(k.rate_kbps - paper_values[i].kbps) < 0.01);
    }
}

static void the_intermediate_values_come_out_to_the_printed_digits(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    for (size_t i = 0; i < ARRAY_SIZE(paper_values); i++) {
        struct keyrate_counts c = predicted(paper_row(i));
        struct keyrate k = keyrate_compute(&c, &o);
        assert_printed(k.e_y_upper, paper_values[i].e_y);
        assert_printed(k.delta, paper_values[i].delta);
        assert_printed(k.e_p_upper, paper_values[i].e_p);
        assert_true(k.e_x == c.m_x / c.n_x && k.e_y == c.m_y / c.n_y);
    }
}

static void a_measured_leak_takes_the_place_of_the_predicted_one(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    struct keyrate_counts c = predicted(paper_row(3));
    struct keyrate guess = keyrate_compute(&c, &o);
    c.has_leak = true;
    c.leak_bits = guess.leak_bits - 2000;
    struct keyrate measured = keyrate_compute(&c, &o);
    assert_true(fabs(measured.exact_bits - guess.exact_bits - 2000) < 1e-6);
    assert_true(measured.key_bits == floor(measured.exact_bits));
}

/* Section 5: kbit/s for blocks of 5, 10, 20, 50, 200 s; shortest block. Half a unit of the last
 * printed digit, but for CD at 10 s: 16.046, printed as 16.1. */
static void the_table_of_block_lengths_comes_out(void **unused)
{
    static const double seconds[] = {5, 10, 20, 50, 200};
    static const struct {
        double kbps[5];
        double half_unit;
        const char *shortest;
    } table[] = {
        {{160, 184, 203, 224, 244}, 0.5, "0.21"},
        {{11.4, 18.1, 23.8, 29.7, 35.5}, 0.05, "1.86"},
        {{16.0, 23.4, 29.7, 36.2, 43.0}, 0.05, "1.41"},
        {{17.2, 24.7, 31.0, 37.7, 44.6}, 0.05, "1.30"},
        {{10.6, 17.8, 23.9, 30.2, 36.6}, 0.05, "2.05"},
        {{9.5, 16.046, 21.5, 27.1, 32.8}, 0.05, "2.11"},
    };
    char text[32];
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct keyrate_counts whole = predicted(paper_row(3 + i));
        struct keyrate_options o = keyrate_paper_options();
        snprintf(text, sizeof(text), "%.2f", keyrate_shortest_s(&whole, &o));
        assert_string_equal(text, table[i].shortest);
        for (size_t j = 0; j < ARRAY_SIZE(seconds); j++) {
            struct keyrate_counts c = whole;
            struct keyrate_options scaled = o;
            keyrate_scale(&c, &scaled, seconds[j]);
            double off = keyrate_compute(&c, &scaled).rate_kbps - table[i].kbps[j];
            assert_true(fabs(off) <= table[i].half_unit);
        }
    }
}

static void a_block_below_the_shortest_gives_no_key_and_says_so(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    struct keyrate_counts c = predicted(paper_row(4));
    double shortest = keyrate_shortest_s(&c, &o);
    keyrate_scale(&c, &o, 0.99 * shortest);
    struct keyrate k = keyrate_compute(&c, &o);
    assert_int_equal(k.outcome, KEYRATE_E_SHORT);
    assert_true(k.key_bits == 0 && k.rate_kbps == 0);
}

static void a_link_that_never_yields_has_no_shortest_block(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    struct keyrate_counts c = predicted(paper_row(4));
    c.m_y = c.n_y / 5;
    assert_true(isinf(keyrate_shortest_s(&c, &o)));
}

/* ---- Kato ----------------------------------------------------------------------------------- */

static void the_optimised_form_meets_the_check_vector(void **unused)
{
    struct keyrate_ab ab = keyrate_kato_ab(575833, 7221, 1e-10, true);
    assert_true(fabs(ab.a - 14.8374) < 5e-5);
    assert_true(fabs(ab.b - 15.2404) < 5e-5);
    assert_true(fabs(keyrate_kato_deviation(ab, 575833, 7221) - 588.185) < 5e-4);
}

/* b as the failure probability demands it for a given a. */
static double deviation_for(double a, double n, double sum, double eps, bool from_sum)
{
    double spread = 1 + (from_sum ? 1 : -1) * 4 * a / (3 * sqrt(n));
    double b = sqrt(a * a - log(eps) / 2 * spread * spread);
    return keyrate_kato_deviation((struct keyrate_ab){a, b}, n, sum);
}

static void the_optimised_form_is_the_optimum_in_both_directions(void **unused)
{
    const double n = 4e7, sum = 7e6, eps = 1e-10;
    for (int from_sum = 0; from_sum <= 1; from_sum++) {
        struct keyrate_ab ab = keyrate_kato_ab(n, sum, eps, from_sum);
        double best = keyrate_kato_deviation(ab, n, sum);
        assert_true(fabs(best - deviation_for(ab.a, n, sum, eps, from_sum)) < 1e-6 * best);
        assert_true(deviation_for(ab.a + 0.01, n, sum, eps, from_sum) > best);
        assert_true(deviation_for(ab.a - 0.01, n, sum, eps, from_sum) > best);
    }
}

static void the_optimised_form_gives_more_key_whatever_was_expected(void **unused)
{
    struct keyrate_options plain = keyrate_paper_options();
    struct keyrate_options best = plain;
    best.kato = KEYRATE_KATO_OPTIMISED;
    for (size_t i = 0; i < ARRAY_SIZE(paper_values); i++) {
        struct keyrate_counts c = predicted(paper_row(i));
        c.expected_e_y = c.m_y / c.n_y;
        double with = keyrate_compute(&c, &best).rate_kbps;
        assert_true(with > 1.05 * keyrate_compute(&c, &plain).rate_kbps);
        c.expected_e_y *= 1.3; /* a wrong expectation costs a little, never gains */
        assert_true(keyrate_compute(&c, &best).rate_kbps < with);
    }
}

/* ---- guards --------------------------------------------------------------------------------- */

static double *count_at(struct keyrate_counts *c, size_t i)
{
    double *const fields[] = {&c->mu, &c->n, &c->n_x, &c->m_x, &c->n_y, &c->m_y, &c->leak_bits};
    return i < ARRAY_SIZE(fields) ? fields[i] : NULL;
}

static void assert_no_key(const struct keyrate_counts *c, const struct keyrate_options *o)
{
    struct keyrate k = keyrate_compute(c, o);
    assert_int_not_equal(k.outcome, KEYRATE_KEY);
    assert_true(k.key_bits == 0 && k.rate_kbps == 0);
}

static void nothing_that_is_not_a_count_passes(void **unused)
{
    const double bad[] = {NAN, -NAN, INFINITY, -INFINITY, -1};
    struct keyrate_options o = keyrate_paper_options();
    for (int kato = 0; kato <= 1; kato++) {
        o.kato = kato ? KEYRATE_KATO_OPTIMISED : KEYRATE_KATO_ZERO;
        struct keyrate_counts good = link_paper_at(0)->counts;
        good.expected_e_y = 0.01;
        assert_int_equal(keyrate_compute(&good, &o).outcome, KEYRATE_KEY);
        for (size_t i = 0; count_at(&good, i); i++)
            for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
                struct keyrate_counts c = good;
                *count_at(&c, i) = bad[j];
                assert_no_key(&c, &o);
            }
    }
}

static void no_events_or_only_errors_give_no_key(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    const struct keyrate_counts good = predicted(paper_row(0));
    struct keyrate_counts c = good;
    c.n_x = c.m_x = 0;
    assert_no_key(&c, &o);
    c = good;
    c.n_y = c.m_y = 0;
    assert_no_key(&c, &o);
    c = good;
    c.m_x = c.n_x; /* all wrong: h(1) = 0 must not look like no leak at all */
    assert_no_key(&c, &o);
    c = good;
    c.m_y = 0.49 * c.n_y;
    assert_int_equal(keyrate_compute(&c, &o).outcome, KEYRATE_E_PHASE);
    c.m_y = 0.499 * c.n_y;
    assert_int_equal(keyrate_compute(&c, &o).outcome, KEYRATE_E_ERRORS);
    c = good;
    c.mu = 0.2;
    assert_int_equal(keyrate_compute(&c, &o).outcome, KEYRATE_E_IMBALANCE);
}

static void errors_beyond_the_events_are_no_counts(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    struct keyrate_counts c = predicted(paper_row(0));
    c.m_x = c.n_x + 1;
    assert_int_equal(keyrate_compute(&c, &o).outcome, KEYRATE_E_COUNTS);
    c = predicted(paper_row(0));
    c.n = c.n_x + c.n_y - 1;
    assert_int_equal(keyrate_compute(&c, &o).outcome, KEYRATE_E_COUNTS);
    c = predicted(paper_row(0));
    o.pulses = c.n - 1;
    assert_int_equal(keyrate_compute(&c, &o).outcome, KEYRATE_E_COUNTS);
}

static void bad_options_give_no_key(void **unused)
{
    const struct keyrate_options good = keyrate_paper_options();
    struct keyrate_counts c = predicted(paper_row(0));
    struct keyrate_options o = good;
    o.eps = 0;
    assert_no_key(&c, &o);
    o = good;
    o.eps = NAN;
    assert_no_key(&c, &o);
    o = good;
    o.f = -1;
    assert_no_key(&c, &o);
    o = good;
    o.seconds = 0;
    assert_no_key(&c, &o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nine_published_rates_come_out),
        cmocka_unit_test(the_intermediate_values_come_out_to_the_printed_digits),
        cmocka_unit_test(a_measured_leak_takes_the_place_of_the_predicted_one),
        cmocka_unit_test(the_table_of_block_lengths_comes_out),
        cmocka_unit_test(a_block_below_the_shortest_gives_no_key_and_says_so),
        cmocka_unit_test(a_link_that_never_yields_has_no_shortest_block),
        cmocka_unit_test(the_optimised_form_meets_the_check_vector),
        cmocka_unit_test(the_optimised_form_is_the_optimum_in_both_directions),
        cmocka_unit_test(the_optimised_form_gives_more_key_whatever_was_expected),
        cmocka_unit_test(nothing_that_is_not_a_count_passes),
        cmocka_unit_test(no_events_or_only_errors_give_no_key),
        cmocka_unit_test(errors_beyond_the_events_are_no_counts),
        cmocka_unit_test(bad_options_give_no_key),
    };
    return cmocka_run_group_tests_name("keyrate", tests, NULL, NULL);
}
