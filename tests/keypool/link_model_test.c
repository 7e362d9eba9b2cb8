/* SPDX-License-Identifier: Apache-2.0 */
/* The optical model: the fitted networks give back what the paper measured. */
#include "keypool/qkd/link_model.h"

#include "common/util.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_within(double value, double reference, double share)
{
    assert_true(fabs(value - reference) <= share * reference);
}

static void the_fitted_networks_give_back_table_7(void **unused)
{
    for (size_t i = 0; i < link_paper_count(); i++) {
        const struct link_paper *link = link_paper_at(i);
        struct keyrate_counts c = link_model_expect(&link->params, 2e10);
        assert_within(c.n, link->counts.n, 1e-6);
        assert_within(c.n_x, link->counts.n_x, 1e-6);
        assert_within(c.m_x, link->counts.m_x, 1e-6);
        assert_within(c.n_y, link->counts.n_y, 1e-6);
        assert_within(c.m_y, link->counts.m_y, 1e-6);
    }
}

static void the_rates_of_the_fitted_networks_are_those_of_the_counts(void **unused)
{
    struct keyrate_options o = keyrate_paper_options();
    for (size_t i = 0; i < link_paper_count(); i++) {
        const struct link_paper *link = link_paper_at(i);
        struct keyrate_counts c = link_model_expect(&link->params, o.pulses);
        assert_within(keyrate_compute(&c, &o).rate_kbps, link->published_kbps, 0.03);
    }
}

static void without_light_only_dark_counts_are_left(void **unused)
{
    struct link_params p = link_paper_find("paper-4", "alice", "bob")->params;
    p.eta = 1e-12;
    p.dark = 1e-3;
    struct link_gains g = link_model_gains(&p);
    assert_within(g.xx, 2 * p.dark * (1 - p.dark), 1e-6);
    assert_within(g.xx_error, g.xx / 2, 1e-6);
    assert_within(g.xy, g.xx, 1e-6);
}

static void bright_light_clicks_in_both_detectors_and_is_no_event(void **unused)
{
    struct link_params p = link_paper_find("paper-4", "alice", "bob")->params;
    p.mu = 10;
    p.eta = 1;
    assert_true(link_model_gains(&p).xy < 1e-3);
}

static void users_are_found_in_any_order_and_strangers_are_not(void **unused)
{
    assert_string_equal(link_paper_find("paper-4", "david", "bob")->pair, "BD");
    assert_ptr_equal(
        link_paper_find("paper-3", "alice", "bob"), link_paper_find("paper-3", "bob", "alice"));
    assert_null(link_paper_find("paper-3", "bob", "charlie"));
    assert_null(link_paper_find("paper-4", "alice", "alice"));
    assert_null(link_paper_find("paper-4", "alice", "erin"));
    assert_null(link_paper_find("paper-4", "erin", "frank"));
    assert_null(link_paper_find("paper-5", "alice", "bob"));
}

static void parameters_out_of_range_are_refused_by_name(void **unused)
{
    const struct link_params good = link_paper_at(0)->params;
    struct err e = {{0}};
    assert_int_equal(link_params_check(&good, &e), 0);
    struct link_params p = good;
    p.eta = NAN;
    assert_int_equal(link_params_check(&p, &e), -EINVAL);
    assert_string_equal(e.text, "eta is nan; it must be from 1e-12 to 1");
    p = good;
    p.e_x = 0.6;
    assert_int_equal(link_params_check(&p, &e), -EINVAL);
    p = good;
    p.share_yy = 0.5;
    assert_int_equal(link_params_check(&p, &e), -EINVAL);
    assert_non_null(strstr(e.text, "share_xx + share_yy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fitted_networks_give_back_table_7),
        cmocka_unit_test(the_rates_of_the_fitted_networks_are_those_of_the_counts),
        cmocka_unit_test(without_light_only_dark_counts_are_left),
        cmocka_unit_test(bright_light_clicks_in_both_detectors_and_is_no_event),
        cmocka_unit_test(users_are_found_in_any_order_and_strangers_are_not),
        cmocka_unit_test(parameters_out_of_range_are_refused_by_name),
    };
    return cmocka_run_group_tests_name("link_model", tests, NULL, NULL);
}
