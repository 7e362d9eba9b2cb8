/* SPDX-License-Identifier: Apache-2.0 */
/* The optics, cell by cell, and Eve on the link. */
#include "keypool/qkd/eve.h"

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

static double error_x(const struct optics *o)
{
    struct keyrate_counts c = optics_expect(o, 1);
    return c.m_x / c.n_x;
}

static double error_y(const struct optics *o)
{
    struct keyrate_counts c = optics_expect(o, 1);
    return c.m_y / c.n_y;
}

/* ---- cells -------------------------------------------------------------------------------- */

static double theta(struct optics_state s)
{
    return M_PI * s.bit + M_PI / 2 * s.basis;
}

/* The formulas as they are written in the paper, for one outcome. */
static double direct(const struct link_params *p, const struct optics_event *e)
{
    double va = 1 - 2 * (e->a.basis ? p->e_y : p->e_x);
    double vb = 1 - 2 * (e->b.basis ? p->e_y : p->e_x);
    double fringe = (va + vb) / 2 * cos(theta(e->a) - theta(e->b));
    double p1 = 1 - (1 - p->dark) * exp(-p->mu * p->eta * (1 + fringe));
    double p2 = 1 - (1 - p->dark) * exp(-p->mu * p->eta * (1 - fringe));
    return e->detector ? p2 * (1 - p1) : p1 * (1 - p2);
}

static void every_cell_is_what_the_formulas_say(void **unused)
{
    for (size_t link = 0; link < link_paper_count(); link++) {
        const struct link_params *p = &link_paper_at(link)->params;
        struct optics o;
        optics_init(&o, p, 0);
        for (unsigned i = 0; i < OPTICS_OUTCOMES; i++) {
            struct optics_event e = optics_event_of(i);
            assert_int_equal(optics_outcome(&e), i);
            assert_within(o.click[i / 2][i % 2], direct(p, &e), 1e-9);
        }
    }
}

static void bases_and_bits_are_sent_with_the_realised_shares(void **unused)
{
    const struct link_params *p = &link_paper_find("paper-4", "bob", "david")->params;
    struct optics o;
    optics_init(&o, p, 0);
    double shares[2][2] = {{0}};
    for (unsigned cell = 0; cell < OPTICS_CELLS; cell++) {
        struct optics_event e = optics_event_of(cell << 1);
        shares[e.a.basis][e.b.basis] += o.sent[cell];
        assert_within(o.sent[cell],
            o.sent[optics_cell(
                (struct optics_state){e.a.basis, 0}, (struct optics_state){e.b.basis, 0})],
            1e-12);
    }
    assert_within(shares[OPTICS_X][OPTICS_X], p->share_xx, 1e-12);
    assert_within(shares[OPTICS_Y][OPTICS_Y], p->share_yy, 1e-12);
    assert_within(shares[OPTICS_X][OPTICS_Y], (1 - p->share_xx - p->share_yy) / 2, 1e-12);
    assert_within(shares[OPTICS_Y][OPTICS_X], shares[OPTICS_X][OPTICS_Y], 1e-12);
}

static void equal_bits_go_to_d1_and_different_bits_to_d2(void **unused)
{
    struct optics o;
    optics_init(&o, &link_paper_at(0)->params, 0);
    for (uint8_t basis = 0; basis < 2; basis++)
        for (uint8_t bits = 0; bits < 4; bits++) {
            struct optics_event e = {.a = {basis, bits >> 1}, .b = {basis, bits & 1}};
            e.detector = e.a.bit != e.b.bit;
            const double *click = o.click[optics_cell(e.a, e.b)];
            assert_true(click[e.detector] > 50 * click[!e.detector]);
            assert_false(optics_is_error(&e));
            e.detector = !e.detector;
            assert_true(optics_is_error(&e));
        }
}

static void mixed_bases_say_nothing_and_have_no_errors(void **unused)
{
    struct optics o;
    optics_init(&o, &link_paper_at(0)->params, 0);
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++) {
        struct optics_event e = optics_event_of(i);
        if (e.a.basis == e.b.basis)
            continue;
        assert_false(optics_is_error(&e));
        assert_within(o.click[i / 2][0], o.click[i / 2][1], 1e-12);
    }
}

static void the_cells_of_each_paper_link_add_up_to_table_7(void **unused)
{
    for (size_t i = 0; i < link_paper_count(); i++) {
        const struct link_paper *link = link_paper_at(i);
        struct optics o;
        optics_init(&o, &link->params, 0);
        struct keyrate_counts c = optics_expect(&o, 2e10);
        assert_within(c.n, link->counts.n, 1e-3);
        assert_within(c.n_x, link->counts.n_x, 1e-3);
        assert_within(c.m_x, link->counts.m_x, 1e-3);
        assert_within(c.n_y, link->counts.n_y, 1e-3);
        assert_within(c.m_y, link->counts.m_y, 1e-3);
        /* and to the gains per basis, exactly */
        struct keyrate_counts gains = link_model_expect(&link->params, 2e10);
        assert_within(c.n, gains.n, 1e-12);
        assert_within(c.m_x, gains.m_x, 1e-12);
        assert_within(c.m_y, gains.m_y, 1e-12);
    }
}

/* ---- phase noise -------------------------------------------------------------------------- */

