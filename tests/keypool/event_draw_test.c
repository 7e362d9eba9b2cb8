/* SPDX-License-Identifier: Apache-2.0 */
/* Events drawn at both levels, every seed fixed: counts, positions, and that the levels agree. */
#include "keypool/qkd/event_draw.h"
#include "keypool/qkd/pulse_draw.h"

#include "common/util.h"
#include "tests/keypool/chi_square.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CHUNK   4096
#define CLASSES (OPTICS_OUTCOMES + 1) /* the last: no event */

static const uint8_t *seed(uint64_t number)
{
    static uint8_t bytes[RNG_SEED_BYTES];
    put_u64le(bytes, number);
    return bytes;
}

/* Nearly half of the pulses are events, and two clicks at once are not rare. */
static const struct link_params bright = {.mu = 0.6,
    .eta = 0.5,
    .e_x = 0.03,
    .e_y = 0.08,
    .dark = 2e-3,
    .share_xx = 0.45,
    .share_yy = 0.2};

/* ---- a block, counted --------------------------------------------------------------------- */

/* Also checks that positions grow strictly and stay in the block. */
struct tally {
    uint64_t pulses;
    uint64_t next; /* least position allowed */
    uint64_t counts[CLASSES];
};

static void tally_add(struct tally *t, const struct optics_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_true(events[i].position >= t->next && events[i].position < t->pulses);
        t->next = events[i].position + 1;
        t->counts[optics_outcome(&events[i])]++;
        t->counts[OPTICS_OUTCOMES]--;
    }
}

static struct tally tally_events(const struct optics *o, uint64_t pulses, uint64_t number)
{
    static struct optics_event events[CHUNK];
    struct tally t = {.pulses = pulses, .counts[OPTICS_OUTCOMES] = pulses};
    cleanup(event_draw_freep) struct event_draw *d = event_draw_new(o, pulses, seed(number));
    assert_non_null(d);
    size_t n;
    do {
        n = event_draw_next(d, events, CHUNK);
        tally_add(&t, events, n);
    } while (n == CHUNK);
    assert_int_equal(event_draw_next(d, events, CHUNK), 0);
    return t;
}

static struct tally tally_pulses(
    const struct link_params *p, const struct eve *eve, uint64_t pulses, uint64_t number)
{
    static struct optics_event events[CHUNK];
    struct tally t = {.pulses = pulses, .counts[OPTICS_OUTCOMES] = pulses};
    cleanup(pulse_draw_freep) struct pulse_draw *d = pulse_draw_new(p, eve, pulses, seed(number));
    assert_non_null(d);
    size_t n;
    do {
        n = pulse_draw_next(d, events, CHUNK);
        tally_add(&t, events, n);
    } while (n == CHUNK);
    assert_int_equal(pulse_draw_next(d, events, CHUNK), 0);
    return t;
}

static struct keyrate_counts counts_of(const uint64_t counts[OPTICS_OUTCOMES])
{
    double outcome[OPTICS_OUTCOMES];
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++)
        outcome[i] = (double)counts[i];
    return optics_counts(outcome);
}

static void assert_5_deviations(double count, double expected)
{
    assert_true(fabs(count - expected) <= 5 * sqrt(expected));
}

static void assert_counts(const uint64_t counts[OPTICS_OUTCOMES], const struct optics *o, double n)
{
    struct keyrate_counts drawn = counts_of(counts);
    struct keyrate_counts mean = optics_expect(o, n);
    assert_5_deviations(drawn.n, mean.n);
    assert_5_deviations(drawn.n_x, mean.n_x);
    assert_5_deviations(drawn.m_x, mean.m_x);
    assert_5_deviations(drawn.n_y, mean.n_y);
    assert_5_deviations(drawn.m_y, mean.m_y);
}

/* Against the probabilities of all classes. */
static double misfit(const uint64_t counts[CLASSES], const struct optics *o, double pulses)
{
    double expected[CLASSES];
    optics_probabilities(o, expected);
    double rest = 1;
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++) {
        rest -= expected[i];
        expected[i] *= pulses;
    }
    expected[OPTICS_OUTCOMES] = rest * pulses;
    return chi_square(counts, expected, CLASSES);
}

