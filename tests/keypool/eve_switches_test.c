/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator lets Eve do, as both ends of a link hear it: interception, and lies of which each
 * does what it says and nothing else. */
#include "keypool/qkd/eve_lies.h"
#include "proto/kme.h"
#include "tests/keypool/raw_ears.h"

#include "common/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- switches ------------------------------------------------------------------------------------ */

static void eve_begins_with_the_next_block(void **unused)
{
    struct loop_plan plan = loop_short();
    plan.config.speedup = 1;
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    const struct eve none = {0}, fifth = {.intercept = 0.2};
    loop_grant(&l, ALICE, "bob");
    loop_grant(&l, BOB, "alice");
    json_t *links =
        loop_ask(&l, "set", "{\"link\": \"bob-alice\", \"intercept\": 0.2, \"phase_noise\": 0}", 0);
    json_t *eve = json_object_get(json_array_get(links, 0), "eve");
    assert_true(json_number_value(json_object_get(eve, "intercept")) == 0.2);
    assert_true(json_is_true(json_object_get(eve, "from_next_block")));
    json_decref(links);
    json_decref(loop_ask(&l, "set", "{\"speedup\": 0}", 0));
    loop_run(&l);
    ear_listen(&a, &l);
    ear_listen(&b, &l);
    assert_true(a.has_ended && b.has_ended);
    struct keyrate_counts c = ears_counts(&a, &b);
    assert_as_expected(&c, &plan.params, &none, 2e7);
    double before = c.m_x / c.n_x;
    ears_take_block(&a, &b, &l);
    c = ears_counts(&a, &b);
    assert_as_expected(&c, &plan.params, &fifth, 2e7);
    assert_true(fabs(c.m_x / c.n_x - before - 0.2 * (0.25 - before / 2)) < 0.004);
    links = loop_ask(&l, "links", "{}", 0);
    const json_t *ab = json_array_get(links, 0), *ac = json_array_get(links, 1);
    eve = json_object_get(ab, "eve");
    assert_true(json_is_false(json_object_get(eve, "from_next_block")));
    assert_true(json_number_value(json_object_get(ab, "rate_kbps")) == 0);
    assert_true(json_number_value(json_object_get(ac, "qber_expected")) < 0.01);
    assert_true(json_number_value(json_object_get(json_object_get(ab, "drawn"), "m_x")) == c.m_x);
    json_decref(links);
    ear_free(&a);
    ear_free(&b);
    loop_end(&l);
}

static void an_operators_mistakes_change_nothing(void **unused)
{
    static const struct {
        const char *set, *says;
    } cases[] = {
        {"{\"intercept\": 0.1}", "name the link"},
        {"{\"link\": \"alice-bob\"}", "set what on the link?"},
        {"{\"link\": \"alice-erin\", \"intercept\": 0.1}", "\"alice-erin\" is no link"},
        {"{\"link\": \"alice\", \"intercept\": 0.1}", "is no link"},
        {"{\"link\": \"alice-bob\", \"intercept\": 1.5}", "intercept is 1.5"},
        {"{\"link\": \"alice-bob\", \"intercept\": \"all\"}", "must be a number"},
        {"{\"link\": \"alice-bob\", \"intercept\": 0.1, \"phase_noise\": 4}", "phase_noise is 4"},
        {"{\"link\": \"alice-bob\", \"intercept\": 0.1, \"lie\": \"big\"}", "none of Eve's lies"},
        {"{\"link\": \"alice-bob\", \"intercept\": 0.1, \"speedup\": 3}", "by themselves"},
        {"{\"colour\": 1}", "cannot be set"},
    };
    const struct loop_plan plan = loop_short();
    struct loop l = loop_begin(&plan);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *reason = loop_ask(&l, "set", cases[i].set, 64);
        if (!strstr(json_string_value(reason), cases[i].says))
            fail_msg("%s: %s", cases[i].set, json_string_value(reason));
        json_decref(reason);
    }
    json_t *links = loop_ask(&l, "links", "{}", 0);
    const json_t *eve = json_object_get(json_array_get(links, 0), "eve");
    assert_true(json_number_value(json_object_get(eve, "intercept")) == 0);
    json_decref(links);
    links = loop_ask(&l, "set", "{\"link\": \"all\", \"phase_noise\": 0.1}", 0);
    assert_int_equal(json_array_size(links), 3);
    json_decref(links);
    loop_end(&l);
}

/* ---- lies ----------------------------------------------------------------------------------- */

/* One block of the busiest link, 2e7 pulses, under a lie. */
struct block {
    struct loop l;
    struct ear a, b;
    struct keyrate_counts honest; /* expected */
};

