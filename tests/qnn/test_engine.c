/* SPDX-License-Identifier: Apache-2.0 */
/* The batched engine against the plain state vector, on every instruction set of this CPU. */
#include "client/qnn/kernel.h"
#include "client/qnn/qnn.h"
#include "common/util.h"
#include "tests/qnn/oracle.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/qnn/near.h"

#define ANGLES_MAX 512

static const struct qnn_circuit circuits[] = {
    {2, 1, 0, QNN_RZ_RY_RZ},
    {2, 3, 1, QNN_RX_RY_RZ},
    {3, 2, 2, QNN_RZ_RY_RZ},
    {3, 3, 1, QNN_RX_RY_RZ},
    {4, 3, 3, QNN_RZ_RY_RZ},
    {5, 2, 0, QNN_RX_RY_RZ},
    {6, 4, 5, QNN_RZ_RY_RZ},
    {6, 4, 5, QNN_RX_RY_RZ},
    {7, 1, 3, QNN_RZ_RY_RZ},
    {8, 2, 7, QNN_RX_RY_RZ},
};

/* One circuit with its table, its angles and an odd number of picked rows. */
struct fixture {
    struct qnn_circuit circuit;
    uint32_t parameters;
    struct oracle_table table;
    double theta[ANGLES_MAX];
    uint32_t pick[13];
};

static void fixture_init(struct fixture *f, const struct qnn_circuit *c, uint64_t seed)
{
    struct rng *rng = oracle_rng(seed);
    f->circuit = *c;
    f->parameters = qnn_circuit_parameters(c);
    oracle_table_init(&f->table, c->qubits, 20, rng);
    oracle_angles(f->theta, f->parameters, rng);
    for (uint32_t i = 0; i < ARRAY_SIZE(f->pick); i++)
        f->pick[i] = (7 * i + 3) % 20;
    rng_free(rng);
}

static void fixture_deinit(struct fixture *f)
{
    oracle_table_deinit(&f->table);
}

static struct qnn_rows picked(const struct fixture *f)
{
    return (struct qnn_rows){f->table.features, f->table.targets, f->pick, ARRAY_SIZE(f->pick)};
}

static struct qnn *engine(const struct qnn_circuit *c, unsigned level)
{
    struct qnn *q = NULL;
    struct err e;
    assert_int_equal(qnn_exact_new(&q, c, qnn_kernel_at(level)->name, &e), 0);
    return q;
}

static double gradient_of(
    const struct fixture *f, unsigned level, const struct qnn_rows *rows, double *gradient)
{
    struct qnn *q = engine(&f->circuit, level);
    struct err e;
    double loss;
    assert_int_equal(qnn_gradient(q, f->theta, rows, gradient, &loss, &e), 0);
    qnn_free(q);
    return loss;
}

static void every_level_finds_the_oracles_expectations(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(circuits); i++) {
        struct fixture f;
        fixture_init(&f, &circuits[i], i);
        struct qnn_rows rows = picked(&f);
        for (unsigned level = 0; qnn_kernel_at(level); level++) {
            double z[ARRAY_SIZE(f.pick)];
            struct err e;
            struct qnn *q = engine(&f.circuit, level);
            assert_int_equal(qnn_expect(q, f.theta, &rows, z, &e), 0);
            for (uint32_t k = 0; k < rows.n; k++)
                assert_near(z[k], oracle_z(&f.circuit, f.theta, &f.table, f.pick[k]), 1e-13);
            qnn_free(q);
        }
        fixture_deinit(&f);
    }
}

static void every_level_finds_the_parameter_shift_gradient(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(circuits); i++) {
        struct fixture f;
        fixture_init(&f, &circuits[i], 100 + i);
        struct qnn_rows rows = picked(&f);
        double shift[ANGLES_MAX];
        for (uint32_t k = 0; k < f.parameters; k++)
            shift[k] = oracle_shift(&f.circuit, f.theta, k, &f.table, f.pick, rows.n);
        double expected = oracle_loss(&f.circuit, f.theta, &f.table, f.pick, rows.n);
        for (unsigned level = 0; qnn_kernel_at(level); level++) {
            double gradient[ANGLES_MAX];
            double loss = gradient_of(&f, level, &rows, gradient);
            assert_near(loss, expected, 1e-13);
            for (uint32_t k = 0; k < f.parameters; k++)
                assert_near(gradient[k], shift[k], 1e-13);
        }
        fixture_deinit(&f);
    }
}

static void the_gradient_is_the_slope_of_the_loss(void **state)
{
    struct fixture f;
    fixture_init(&f, &(struct qnn_circuit){4, 3, 3, QNN_RX_RY_RZ}, 7);
    struct qnn_rows rows = picked(&f);
    double gradient[ANGLES_MAX];
    gradient_of(&f, 0, &rows, gradient);
    for (uint32_t k = 0; k < f.parameters; k++)
        assert_near(gradient[k],
            oracle_difference(&f.circuit, f.theta, k, &f.table, f.pick, rows.n, 1e-5), 1e-9);
    fixture_deinit(&f);
}