/* ---- counts ------------------------------------------------------------------------------- */

static void the_paper_links_count_what_is_expected(void **unused)
{
    for (size_t i = 0; i < link_paper_count(); i++) {
        struct optics o;
        optics_init(&o, &link_paper_at(i)->params, 0);
        struct tally t = tally_events(&o, 50000000, i);
        assert_counts(t.counts, &o, 5e7);
    }
}

static void counts_alone_are_those_of_a_block_of_200_seconds(void **unused)
{
    cleanup(rng_freep) struct rng *r = rng_new(seed(20));
    for (size_t i = 0; i < link_paper_count(); i++) {
        struct optics o;
        uint64_t counts[CLASSES] = {0};
        optics_init(&o, &link_paper_at(i)->params, 0);
        event_draw_counts(&o, UINT64_C(20000000000), r, counts);
        assert_counts(counts, &o, 2e10);
        counts[OPTICS_OUTCOMES] = UINT64_C(20000000000) - (uint64_t)counts_of(counts).n;
        assert_true(misfit(counts, &o, 2e10) < chi_square_limit(CLASSES - 1));
    }
}

static void every_outcome_of_a_bright_link_is_met_at_all_three(void **unused)
{
    const uint64_t pulses = 1000000;
    struct optics o;
    optics_init(&o, &bright, 0);
    struct tally events = tally_events(&o, pulses, 30);
    assert_true(misfit(events.counts, &o, (double)pulses) < chi_square_limit(CLASSES - 1));
    struct tally each = tally_pulses(&bright, &(struct eve){0}, pulses, 31);
    assert_true(misfit(each.counts, &o, (double)pulses) < chi_square_limit(CLASSES - 1));
    cleanup(rng_freep) struct rng *r = rng_new(seed(32));
    uint64_t counts[CLASSES];
    event_draw_counts(&o, pulses, r, counts);
    counts[OPTICS_OUTCOMES] = pulses - (uint64_t)counts_of(counts).n;
    assert_true(misfit(counts, &o, (double)pulses) < chi_square_limit(CLASSES - 1));
}

/* ---- two levels --------------------------------------------------------------------------- */

static double disagreement(const struct eve *drawn, const struct eve *pulsed, uint64_t number)
{
    const uint64_t pulses = 1000000;
    struct optics o;
    eve_optics(&o, &bright, drawn);
    struct tally events = tally_events(&o, pulses, number);
    struct tally each = tally_pulses(&bright, pulsed, pulses, number + 1);
    return chi_square_two(events.counts, each.counts, CLASSES);
}

static void the_two_levels_agree_with_eve_and_without(void **unused)
{
    static const struct eve eves[] = {{0}, {.intercept = 0.3}, {.intercept = 1},
        {.phase_noise = 0.7}, {.intercept = 0.5, .phase_noise = 2}};
    for (size_t i = 0; i < ARRAY_SIZE(eves); i++)
        assert_true(disagreement(&eves[i], &eves[i], 40 + 2 * i) < chi_square_limit(CLASSES - 1));
}

static void the_comparison_tells_eve_from_a_quiet_link(void **unused)
{
    const struct eve quiet = {0}, little = {.intercept = 0.05}, noisy = {.phase_noise = 0.2};
    assert_true(disagreement(&quiet, &little, 60) > chi_square_limit(CLASSES - 1));
    assert_true(disagreement(&noisy, &quiet, 62) > chi_square_limit(CLASSES - 1));
}

/* ---- Eve ---------------------------------------------------------------------------------- */

static void assert_rise(double errors, double n, double before, double fraction)
{
    double expected = before + fraction * (0.25 - before / 2);
    double deviation = sqrt(expected * (1 - expected) / n);
    assert_true(fabs(errors / n - expected) <= 5 * deviation + 2e-3 * expected);
    /* a quarter of the fraction, less what was wrong anyway */
    assert_true(fabs(errors / n - before - fraction / 4) <= 5 * deviation + 0.01 * fraction);
    assert_true(errors / n - before > 5 * deviation);
}

