/* SPDX-License-Identifier: Apache-2.0 */
/* Binomial numbers: the distribution itself where it can be listed, its moments elsewhere. */
#include "keypool/qkd/binomial.h"

#include "common/util.h"
#include "tests/keypool/chi_square.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CLASSES 128

static struct rng *seeded(uint8_t number)
{
    uint8_t seed[RNG_SEED_BYTES] = {number};
    struct rng *r = rng_new(seed);
    assert_non_null(r);
    return r;
}

static double log_probability(double n, double p, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p);
}

/* Draws against the listed distribution; classes with less than 10 expected are put together. */
static void assert_distribution(struct rng *r, uint64_t n, double p)
{
    const int draws = 200000;
    uint64_t counts[CLASSES + 1] = {0};
    double expected[CLASSES + 1] = {0};
    size_t class_of[CLASSES];
    size_t classes = 1; /* 0: the rest */
    assert_in_range(n, 1, CLASSES - 1);
    for (uint64_t k = 0; k <= n; k++) {
        double mean = draws * exp(log_probability((double)n, p, (double)k));
        class_of[k] = mean < 10 ? 0 : classes++;
        expected[class_of[k]] += mean;
    }
    for (int i = 0; i < draws; i++) {
        uint64_t k = binomial_draw(r, n, p);
        assert_in_range(k, 0, n);
        counts[class_of[k]]++;
    }
    expected[0] += 1e-9; /* may be empty: then any draw there is one too many */
    assert_true(chi_square(counts, expected, classes) < chi_square_limit(classes - 1));
}

static void small_numbers_follow_the_listed_distribution(void **unused)
{
    cleanup(rng_freep) struct rng *r = seeded(1);
    /* inversion */
    assert_distribution(r, 1, 0.3);
    assert_distribution(r, 30, 0.1);
    assert_distribution(r, 100, 0.099);
    assert_distribution(r, 19, 0.5);
    /* rejection, from its smallest mean on */
    assert_distribution(r, 20, 0.5);
    assert_distribution(r, 100, 0.1);
    assert_distribution(r, 100, 0.37);
    /* from the other end */
    assert_distribution(r, 30, 0.9);
    assert_distribution(r, 120, 0.75);
}

/* Mean and variance within 5 of their standard deviations. */
static void assert_moments(struct rng *r, uint64_t n, double p)
{
    const int draws = 40000;
    double mean = (double)n * p;
    double variance = mean * (1 - p);
    double sum = 0, squares = 0;
    for (int i = 0; i < draws; i++) {
        double off = (double)binomial_draw(r, n, p) - mean;
        sum += off;
        squares += off * off;
    }
    double fourth = 3 * variance * variance + variance * (1 - 6 * p * (1 - p));
    assert_true(fabs(sum / draws) <= 5 * sqrt(variance / draws));
    assert_true(
        fabs(squares / draws - variance) <= 5 * sqrt((fourth - variance * variance) / draws));
}

static void large_numbers_have_the_right_mean_and_variance(void **unused)
{
    cleanup(rng_freep) struct rng *r = seeded(2);
    const uint64_t block = UINT64_C(20000000000);
    assert_moments(r, 1000, 0.25);
    assert_moments(r, 1000000, 0.00000999);
    assert_moments(r, 1000000, 0.00001001);
    assert_moments(r, block, 1e-10);
    assert_moments(r, block, 2.6e-3);
    assert_moments(r, block, 0.5);
    assert_moments(r, block, 0.99);
    assert_moments(r, BINOMIAL_TRIALS_MAX, 1e-14);
}

/* Quantiles of the standard normal: a sampler may have two right moments and a wrong shape. */
static void the_shape_of_large_numbers_is_normal(void **unused)
{
    static const double edges[] = {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5};
    const int draws = 200000;
    const double n = 2e10, p = 1.05e-2;
    const double deviation = sqrt(n * p * (1 - p));
    uint64_t counts[ARRAY_SIZE(edges) + 1] = {0};
    double expected[ARRAY_SIZE(edges) + 1];
    double below = 0;
    for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
        double up_to = erfc(-edges[i] / sqrt(2)) / 2;
        expected[i] = draws * (up_to - below);
        below = up_to;
    }
    expected[ARRAY_SIZE(edges)] = draws * (1 - below);
    cleanup(rng_freep) struct rng *r = seeded(3);
    for (int i = 0; i < draws; i++) {
        double z = ((double)binomial_draw(r, (uint64_t)n, p) - n * p) / deviation;
        size_t class = 0;
        while (class < ARRAY_SIZE(edges) && z > edges[class])
            class ++;
        counts[class]++;
    }
    assert_true(
        chi_square(counts, expected, ARRAY_SIZE(counts)) < chi_square_limit(ARRAY_SIZE(edges)));
}

static void certain_outcomes_are_certain(void **unused)
{
    cleanup(rng_freep) struct rng *r = seeded(4);
    const uint64_t sizes[] = {0, 1, 7, 20, UINT64_C(20000000000), BINOMIAL_TRIALS_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        assert_int_equal(binomial_draw(r, sizes[i], 0), 0);
        assert_int_equal(binomial_draw(r, sizes[i], 1), sizes[i]);
    }
    assert_int_equal(binomial_draw(r, 0, 0.5), 0);
}

static void hopeless_and_hardly_failing_trials_stay_within_bounds(void **unused)
{
    cleanup(rng_freep) struct rng *r = seeded(5);
    const uint64_t block = UINT64_C(20000000000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(binomial_draw(r, block, 1e-300), 0);
        assert_in_range(binomial_draw(r, block, 1e-10), 0, 20);
        assert_in_range(binomial_draw(r, block, 1 - 1e-10), block - 20, block);
    }
}

static void a_seed_draws_the_same_numbers(void **unused)
{
    cleanup(rng_freep) struct rng *a = seeded(6);
    cleanup(rng_freep) struct rng *b = seeded(6);
    for (uint64_t n = 1; n < 100000; n = n * 3 / 2 + 1)
        assert_int_equal(binomial_draw(a, n, 0.01), binomial_draw(b, n, 0.01));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_numbers_follow_the_listed_distribution),
        cmocka_unit_test(large_numbers_have_the_right_mean_and_variance),
        cmocka_unit_test(the_shape_of_large_numbers_is_normal),
        cmocka_unit_test(certain_outcomes_are_certain),
        cmocka_unit_test(hopeless_and_hardly_failing_trials_stay_within_bounds),
        cmocka_unit_test(a_seed_draws_the_same_numbers),
    };
    return cmocka_run_group_tests_name("binomial", tests, NULL, NULL);
}