/* Multiples of a right angle: tangents of 0, 1 and infinity, and columns that are exactly zero. */
static void right_angles_are_not_special(void **state)
{
    for (unsigned ansatz = 0; ansatz < 2; ansatz++) {
        struct fixture f;
        fixture_init(&f, &(struct qnn_circuit){3, 3, 2, (enum qnn_ansatz)ansatz}, 11);
        struct rng *rng = oracle_rng(ansatz);
        struct qnn_rows rows = picked(&f);
        for (int trial = 0; trial < 200; trial++) {
            double gradient[ANGLES_MAX];
            for (uint32_t k = 0; k < f.parameters; k++)
                f.theta[k] = M_PI_2 * ((double)rng_below(rng, 9) - 4);
            gradient_of(&f, (unsigned)trial % 2, &rows, gradient);
            uint32_t k = (uint32_t)trial % f.parameters;
            assert_near(
                gradient[k], oracle_shift(&f.circuit, f.theta, k, &f.table, f.pick, rows.n), 1e-13);
        }
        rng_free(rng);
        fixture_deinit(&f);
    }
}

static void the_last_rz_has_no_gradient(void **state)
{
    struct fixture f;
    fixture_init(&f, &(struct qnn_circuit){6, 4, 5, QNN_RZ_RY_RZ}, 3);
    struct qnn_rows rows = picked(&f);
    double gradient[ANGLES_MAX];
    gradient_of(&f, 0, &rows, gradient);
    for (uint32_t qubit = 0; qubit < 6; qubit++)
        assert_near(gradient[(3 * 6 + qubit) * 3 + 2], 0, 1e-16);
    fixture_deinit(&f);
}

/* The largest circuit, where a state does not fit in the first-level cache. */
static void ten_qubits_work(void **state)
{
    struct fixture f;
    fixture_init(&f, &(struct qnn_circuit){10, 2, 4, QNN_RZ_RY_RZ}, 5);
    f.pick[0] = 19;
    struct qnn_rows rows = {f.table.features, f.table.targets, f.pick, 1};
    double gradient[ANGLES_MAX];
    for (unsigned level = 0; qnn_kernel_at(level); level++) {
        gradient_of(&f, level, &rows, gradient);
        for (uint32_t k = 0; k < f.parameters; k += 7)
            assert_near(
                gradient[k], oracle_shift(&f.circuit, f.theta, k, &f.table, f.pick, 1), 1e-13);
    }
    fixture_deinit(&f);
}

static void a_level_repeats_itself_bit_for_bit(void **state)
{
    struct fixture f;
    fixture_init(&f, &(struct qnn_circuit){6, 4, 5, QNN_RZ_RY_RZ}, 9);
    struct qnn_rows rows = picked(&f);
    for (unsigned level = 0; qnn_kernel_at(level); level++) {
        double first[ANGLES_MAX], second[ANGLES_MAX];
        double a = gradient_of(&f, level, &rows, first), b = gradient_of(&f, level, &rows, second);
        assert_memory_equal(&a, &b, sizeof(a));
        assert_memory_equal(first, second, f.parameters * sizeof(double));
    }
    fixture_deinit(&f);
}

static void what_cannot_be_run_is_refused(void **state)
{
    struct qnn_circuit bad[] = {{1, 1, 0, QNN_RZ_RY_RZ}, {11, 1, 0, QNN_RZ_RY_RZ},
        {4, 0, 0, QNN_RZ_RY_RZ}, {4, QNN_LAYERS_MAX + 1, 0, QNN_RZ_RY_RZ}, {4, 1, 4, QNN_RZ_RY_RZ},
        {4, 1, 0, 2}};
    struct qnn *q = NULL;
    struct err e;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(qnn_exact_new(&q, &bad[i], NULL, &e), -EINVAL);
    assert_int_equal(qnn_exact_new(&q, &circuits[0], "mmx", &e), -EINVAL);
    assert_string_equal(e.text, "circuit: this CPU does not run level 'mmx'");

    struct fixture f;
    fixture_init(&f, &circuits[0], 1);
    struct qnn_rows rows = picked(&f);
    double gradient[ANGLES_MAX], loss;
    assert_int_equal(qnn_exact_new(&q, &f.circuit, NULL, &e), 0);
    f.theta[4] = INFINITY;
    assert_int_equal(qnn_gradient(q, f.theta, &rows, gradient, &loss, &e), -EDOM);
    assert_string_equal(e.text, "circuit: angle 4 is not a finite number");
    f.theta[4] = 0;
    rows.n = 0;
    assert_int_equal(qnn_gradient(q, f.theta, &rows, gradient, &loss, &e), -EINVAL);
    qnn_free(q);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_finds_the_oracles_expectations),
        cmocka_unit_test(every_level_finds_the_parameter_shift_gradient),
        cmocka_unit_test(the_gradient_is_the_slope_of_the_loss),
        cmocka_unit_test(right_angles_are_not_special),
        cmocka_unit_test(the_last_rz_has_no_gradient),
        cmocka_unit_test(ten_qubits_work),
        cmocka_unit_test(a_level_repeats_itself_bit_for_bit),
        cmocka_unit_test(what_cannot_be_run_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
