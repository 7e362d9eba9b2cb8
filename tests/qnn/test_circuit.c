/* SPDX-License-Identifier: Apache-2.0 */
/* The plain state vector on circuits whose answers are known: what the oracle itself rests on. */
#include "client/qnn/adam.h"
#include "client/qnn/state.h"
#include "common/util.h"
#include "tests/qnn/oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/qnn/near.h"

#define QUBITS 3
#define SIZE   (1u << QUBITS)

static void assert_state(const double complex *psi, const double complex *expected)
{
    for (uint32_t k = 0; k < SIZE; k++)
        assert_true(cabs(psi[k] - expected[k]) < 1e-14);
}

static double complex entry_of_product(
    const struct qnn_matrix *a, const struct qnn_matrix *b, int row, int column)
{
    return a->m[row][0] * b->m[0][column] + a->m[row][1] * b->m[1][column];
}

static void rotations_are_unitary_and_turn_as_defined(void **state)
{
    for (enum qnn_axis axis = QNN_X; axis <= QNN_Z; axis++) {
        struct qnn_matrix u = qnn_rotation(axis, 1.234), v = qnn_rotation(axis, -1.234);
        for (int i = 0; i < 4; i++)
            assert_true(cabs(entry_of_product(&u, &v, i / 2, i % 2) - (i % 3 == 0)) < 1e-15);
        for (int i = 0; i < 4; i++) /* the inverse is the adjoint */
            assert_true(cabs(v.m[i / 2][i % 2] - conj(u.m[i % 2][i / 2])) < 1e-15);
    }
    struct qnn_matrix x = qnn_rotation(QNN_X, M_PI), y = qnn_rotation(QNN_Y, M_PI),
                      z = qnn_rotation(QNN_Z, M_PI); /* -i times the Pauli matrices */
    assert_true(cabs(x.m[0][1] + I) < 1e-15 && cabs(x.m[1][0] + I) < 1e-15);
    assert_true(cabs(y.m[0][1] + 1) < 1e-15 && cabs(y.m[1][0] - 1) < 1e-15);
    assert_true(cabs(z.m[0][0] + I) < 1e-15 && cabs(z.m[1][1] - I) < 1e-15);
}

static void qubit_0_is_the_most_significant_bit(void **state)
{
    double complex psi[SIZE], expected[SIZE] = {[4] = 1};
    struct qnn_matrix y = qnn_rotation(QNN_Y, M_PI);
    state_zero(psi, QUBITS);
    state_apply(psi, QUBITS, 0, &y);
    assert_state(psi, expected);
    assert_near(state_z(psi, QUBITS, 0), -1, 1e-14);
    assert_near(state_z(psi, QUBITS, 2), 1, 1e-14);
}

static void rx_of_a_third_turns_z_by_its_cosine(void **state)
{
    double complex psi[SIZE];
    struct qnn_matrix x = qnn_rotation(QNN_X, M_PI / 3);
    state_zero(psi, QUBITS);
    state_apply(psi, QUBITS, 1, &x);
    assert_near(state_z(psi, QUBITS, 1), 0.5, 1e-14);
}

static void hadamard_and_cnots_make_a_ghz_state(void **state)
{
    double complex psi[SIZE], expected[SIZE] = {[0] = M_SQRT1_2, [7] = M_SQRT1_2};
    struct qnn_matrix half = qnn_rotation(QNN_Y, M_PI_2);
    state_zero(psi, QUBITS);
    state_apply(psi, QUBITS, 0, &half);
    state_cnot(psi, QUBITS, 0, 1);
    state_cnot(psi, QUBITS, 1, 2);
    assert_state(psi, expected);
    for (uint32_t subset = 0; subset < SIZE; subset++)
        assert_near(state_purity(psi, QUBITS, subset), subset % 7 ? 0.5 : 1, 1e-14);
    state_cz(psi, QUBITS, 0, 2);
    expected[7] = -expected[7];
    assert_state(psi, expected);
}

/* CNOT(0,1), CNOT(1,2), CNOT(2,0): |100> -> |110> -> |111> -> |011>. */
static void the_ring_is_applied_in_order(void **state)
{
    assert_int_equal(qnn_ring(QUBITS, 4), 3);
    assert_int_equal(qnn_ring(QUBITS, 0), 0);
    for (uint32_t qubits = QNN_QUBITS_MIN; qubits <= QNN_QUBITS_MAX; qubits++) {
        for (uint32_t k = 0; k < 1u << qubits; k++) /* linear, so a permutation if injective */
            assert_int_equal(qnn_ring(qubits, k) ^ qnn_ring(qubits, 1), qnn_ring(qubits, k ^ 1));
    }
    double complex psi[SIZE], expected[SIZE] = {[3] = 1};
    double theta[9] = {0};
    state_zero(psi, QUBITS);
    psi[0] = 0;
    psi[4] = 1;
    state_run(psi, &(struct qnn_circuit){QUBITS, 1, 0, QNN_RZ_RY_RZ}, theta);
    assert_state(psi, expected);
}

static void deep_circuits_keep_the_norm(void **state)
{
    double theta[3 * 6 * 20];
    double complex psi[64];
    struct rng *rng = oracle_rng(1);
    oracle_angles(theta, ARRAY_SIZE(theta), rng);
    for (unsigned ansatz = 0; ansatz < 2; ansatz++) {
        state_zero(psi, 6);
        state_run(psi, &(struct qnn_circuit){6, 20, 0, (enum qnn_ansatz)ansatz}, theta);
        assert_near(state_norm(psi, 6), 1, 1e-13);
    }
    rng_free(rng);
}

static void ansaetze_go_by_name(void **state)
{
    enum qnn_ansatz ansatz;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(qnn_ansatz_parse(qnn_ansatz_name((enum qnn_ansatz)i), &ansatz), 0);
        assert_int_equal(ansatz, i);
    }
    assert_true(qnn_ansatz_parse("RY-RY-RY", &ansatz) > 0);
}

/* The first step is lr against the gradient's sign; the second worked out by hand for g = 1, then 0:
 * mean .09 / .19, square .000999 / .001999. */
static void adam_steps_as_in_the_paper(void **state)
{
    struct adam a;
    double theta[2] = {1, 1}, gradient[2] = {1, -0.001};
    assert_int_equal(adam_init(&a, 2, 0.1), 0);
    adam_step(&a, theta, gradient);
    assert_near(theta[0], 0.9, 1e-8);
    assert_near(theta[1], 1.1, 1e-5);
    gradient[0] = 0;
    adam_step(&a, theta, gradient);
    assert_near(theta[0], 0.9 - 0.1 * (0.09 / 0.19) / sqrt(0.000999 / 0.001999), 1e-8);
    adam_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotations_are_unitary_and_turn_as_defined),
        cmocka_unit_test(qubit_0_is_the_most_significant_bit),
        cmocka_unit_test(rx_of_a_third_turns_z_by_its_cosine),
        cmocka_unit_test(hadamard_and_cnots_make_a_ghz_state),
        cmocka_unit_test(the_ring_is_applied_in_order),
        cmocka_unit_test(deep_circuits_keep_the_norm),
        cmocka_unit_test(ansaetze_go_by_name),
        cmocka_unit_test(adam_steps_as_in_the_paper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