static void phase_noise_lowers_the_visibility_of_both_bases(void **unused)
{
    struct link_params p = link_paper_find("paper-4", "charlie", "david")->params;
    p.dark = 0;
    for (double noise = 0; noise <= OPTICS_PHASE_NOISE_MAX; noise += 0.4) {
        struct optics o;
        optics_init(&o, &p, noise);
        double kept = exp(-noise * noise / 2); /* mean of the cosine */
        assert_within(error_x(&o), (1 - (1 - 2 * p.e_x) * kept) / 2, 2e-3);
        assert_within(error_y(&o), (1 - (1 - 2 * p.e_y) * kept) / 2, 2e-3);
        assert_within(optics_expect(&o, 1).n, link_model_expect(&p, 1).n, 2e-3);
    }
}

static void the_mean_over_the_phase_is_exact_for_bright_light_too(void **unused)
{
    struct link_params p = link_paper_at(0)->params;
    p.mu = 3;
    p.eta = 1;
    const double noises[] = {0.1, 1, OPTICS_PHASE_NOISE_MAX};
    for (size_t n = 0; n < ARRAY_SIZE(noises); n++) {
        struct optics o;
        optics_init(&o, &p, noises[n]);
        double sum = 0, mean = 0;
        for (int i = -20000; i <= 20000; i++) {
            double z = i / 2000.0, detect[2];
            optics_detect(&p, (struct optics_state){OPTICS_X, 1},
                (struct optics_state){OPTICS_Y, 0}, noises[n] * z, detect);
            sum += exp(-z * z / 2);
            mean += exp(-z * z / 2) * detect[0] * (1 - detect[1]);
        }
        unsigned cell =
            optics_cell((struct optics_state){OPTICS_X, 1}, (struct optics_state){OPTICS_Y, 0});
        assert_within(o.click[cell][0], mean / sum, 1e-10);
    }
}

/* ---- Eve ---------------------------------------------------------------------------------- */

static void intercepted_pulses_raise_both_errors_by_a_quarter(void **unused)
{
    const double fractions[] = {0, 0.05, 0.2, 1};
    for (size_t i = 0; i < link_paper_count(); i++)
        for (size_t f = 0; f < ARRAY_SIZE(fractions); f++) {
            const struct link_params *p = &link_paper_at(i)->params;
            struct optics quiet, tapped;
            optics_init(&quiet, p, 0);
            eve_optics(&tapped, p, &(struct eve){.intercept = fractions[f]});
            double x = error_x(&quiet), y = error_y(&quiet);
            double order = p->mu * p->eta / 2; /* what double clicks change */
            assert_within(error_x(&tapped), x + fractions[f] * (0.25 - x / 2), order);
            assert_within(error_y(&tapped), y + fractions[f] * (0.25 - y / 2), order);
            assert_within(optics_expect(&tapped, 1).n, optics_expect(&quiet, 1).n, order);
        }
}

/* Of a block of 200 s. */
static double key_bits(const struct link_params *p, double intercept)
{
    struct keyrate_options options = keyrate_paper_options();
    struct optics o;
    eve_optics(&o, p, &(struct eve){.intercept = intercept});
    struct keyrate_counts c = optics_expect(&o, options.pulses);
    c.mu = p->mu;
    return keyrate_compute(&c, &options).key_bits;
}

static void the_key_is_gone_at_six_to_nine_percent_of_the_pulses(void **unused)
{
    for (size_t i = 0; i < link_paper_count(); i++) {
        const struct link_params *p = &link_paper_at(i)->params;
        double before = key_bits(p, 0);
        assert_true(before > 0);
        assert_true(key_bits(p, 0.03) < before);
        assert_true(key_bits(p, 0.057) > 0);
        assert_int_equal(key_bits(p, 0.086), 0);
    }
}

static void an_eve_out_of_range_is_refused_by_name(void **unused)
{
    struct err e = {{0}};
    assert_int_equal(eve_check(&(struct eve){0}, &e), 0);
    assert_int_equal(eve_check(&(struct eve){1, OPTICS_PHASE_NOISE_MAX}, &e), 0);
    assert_int_equal(eve_check(&(struct eve){.intercept = NAN}, &e), -EINVAL);
    assert_string_equal(e.text, "intercept is nan; it must be from 0 to 1");
    assert_int_equal(eve_check(&(struct eve){.intercept = 1.01}, &e), -EINVAL);
    assert_int_equal(eve_check(&(struct eve){.phase_noise = -0.1}, &e), -EINVAL);
    assert_string_equal(e.text, "phase_noise is -0.1; it must be from 0 to 3.2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_is_what_the_formulas_say),
        cmocka_unit_test(bases_and_bits_are_sent_with_the_realised_shares),
        cmocka_unit_test(equal_bits_go_to_d1_and_different_bits_to_d2),
        cmocka_unit_test(mixed_bases_say_nothing_and_have_no_errors),
        cmocka_unit_test(the_cells_of_each_paper_link_add_up_to_table_7),
        cmocka_unit_test(phase_noise_lowers_the_visibility_of_both_bases),
        cmocka_unit_test(the_mean_over_the_phase_is_exact_for_bright_light_too),
        cmocka_unit_test(intercepted_pulses_raise_both_errors_by_a_quarter),
        cmocka_unit_test(the_key_is_gone_at_six_to_nine_percent_of_the_pulses),
        cmocka_unit_test(an_eve_out_of_range_is_refused_by_name),
    };
    return cmocka_run_group_tests_name("optics", tests, NULL, NULL);
}
