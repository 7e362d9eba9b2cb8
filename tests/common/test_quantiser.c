/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing overflows, nothing is biased, and every chunk is as SPEC.md says. */
#include "common/quantiser.h"
#include "common/util.h"
#include "common/words.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int setup(void **state)
{
    static const uint8_t seed[RNG_SEED_BYTES] = "quantiser";
    *state = rng_new(seed);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    rng_free(*state);
    return 0;
}

static struct quantiser sample(void)
{
    return (struct quantiser){
        .q = 8, .participants = 4, .parameters = 100, .chunk_words = 16, .clip = 0.5};
}

/* ---- what is accepted -------------------------------------------------------------------------- */

static void the_least_q_is_named(void **state)
{
    static const struct {
        uint32_t k;
        unsigned q;
    } cases[] = {{1, 2}, {2, 3}, {3, 3}, {4, 4}, {7, 4}, {8, 5}, {31, 6}, {127, 8}, {128, 9},
        {32767, 16}, {32768, 17}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(quantiser_least_q(cases[i].k), cases[i].q);
        struct quantiser z = sample();
        struct err e;
        z.participants = cases[i].k;
        z.q = cases[i].q;
        assert_int_equal(quantiser_check(&z, &e), 0);
        assert_true(quantiser_bound(&z) >= 1);
        z.q--;
        assert_int_equal(quantiser_check(&z, &e), -EINVAL);
    }
    struct quantiser z = sample();
    struct err e;
    z.participants = 200;
    assert_int_equal(quantiser_check(&z, &e), -EINVAL);
    assert_string_equal(e.text, "q = 8 is too small for 200 participants: the least is q = 9");
}

static void what_cannot_be_exact_is_refused(void **state)
{
    struct {
        struct quantiser z;
        const char *sentence;
    } cases[] = {
        {sample(), "q = 33: must be between 2 and 32"},
        {sample(), "chunks of 12 words: must be a multiple of 8, at least 8"},
        {sample(), "a model without parameters"},
        {sample(), "4294967295 parameters are too many"},
        {sample(), "clip 0: must be a positive number"},
        {sample(), "clip nan: must be a positive number"},
        {sample(), "clip inf: must be a positive number"},
        {sample(), "clip 1e+308: must be a positive number"},
        {sample(), "clip 4.94066e-324: too small for 8 bits"},
        {sample(), "rounding 2 is unknown"},
        {sample(), "0 participants cannot be summed"},
    };
    cases[0].z.q = 33;
    cases[1].z.chunk_words = 12;
    cases[2].z.parameters = 0;
    cases[3].z.parameters = UINT32_MAX;
    cases[4].z.clip = 0;
    cases[5].z.clip = NAN;
    cases[6].z.clip = INFINITY;
    cases[7].z.clip = 1e308; /* the sum of four would not be a number */
    cases[8].z.clip = 4.94066e-324;
    cases[9].z.rounding = (enum rounding)2;
    cases[10].z.participants = 0;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err e;
        assert_int_equal(quantiser_check(&cases[i].z, &e), -EINVAL);
        assert_string_equal(e.text, cases[i].sentence);
    }
}

/* ---- layout ------------------------------------------------------------------------------------ */

static void chunks_cover_the_vector_without_gap(void **state)
{
    for (uint32_t chunk_words = 8; chunk_words <= 40; chunk_words += 8) {
        for (uint32_t parameters = 1; parameters < 130; parameters++) {
            struct quantiser z = sample();
            z.q = 5 + parameters % 13;
            z.parameters = parameters;
            z.chunk_words = chunk_words;
            uint32_t words = 0;
            uint64_t bytes = 0;
            for (uint32_t c = 0; c < quantiser_chunks(&z); c++) {
                uint32_t n = quantiser_chunk_words(&z, c);
                bool is_last = c + 1 == quantiser_chunks(&z);
                assert_true(n >= 3 && (is_last ? n <= chunk_words : n == chunk_words));
                assert_int_equal(quantiser_chunk_offset(&z, c), bytes);
                assert_int_equal(bytes * 8, (uint64_t)words * z.q);
                words += n;
                bytes += quantiser_chunk_bytes(&z, c);
            }
            assert_int_equal(words, quantiser_words(&z));
            assert_int_equal(words, parameters + 2 * quantiser_chunks(&z));
            assert_int_equal(bytes, words_bytes(words, z.q));
        }
    }
}