static struct block take(enum eve_lie lie)
{
    const struct loop_plan plan = loop_short();
    struct block k = {loop_begin(&plan), ear_of(ALICE, "bob"), ear_of(BOB, "alice"),
        link_model_expect(&plan.params, 2e7)};
    char set[100];
    snprintf(set, sizeof(set), "{\"link\": \"alice-bob\", \"lie\": \"%s\"}", eve_lie_name(lie));
    loop_join_three(&k.l);
    json_decref(loop_ask(&k.l, "set", set, 0));
    ears_take_block(&k.a, &k.b, &k.l);
    return k;
}

static void drop(struct block *k)
{
    ear_free(&k->a);
    ear_free(&k->b);
    loop_end(&k->l);
}

/* Positions grow strictly and stay in the block. */
static void assert_in_order(const struct ear *e)
{
    assert_int_equal(e->repeats, 0);
    assert_true(e->n > 0 && e->events[e->n - 1].position < e->pulses);
}

static void assert_share(double part, double all, double share)
{
    if (!(fabs(part - share * all) <= 5 * sqrt(all * share * (1 - share))))
        fail_msg("%g of %g instead of %g", part, all, share);
}

static void an_honest_eve_tells_both_the_same(void **unused)
{
    struct block k = take(EVE_HONEST);
    assert_in_order(&k.a);
    assert_true(k.a.said == k.a.n && k.b.said == k.b.n);
    assert_5_deviations(ears_counts(&k.a, &k.b).n, k.honest.n);
    drop(&k);
}

static void both_detectors_is_one_position_twice(void **unused)
{
    struct block k = take(EVE_BOTH_DETECTORS);
    assert_share((double)k.a.repeats, k.honest.n, 1. / 64);
    assert_int_equal(k.a.repeats, k.b.repeats);
    assert_true(k.a.said == k.a.n);
    for (size_t i = 1; i < k.a.n; i++) {
        const struct heard_event *last = &k.a.events[i - 1], *e = &k.a.events[i];
        if (e->position == last->position)
            assert_true(e->detector != last->detector && e->bit == last->bit);
    }
    drop(&k);
}

static void wrong_count_is_in_the_end_alone(void **unused)
{
    struct block k = take(EVE_WRONG_COUNT);
    assert_in_order(&k.a);
    assert_5_deviations(ears_counts(&k.a, &k.b).n, k.honest.n);
    assert_true(k.a.said == k.a.n + 1 && k.b.said == k.b.n + 1);
    drop(&k);
}

static void an_impossible_position_is_beyond_the_last_pulse(void **unused)
{
    struct block k = take(EVE_IMPOSSIBLE_POSITION);
    assert_true(k.a.events[k.a.n - 1].position >= k.a.pulses);
    assert_true(k.b.events[k.b.n - 1].position >= k.b.pulses);
    assert_true(k.a.events[k.a.n - 2].position < k.a.pulses);
    assert_true(k.a.said == k.a.n);
    drop(&k);
}

static void different_positions_are_as_many_and_elsewhere(void **unused)
{
    struct block k = take(EVE_DIFFERENT_POSITIONS);
    assert_in_order(&k.a);
    assert_in_order(&k.b);
    assert_int_equal(k.a.n, k.b.n);
    double moved = 0;
    for (size_t i = 0; i < k.a.n; i++) {
        uint64_t by = k.b.events[i].position - k.a.events[i].position;
        assert_in_range(by, 0, 1);
        assert_int_equal(k.a.events[i].detector, k.b.events[i].detector);
        moved += (double)by;
    }
    assert_share(moved, (double)k.a.n, (1 - 0.0105) / 64); /* unless the next one is there */
    drop(&k);
}

static void a_flood_is_more_than_the_gains_allow(void **unused)
{
    struct block k = take(EVE_FLOOD);
    assert_in_order(&k.a);
    struct keyrate_counts c = ears_counts(&k.a, &k.b);
    assert_true(c.n > 14 * k.honest.n && c.n <= 17 * k.honest.n);
    assert_true(k.a.said == k.a.n);
    assert_true(k.a.n / k.a.frames > 8192); /* credit comes in pieces, frames do not get small */
    /* the users' choices at what was invented are the users' own: half of them errors */
    double invented = c.n_x - k.honest.n_x;
    assert_share(c.m_x - k.honest.m_x, invented, 0.5);
    assert_share(c.n_y - k.honest.n_y, c.n - k.honest.n, 0.00999199093);
    drop(&k);
}

