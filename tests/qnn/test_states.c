/* SPDX-License-Identifier: Apache-2.0 */
/* The random states of the generated tasks, and the measures that describe them. */
#include "client/qnn/cplx.h"
#include "client/qnn/state.h"
#include "client/tasks/copies.h"
#include "client/tasks/draw.h"
#include "client/tasks/generator.h"
#include "client/tasks/measures.h"
#include "client/tasks/sampler.h"
#include "common/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/qnn/near.h"

#define QUBITS      3
#define SIZE        (1u << QUBITS)
#define STABILISERS 1080
#define KEYS        390625 /* 5^8 */

typedef void (*sampler)(double complex *psi, struct rng *rng);

static void haar(double complex *psi, struct rng *rng)
{
    sample_haar(psi, QUBITS, rng);
}

static void uniform(double complex *psi, struct rng *rng)
{
    sample_stabiliser_uniform(psi, QUBITS, rng);
}

static void biased(double complex *psi, struct rng *rng)
{
    sample_stabiliser_biased(psi, QUBITS, 6, rng);
}

/* ---- measures ---------------------------------------------------------------------------------- */

static void concentratable_entanglement_of_known_states(void **state)
{
    double complex bell[4] = {M_SQRT1_2, 0, 0, M_SQRT1_2};
    double complex ghz[SIZE] = {[0] = M_SQRT1_2, [7] = M_SQRT1_2};
    double complex w[SIZE] = {[1] = 1 / sqrt(3), [2] = 1 / sqrt(3), [4] = 1 / sqrt(3)};
    assert_near(concentratable_entanglement(bell, 2), 0.25, 1e-14);
    assert_near(concentratable_entanglement(ghz, QUBITS), 0.375, 1e-14);
    assert_near(concentratable_entanglement(w, QUBITS), 1.0 / 3, 1e-14);
    struct rng *rng = draw_stream(1, "product", 0);
    for (int i = 0; i < 50; i++) {
        double complex psi[SIZE];
        sample_product(psi, QUBITS, rng);
        assert_near(concentratable_entanglement(psi, QUBITS), 0, 1e-14);
    }
    rng_free(rng);
}

static void stabiliser_renyi_of_known_states(void **state)
{
    double complex t[2] = {M_SQRT1_2, cplx(0.5, 0.5)};
    double complex tt[4] = {t[0] * t[0], t[0] * t[1], t[1] * t[0], t[1] * t[1]};
    assert_near(stabiliser_renyi(t, 1), log2(4.0 / 3), 1e-14);
    assert_near(stabiliser_renyi(tt, 2), 2 * log2(4.0 / 3), 1e-14);
}

/* ---- samplers ---------------------------------------------------------------------------------- */

/* A number that stabiliser states share exactly if they are equal up to a phase. */
static uint32_t key_of(const double complex *psi)
{
    uint32_t key = 0, first = 0;
    while (cplx_norm2(psi[first]) < 1e-9)
        first++;
    for (uint32_t k = 0; k < SIZE; k++) {
        double complex ratio = psi[k] / psi[first];
        uint32_t turns = (uint32_t)lround(carg(ratio) / M_PI_2 + 4) % 4;
        key = 5 * key + (cplx_norm2(ratio) < 1e-9 ? 4 : turns);
    }
    return key;
}

static void both_samplers_draw_stabiliser_states(void **state)
{
    const sampler samplers[] = {uniform, biased};
    for (int s = 0; s < 2; s++) {
        struct rng *rng = draw_stream(2, "stabiliser", (uint64_t)s);
        for (int i = 0; i < 500; i++) {
            double complex psi[SIZE];
            samplers[s](psi, rng);
            assert_near(state_norm(psi, QUBITS), 1, 1e-13);
            assert_near(stabiliser_renyi(psi, QUBITS), 0, 1e-12);
        }
        rng_free(rng);
    }
}

/* Chi-square with 1,079 degrees of freedom: mean 1,079, standard deviation 46.5. */
static void the_uniform_sampler_draws_all_1080_states_alike(void **state)
{
    const uint32_t draws = 100 * STABILISERS;
    uint32_t *seen = calloc(KEYS, sizeof(*seen)), kinds = 0;
    double square = 0;
    struct rng *rng = draw_stream(3, "uniform", 0);
    for (uint32_t i = 0; i < draws; i++) {
        double complex psi[SIZE];
        uniform(psi, rng);
        seen[key_of(psi)]++;
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        kinds += seen[key] > 0;
        square += seen[key] > 0 ? (seen[key] - 100.0) * (seen[key] - 100.0) / 100 : 0;
    }
    assert_int_equal(kinds, STABILISERS);
    assert_near(square, STABILISERS - 1, 5 * 46.5);
    rng_free(rng);
    free(seen);
}

static void the_biased_sampler_prefers_basis_states(void **state)
{
    struct rng *rng = draw_stream(4, "biased", 0);
    uint32_t basis = 0;
    for (int i = 0; i < 5000; i++) {
        double complex psi[SIZE];
        biased(psi, rng);
        for (uint32_t k = 0; k < SIZE; k++)
            basis += cplx_norm2(psi[k]) > 0.999;
    }
    assert_true(basis > 5000 * 20 * 8 / STABILISERS); /* 20 times their part of all states */
    rng_free(rng);
}