static void canaries_stand_at_both_ends_of_every_chunk(void **state)
{
    struct quantiser z = sample();
    double x[100];
    uint8_t out[128];
    for (size_t k = 0; k < 100; k++)
        x[k] = -0.3;
    assert_int_equal(quantiser_encode(&z, x, *state, out, NULL), 0);
    for (uint32_t k = 0; k < quantiser_words(&z); k++) {
        bool is_end = k % 16 == 0 || k % 16 == 15 || k + 1 == quantiser_words(&z);
        assert_int_equal(words_get_signed(out, k, 8) == 1, is_end);
    }
    assert_int_equal(quantiser_words(&z), 116);
    assert_int_equal(quantiser_canaries_wrong(&z, out), 16); /* of one client, not of four */
    uint8_t sum[128] = {0};
    for (int i = 0; i < 4; i++)
        words_add(sum, out, 116, 8, false);
    assert_int_equal(quantiser_canaries_wrong(&z, sum), 0);
    sum[115] ^= 1;
    sum[16] ^= 4;
    assert_int_equal(quantiser_canaries_wrong(&z, sum), 2);
}

/* ---- bounds ------------------------------------------------------------------------------------ */

static void values_within_the_bound(struct quantiser z, const double *x, struct rng *rng)
{
    int64_t v[64], bound = quantiser_bound(&z);
    uint8_t out[1024];
    uint64_t clipped;
    struct err e;
    assert_int_equal(quantiser_check(&z, &e), 0);
    assert_int_equal(quantiser_encode(&z, x, rng, out, &clipped), 0);
    quantiser_integers(&z, out, v);
    for (uint32_t k = 0; k < z.parameters; k++) {
        if (v[k] > bound || v[k] < -bound)
            fail_msg("q %u K %u clip %g: x %a became %lld, bound %lld", z.q, z.participants, z.clip,
                x[k], (long long)v[k], (long long)bound);
        double s = fmax(fmin(x[k] / quantiser_step(&z), (double)bound), -(double)bound);
        assert_true(fabs((double)v[k] - s) <= (z.rounding == ROUNDING_NEAREST ? 0.5 : 1.0));
    }
}

static void no_value_leaves_the_bound(void **state)
{
    static const double clips[] = {
        1.0, 0.1, 1e-290, 1e290, 3.0000000000000004, 0x1.fffffffffffffp0, 2.3e-290};
    for (size_t i = 0; i < ARRAY_SIZE(clips); i++) {
        double c = clips[i];
        double x[64] = {c, -c, nextafter(c, 0), nextafter(-c, 0), nextafter(c, INFINITY), 2 * c,
            -2 * c, DBL_MAX, -DBL_MAX, DBL_MIN, -DBL_MIN, DBL_TRUE_MIN, -DBL_TRUE_MIN, 0.0, -0.0,
            c / 2, c / 3, -c / 3};
        for (size_t k = 18; k < 64; k++)
            x[k] = c * (2.2 * rng_uniform(*state) - 1.1);
        for (unsigned q = 2; q <= 32; q++) {
            uint32_t most = (uint32_t)(((int64_t)1 << (q - 1)) - 1);
            const uint32_t ks[] = {1, 2, 3, 4, 10, 100, most / 2, most - 1, most};
            for (size_t j = 0; j < ARRAY_SIZE(ks); j++) {
                if (ks[j] == 0 || ks[j] > most)
                    continue;
                struct quantiser z = {.q = q,
                    .participants = ks[j],
                    .parameters = 64,
                    .chunk_words = 24,
                    .clip = c,
                    .rounding = j & 1};
                values_within_the_bound(z, x, *state);
            }
        }
    }
}