static void a_flood_waits_for_credit_too(void **unused)
{
    struct loop_plan plan = loop_short();
    struct loop l = loop_begin(&plan);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    a.ack = b.ack = false;
    loop_join_three(&l);
    json_decref(loop_ask(&l, "set", "{\"link\": \"all\", \"lie\": \"flood\"}", 0));
    loop_grant(&l, ALICE, "bob");
    loop_grant(&l, BOB, "alice");
    loop_run(&l);
    ear_listen(&a, &l);
    ear_listen(&b, &l);
    assert_true(a.is_open && a.n > QKD_EVENTS_AHEAD - 32768 && a.n <= QKD_EVENTS_AHEAD);
    ear_free(&a);
    ear_free(&b);
    loop_end(&l);
}

static void a_preferred_basis_shows_in_the_gains(void **unused)
{
    struct block k = take(EVE_PREFER_BASIS);
    assert_in_order(&k.a);
    struct keyrate_counts c = ears_counts(&k.a, &k.b);
    assert_5_deviations(c.n_x, k.honest.n_x);
    assert_5_deviations(c.n_y, k.honest.n_y / 16);
    drop(&k);
}

/* ---- raw keys that are not random ----------------------------------------------------------- */

/* By the counts of a 10 s block in the proportions of this one. */
static double key_bits(const struct ear *a, const struct ear *b)
{
    struct keyrate_options o = keyrate_paper_options();
    struct keyrate_counts c = ears_counts(a, b);
    c.mu = a->mu;
    o.pulses = 2e7;
    o.seconds = 0.2;
    keyrate_scale(&c, &o, 10);
    return keyrate_compute(&c, &o).key_bits;
}

static double ones(const struct ear *e)
{
    double n = 0;
    for (size_t i = 0; i < e->n; i++)
        n += e->events[i].bit;
    return n;
}

static double repeats_of_the_last_bit(const struct ear *e)
{
    double n = 0;
    for (size_t i = 1; i < e->n; i++)
        n += e->events[i].bit == e->events[i - 1].bit;
    return n;
}

/* No count of errors shows it; that she leaves out events does. */
static void a_biased_or_correlated_raw_key_is_paid_for_by_the_formula(void **unused)
{
    struct block honest = take(EVE_HONEST);
    assert_share(ones(&honest.a), (double)honest.a.n, 0.5);
    assert_share(repeats_of_the_last_bit(&honest.a), (double)honest.a.n, 0.5);
    double most = key_bits(&honest.a, &honest.b);
    assert_true(most > 1.7e6);

    struct block biased = take(EVE_BIASED_KEY);
    assert_share(ones(&biased.a), (double)biased.a.n, 0.2);
    assert_5_deviations((double)biased.a.n, honest.honest.n * 5 / 8);
    assert_true(key_bits(&biased.a, &biased.b) < most / 4);

    struct block correlated = take(EVE_CORRELATED_KEY);
    assert_share(repeats_of_the_last_bit(&correlated.a), (double)correlated.a.n, 0.8);
    double n = (double)correlated.a.n; /* in runs: four times the variance */
    assert_true(fabs(ones(&correlated.a) - n / 2) < 5 * sqrt(n));
    assert_true(key_bits(&correlated.a, &correlated.b) < most / 4);
    drop(&honest);
    drop(&biased);
    drop(&correlated);
}

static void every_lie_has_a_name_and_nothing_else_has(void **unused)
{
    for (int lie = 0; lie < EVE_LIES; lie++) {
        enum eve_lie parsed;
        struct err e = {{0}};
        assert_int_equal(eve_lie_parse(eve_lie_name((enum eve_lie)lie), &parsed, &e), 0);
        assert_int_equal(parsed, lie);
        assert_true(eve_lie_room((enum eve_lie)lie, QKD_EVENTS_MAX) > 0);
        assert_int_equal(eve_lie_room((enum eve_lie)lie, 0), 0);
    }
    enum eve_lie lie;
    struct err e = {{0}};
    assert_true(eve_lie_parse("truth", &lie, &e) < 0);
    assert_non_null(strstr(e.text, "impossible-position, different-positions"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eve_begins_with_the_next_block),
        cmocka_unit_test(an_operators_mistakes_change_nothing),
        cmocka_unit_test(an_honest_eve_tells_both_the_same),
        cmocka_unit_test(both_detectors_is_one_position_twice),
        cmocka_unit_test(wrong_count_is_in_the_end_alone),
        cmocka_unit_test(an_impossible_position_is_beyond_the_last_pulse),
        cmocka_unit_test(different_positions_are_as_many_and_elsewhere),
        cmocka_unit_test(a_flood_is_more_than_the_gains_allow),
        cmocka_unit_test(a_flood_waits_for_credit_too),
        cmocka_unit_test(a_preferred_basis_shows_in_the_gains),
        cmocka_unit_test(a_biased_or_correlated_raw_key_is_paid_for_by_the_formula),
        cmocka_unit_test(every_lie_has_a_name_and_nothing_else_has),
    };
    return cmocka_run_group_tests_name("eve_switches", tests, NULL, NULL);
}