static void intercepted_pulses_raise_the_errors_that_are_drawn(void **unused)
{
    const double fractions[] = {1, 0.2, 0.05};
    struct link_params p = link_paper_find("paper-4", "alice", "bob")->params;
    p.share_xx = p.share_yy = 0.45; /* as much to learn from Y as from X */
    struct keyrate_counts quiet = link_model_expect(&p, 1);
    for (size_t i = 0; i < ARRAY_SIZE(fractions); i++) {
        struct optics o;
        eve_optics(&o, &p, &(struct eve){.intercept = fractions[i]});
        struct tally t = tally_events(&o, 40000000, 70 + i);
        struct keyrate_counts c = counts_of(t.counts);
        assert_counts(t.counts, &o, 4e7);
        assert_rise(c.m_x, c.n_x, quiet.m_x / quiet.n_x, fractions[i]);
        assert_rise(c.m_y, c.n_y, quiet.m_y / quiet.n_y, fractions[i]);
        assert_5_deviations(c.n, link_model_expect(&p, 4e7).n); /* gain kept */
    }
}

/* ---- positions ---------------------------------------------------------------------------- */

static void positions_are_uniform_over_the_block(void **unused)
{
    enum { BINS = 500 };
    const uint64_t pulses = 50000000;
    struct optics o;
    optics_init(&o, &link_paper_at(0)->params, 0);
    cleanup(event_draw_freep) struct event_draw *d = event_draw_new(&o, pulses, seed(80));
    static struct optics_event events[600000];
    size_t n = event_draw_next(d, events, ARRAY_SIZE(events));
    assert_in_range(n, 1, ARRAY_SIZE(events) - 1);
    uint64_t counts[BINS] = {0};
    double expected[BINS];
    for (size_t i = 0; i < n; i++)
        counts[events[i].position / (pulses / BINS)]++;
    for (size_t i = 0; i < BINS; i++)
        expected[i] = (double)n / BINS;
    assert_true(chi_square(counts, expected, BINS) < chi_square_limit(BINS - 1));
}

/* First, last and all between are met alike: 20,000 blocks of eight pulses. */
static void no_position_of_a_block_is_favoured(void **unused)
{
    enum { PULSES = 8, BLOCKS = 20000 };
    struct optics o;
    optics_init(&o, &bright, 0);
    double gain = optics_expect(&o, 1).n;
    uint64_t counts[PULSES][2] = {{0}};
    for (uint64_t block = 0; block < BLOCKS; block++) {
        cleanup(event_draw_freep) struct event_draw *d = event_draw_new(&o, PULSES, seed(block));
        struct optics_event events[PULSES + 1];
        size_t n = event_draw_next(d, events, ARRAY_SIZE(events));
        for (size_t i = 0; i < n; i++)
            counts[events[i].position][1]++;
    }
    const double expected[2] = {BLOCKS * (1 - gain), BLOCKS * gain};
    for (size_t i = 0; i < PULSES; i++) {
        counts[i][0] = BLOCKS - counts[i][1];
        assert_true(chi_square(counts[i], expected, 2) < chi_square_limit(1));
    }
}

/* Neighbouring pulses know nothing of each other: gaps are geometric, with nothing remembered. */
static void gaps_between_events_are_geometric(void **unused)
{
    enum { GAPS = 16 };
    struct optics o;
    optics_init(&o, &bright, 0);
    double gain = optics_expect(&o, 1).n;
    static struct optics_event events[200000];
    cleanup(event_draw_freep) struct event_draw *d =
        event_draw_new(&o, UINT64_C(1) << 40, seed(81));
    assert_int_equal(event_draw_next(d, events, ARRAY_SIZE(events)), ARRAY_SIZE(events));
    uint64_t counts[GAPS] = {0};
    double expected[GAPS];
    double draws = (double)ARRAY_SIZE(events) - 1;
    for (size_t i = 1; i < ARRAY_SIZE(events); i++)
        counts[MIN(GAPS - 1, events[i].position - events[i - 1].position - 1)]++;
    for (int i = 0; i < GAPS; i++)
        expected[i] = draws * pow(1 - gain, i) * (i < GAPS - 1 ? gain : 1);
    assert_true(chi_square(counts, expected, GAPS) < chi_square_limit(GAPS - 1));
}