/* Trap of the paper's literal rule, r = K d with nearest rounding: at q = 8 and four participants at the
 * edge of the range every word is round(127/4) = 32, and four of them are 128, which reads as -128. */
static void the_papers_literal_rule_wraps_and_ours_does_not(void **state)
{
    int64_t literal = (int64_t)round(127.0 / 4);
    uint8_t word = (uint8_t)(4 * literal);
    assert_true(words_get_signed(&word, 0, 8) == -128);

    struct quantiser z = sample();
    z.rounding = ROUNDING_NEAREST;
    double x[100], model[100];
    for (size_t k = 0; k < 100; k++) {
        x[k] = k & 1 ? -0.5 : 0.5;
        model[k] = 0;
    }
    uint8_t out[128], sum[128] = {0};
    assert_int_equal(quantiser_encode(&z, x, NULL, out, NULL), 0);
    for (int i = 0; i < 4; i++)
        words_add(sum, out, quantiser_words(&z), 8, false);
    quantiser_apply(&z, sum, model);
    for (size_t k = 0; k < 100; k++)
        assert_true(fabs(model[k] - 4 * x[k]) < 1e-12); /* 4 x 31 steps of 0.5/31 */
}

/* The same rule's other fault: at K = 20 its steps are so coarse that updates of usual size vanish. */
static void small_updates_survive_stochastic_rounding_only(void **state)
{
    struct quantiser z = {.q = 8,
        .participants = 20,
        .parameters = 64,
        .chunk_words = 64,
        .clip = 0.1,
        .rounding = ROUNDING_NEAREST};
    double x[64];
    int64_t v[64], total = 0;
    uint8_t out[128];
    for (size_t k = 0; k < 64; k++)
        x[k] = 0.3 * quantiser_step(&z);
    assert_int_equal(quantiser_encode(&z, x, NULL, out, NULL), 0);
    quantiser_integers(&z, out, v);
    for (size_t k = 0; k < 64; k++)
        assert_int_equal(v[k], 0);
    z.rounding = ROUNDING_STOCHASTIC;
    assert_int_equal(quantiser_encode(&z, x, *state, out, NULL), 0);
    quantiser_integers(&z, out, v);
    for (size_t k = 0; k < 64; k++)
        total += v[k];
    assert_in_range(total, 5, 35);
}

/* Mean of n draws within 6 standard deviations of s: sd = sqrt(f (1-f) / n), f the fraction of s. With
 * a fair rounding a run fails with probability below 2e-9 per value; the seed is fixed. */
static void stochastic_rounding_is_unbiased(void **state)
{
    enum { N = 20000 };
    static const double fractions[] = {0.0, 0.01, 0.25, 0.5, 0.75, 0.999};
    struct quantiser z = {.q = 16,
        .participants = 10,
        .parameters = N,
        .chunk_words = 4096,
        .clip = 1.0,
        .rounding = ROUNDING_STOCHASTIC};
    double *x = calloc(N, sizeof(*x));
    int64_t *v = calloc(N, sizeof(*v));
    uint8_t *out = malloc(words_bytes(quantiser_words(&z), z.q));
    for (size_t i = 0; i < ARRAY_SIZE(fractions); i++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            double value = sign * (100 + fractions[i]) * quantiser_step(&z), mean = 0;
            for (size_t k = 0; k < N; k++)
                x[k] = value;
            assert_int_equal(quantiser_encode(&z, x, *state, out, NULL), 0);
            quantiser_integers(&z, out, v);
            for (size_t k = 0; k < N; k++)
                mean += (double)v[k] / N;
            double s = value / quantiser_step(&z), f = s - floor(s);
            double allowed = 6 * sqrt(f * (1 - f) / N) + 1e-9;
            if (fabs(mean - s) > allowed)
                fail_msg("s %.12g: mean %.12g, allowed %.3g", s, mean, allowed);
        }
    }
    free(x);
    free(v);
    free(out);
}