/* Mean over d = 8: purity of a qubit (2 + 4) / 9, so CE .25; <Z>^2 is 1 / (d + 1). */
static void haar_states_have_the_means_of_the_haar_measure(void **state)
{
    const int draws = 4000;
    double ce = 0, z = 0, square = 0;
    struct rng *rng = draw_stream(5, "haar", 0);
    for (int i = 0; i < draws; i++) {
        double complex psi[SIZE];
        haar(psi, rng);
        assert_near(state_norm(psi, QUBITS), 1, 1e-13);
        ce += concentratable_entanglement(psi, QUBITS) / draws;
        z += state_z(psi, QUBITS, 1) / draws;
        square += state_z(psi, QUBITS, 1) * state_z(psi, QUBITS, 1) / draws;
    }
    assert_near(ce, 0.25, 0.005);
    assert_near(z, 0, 0.03);
    assert_near(square, 1.0 / 9, 0.015);
    rng_free(rng);
}

/* Largest deviation of the mean of |psi psi><psi psi| from the Haar measure's: the projector on the
 * symmetric subspace over its dimension, 36. */
static double distance_from_haar(sampler draw, int draws)
{
    static double complex mean[64][64];
    double worst = 0;
    struct rng *rng = draw_stream(6, "two copies", 0);
    memset(mean, 0, sizeof(mean));
    for (int i = 0; i < draws; i++) {
        double complex psi[SIZE];
        draw(psi, rng);
        for (int a = 0; a < 64; a++)
            for (int b = 0; b < 64; b++)
                mean[a][b] += cplx_mul(cplx_mul(psi[a / 8], psi[a % 8]),
                                  conj(cplx_mul(psi[b / 8], psi[b % 8]))) /
                              draws;
    }
    for (int a = 0; a < 64; a++) {
        for (int b = 0; b < 64; b++) {
            int swapped = b % 8 * 8 + b / 8;
            double expected = ((a == b) + (a == swapped)) / 72.0;
            worst = fmax(worst, cabs(mean[a][b] - expected));
        }
    }
    rng_free(rng);
    return worst;
}

/* Why the task `magic` stays at one half with the uniform sampler. */
static void two_copies_do_not_tell_uniform_stabilisers_from_haar(void **state)
{
    assert_true(distance_from_haar(haar, 8000) < 0.008);
    assert_true(distance_from_haar(uniform, 8000) < 0.008);
    assert_true(distance_from_haar(biased, 8000) > 0.05);
}

/* ---- generators -------------------------------------------------------------------------------- */

static double mean_entanglement(const struct generator *g)
{
    const int draws = 1500;
    double sum = 0;
    struct rng *rng = draw_stream(7, "generator", 0);
    for (int i = 0; i < draws; i++) {
        double complex psi[SIZE];
        generator_sample(g, psi, rng);
        assert_near(state_norm(psi, QUBITS), 1, 1e-12);
        sum += concentratable_entanglement(psi, QUBITS);
    }
    rng_free(rng);
    return sum / draws;
}

static void our_generators_reach_their_goals(void **state)
{
    assert_near(mean_entanglement(&generator_low), generator_low.goal, 0.01);
    assert_near(mean_entanglement(&generator_high), generator_high.goal, 0.02);
}

static void u3_has_its_textbook_corners(void **state)
{
    struct qnn_matrix h = generator_u3((const double[]){M_PI_2, 0, M_PI});
    for (int i = 0; i < 4; i++)
        assert_true(cabs(h.m[i / 2][i % 2] - (i == 3 ? -M_SQRT1_2 : M_SQRT1_2)) < 1e-15);
}

static void copies_are_interleaved(void **state)
{
    double complex psi[SIZE] = {[4] = 1}, both[64];
    copies_interleave(psi, QUBITS, both);
    assert_true(cabs(both[0x30] - 1) < 1e-15); /* 1 1 0 0 0 0 */
    struct rng *rng = draw_stream(8, "copies", 0);
    haar(psi, rng);
    copies_interleave(psi, QUBITS, both);
    for (uint32_t q = 0; q < 2 * QUBITS; q++)
        assert_near(state_z(both, 2 * QUBITS, q), state_z(psi, QUBITS, q / 2), 1e-13);
    rng_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concentratable_entanglement_of_known_states),
        cmocka_unit_test(stabiliser_renyi_of_known_states),
        cmocka_unit_test(both_samplers_draw_stabiliser_states),
        cmocka_unit_test(the_uniform_sampler_draws_all_1080_states_alike),
        cmocka_unit_test(the_biased_sampler_prefers_basis_states),
        cmocka_unit_test(haar_states_have_the_means_of_the_haar_measure),
        cmocka_unit_test(two_copies_do_not_tell_uniform_stabilisers_from_haar),
        cmocka_unit_test(our_generators_reach_their_goals),
        cmocka_unit_test(u3_has_its_textbook_corners),
        cmocka_unit_test(copies_are_interleaved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