static void a_block_without_pulses_or_without_light_has_no_events(void **unused)
{
    struct optics o;
    optics_init(&o, &bright, 0);
    assert_int_equal(tally_events(&o, 0, 90).next, 0);
    assert_int_equal(tally_pulses(&bright, &(struct eve){0}, 0, 90).next, 0);
    memset(o.click, 0, sizeof(o.click));
    assert_int_equal(tally_events(&o, EVENT_DRAW_PULSES_MAX, 91).next, 0);
}

static void where_every_pulse_is_an_event_none_is_left_out(void **unused)
{
    struct optics o;
    optics_init(&o, &bright, 0);
    for (unsigned cell = 0; cell < OPTICS_CELLS; cell++) {
        o.click[cell][OPTICS_D1] = 1;
        o.click[cell][OPTICS_D2] = 0;
    }
    struct tally t = tally_events(&o, 10000, 92);
    assert_int_equal(t.counts[OPTICS_OUTCOMES], 0);
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++)
        assert_int_equal(t.counts[i] > 0, i % 2 == OPTICS_D1);
}

/* ---- seeds -------------------------------------------------------------------------------- */

static bool same_events(const struct optics_event *a, const struct optics_event *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i].position != b[i].position || optics_outcome(&a[i]) != optics_outcome(&b[i]))
            return false;
    return true;
}

static void a_seed_draws_the_same_events_in_portions_of_any_size(void **unused)
{
    struct optics o;
    struct optics_event whole[5000], pieces[5000], others[5000];
    optics_init(&o, &link_paper_at(1)->params, 0);
    cleanup(event_draw_freep) struct event_draw *a = event_draw_new(&o, 10000000, seed(95));
    cleanup(event_draw_freep) struct event_draw *b = event_draw_new(&o, 10000000, seed(95));
    cleanup(event_draw_freep) struct event_draw *c = event_draw_new(&o, 10000000, seed(96));
    assert_int_equal(event_draw_next(a, whole, 5000), 5000);
    assert_int_equal(event_draw_next(c, others, 5000), 5000);
    for (size_t at = 0, portion = 1; at < 5000; at += portion, portion = portion * 2 % 613) {
        portion = MIN(portion, 5000 - at);
        assert_int_equal(event_draw_next(b, pieces + at, portion), portion);
    }
    assert_true(same_events(whole, pieces, 5000));
    assert_false(same_events(whole, others, 5000));
}

static void a_seed_draws_the_same_pulses(void **unused)
{
    const struct eve eve = {.intercept = 0.2, .phase_noise = 0.1};
    struct tally a = tally_pulses(&bright, &eve, 10000, 97);
    struct tally b = tally_pulses(&bright, &eve, 10000, 97);
    struct tally c = tally_pulses(&bright, &eve, 10000, 98);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_memory_not_equal(&a, &c, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_paper_links_count_what_is_expected),
        cmocka_unit_test(counts_alone_are_those_of_a_block_of_200_seconds),
        cmocka_unit_test(every_outcome_of_a_bright_link_is_met_at_all_three),
        cmocka_unit_test(the_two_levels_agree_with_eve_and_without),
        cmocka_unit_test(the_comparison_tells_eve_from_a_quiet_link),
        cmocka_unit_test(intercepted_pulses_raise_the_errors_that_are_drawn),
        cmocka_unit_test(positions_are_uniform_over_the_block),
        cmocka_unit_test(no_position_of_a_block_is_favoured),
        cmocka_unit_test(gaps_between_events_are_geometric),
        cmocka_unit_test(a_block_without_pulses_or_without_light_has_no_events),
        cmocka_unit_test(where_every_pulse_is_an_event_none_is_left_out),
        cmocka_unit_test(a_seed_draws_the_same_events_in_portions_of_any_size),
        cmocka_unit_test(a_seed_draws_the_same_pulses),
    };
    return cmocka_run_group_tests_name("event_draw", tests, NULL, NULL);
}