static void clipped_values_are_counted(void **state)
{
    struct quantiser z = sample();
    z.parameters = 6;
    double x[] = {0.5, -0.5, 0.50001, -3, 0, 1e300};
    uint8_t out[16];
    uint64_t clipped;
    assert_int_equal(quantiser_encode(&z, x, *state, out, &clipped), 0);
    assert_int_equal(clipped, 3);
    int64_t v[6];
    quantiser_integers(&z, out, v);
    const int64_t expected[] = {31, -31, 31, -31, 0, 31};
    assert_memory_equal(v, expected, sizeof(v));
}

static void what_is_no_number_is_refused_and_nothing_is_left(void **state)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    static const uint8_t zeros[116];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct quantiser z = sample();
        double x[100];
        uint8_t out[117];
        memset(out, 0xa5, sizeof(out));
        for (size_t k = 0; k < 100; k++)
            x[k] = 0.2;
        x[77] = bad[i];
        assert_int_equal(quantiser_encode(&z, x, *state, out, NULL), -EDOM);
        assert_memory_equal(out, zeros, 116);
        assert_int_equal(out[116], 0xa5);
    }
}

/* ---- sums -------------------------------------------------------------------------------------- */

static void packed_sums_are_integer_sums(void **state)
{
    for (unsigned q = 4; q <= 32; q++) {
        struct quantiser z = {.q = q,
            .participants = 5,
            .parameters = 333,
            .chunk_words = 64,
            .clip = 0.7,
            .rounding = ROUNDING_STOCHASTIC};
        if (z.participants > ((int64_t)1 << (q - 1)) - 1)
            continue;
        size_t len = words_bytes(quantiser_words(&z), q);
        uint8_t *sum = calloc(1, len), *out = malloc(len);
        int64_t total[333] = {0}, v[333];
        double x[333], model[333], expected[333];
        for (int i = 0; i < 5; i++) {
            for (size_t k = 0; k < 333; k++)
                x[k] = rng_normal(*state) * 0.4;
            assert_int_equal(quantiser_encode(&z, x, *state, out, NULL), 0);
            quantiser_integers(&z, out, v);
            for (size_t k = 0; k < 333; k++)
                total[k] += v[k];
            words_add(sum, out, quantiser_words(&z), q, false);
        }
        quantiser_integers(&z, sum, v);
        assert_memory_equal(v, total, sizeof(v));
        assert_int_equal(quantiser_canaries_wrong(&z, sum), 0);
        for (size_t k = 0; k < 333; k++) {
            model[k] = expected[k] = rng_normal(*state);
            volatile double step = quantiser_step(&z) * (double)total[k];
            expected[k] += step;
        }
        quantiser_apply(&z, sum, model);
        assert_memory_equal(model, expected, sizeof(model)); /* bit for bit */
        free(sum);
        free(out);
    }
}

static void the_same_seed_gives_the_same_words(void **state)
{
    static const uint8_t seed[RNG_SEED_BYTES] = {1};
    struct quantiser z = sample();
    double x[100];
    uint8_t a[116], b[116];
    for (size_t k = 0; k < 100; k++)
        x[k] = 0.001 * (double)k;
    struct rng *first = rng_new(seed), *second = rng_new(seed);
    assert_int_equal(quantiser_encode(&z, x, first, a, NULL), 0);
    assert_int_equal(quantiser_encode(&z, x, second, b, NULL), 0);
    assert_memory_equal(a, b, sizeof(a));
    assert_int_equal(quantiser_encode(&z, x, second, b, NULL), 0);
    assert_memory_not_equal(a, b, sizeof(a));
    rng_free(first);
    rng_free(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_least_q_is_named),
        TEST(what_cannot_be_exact_is_refused),
        TEST(chunks_cover_the_vector_without_gap),
        TEST(canaries_stand_at_both_ends_of_every_chunk),
        TEST(no_value_leaves_the_bound),
        TEST(the_papers_literal_rule_wraps_and_ours_does_not),
        TEST(small_updates_survive_stochastic_rounding_only),
        TEST(stochastic_rounding_is_unbiased),
        TEST(clipped_values_are_counted),
        TEST(what_is_no_number_is_refused_and_nothing_is_left),
        TEST(packed_sums_are_integer_sums),
        TEST(the_same_seed_gives_the_same_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
