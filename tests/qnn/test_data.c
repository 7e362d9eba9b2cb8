/* SPDX-License-Identifier: Apache-2.0 */
/* What needs the public data sets: skipped (exit status 77) where QFL_DATA does not lead to them. */
#include "client/tasks/draw.h"
#include "client/tasks/evaluate.h"
#include "client/tasks/federation.h"
#include "client/tasks/file.h"
#include "client/tasks/measures.h"
#include "client/tasks/published.h"
#include "client/trainers/trainer_qnn.h"
#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/qnn/near.h"

#define EXIT_SKIP 77
#define CLIENTS   4

static double mean_entanglement(const struct generator *g)
{
    const int draws = 1500;
    double sum = 0;
    struct rng *rng = draw_stream(7, "generator", 0);
    for (int i = 0; i < draws; i++) {
        double complex psi[1 << GENERATOR_QUBITS];
        generator_sample(g, psi, rng);
        sum += concentratable_entanglement(psi, GENERATOR_QUBITS);
    }
    rng_free(rng);
    return sum / draws;
}

static void published_generators_measure_as_published(void **state)
{
    struct generator generators[2];
    struct err e;
    assert_int_equal(published_generators(getenv("QFL_DATA"), generators, &e), 0);
    assert_near(mean_entanglement(&generators[0]), 0.05, 0.01);
    assert_near(mean_entanglement(&generators[1]), 0.28, 0.02);
}

/* Ten rounds on real digits, q = 8. */
static void four_clients_learn_threes_and_sixes(void **state)
{
    struct task *tasks[CLIENTS];
    struct trainer *trainers[CLIENTS];
    struct task_request r = {
        .task = "mnist-qnn", .seed = 1, .shards = CLIENTS, .data_dir = getenv("QFL_DATA")};
    struct err e;
    for (r.shard = 0; r.shard < CLIENTS; r.shard++) {
        assert_int_equal(task_open(&tasks[r.shard], &r, &e), 0);
        assert_int_equal(tasks[r.shard]->train.rows, 500);
        assert_int_equal(tasks[r.shard]->test.rows, 500);
        assert_int_equal(trainer_qnn_new(&trainers[r.shard], tasks[r.shard], &e), 0);
    }
    const struct task_defaults *d = &tasks[0]->defaults;
    struct federation f = {.trainers = trainers,
        .clients = CLIENTS,
        .quantiser = {.q = d->q, .clip = d->clip, .rounding = d->rounding},
        .rounds = 10};
    double model[36];
    struct evaluation v;
    assert_int_equal(task_initial_model(tasks[0], 1, model, &e), 0);
    assert_int_equal(federation_simulate(&f, model, &e), 0);
    assert_int_equal(evaluate_model(tasks[0], model, &v, &e), 0);
    assert_true(v.accuracy > 0.9);
    for (int i = 0; i < CLIENTS; i++) {
        trainers[i]->ops->free(trainers[i]);
        task_free(tasks[i]);
    }
}

static bool has_data(void)
{
    static const char *const wanted[][2] = {
        {"mnist", "train-images-idx3-ubyte"}, {"ntangled", "hwe_3q_ps_35_6_weights.npy"}};
    char path[4096];
    struct err e;
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        if (file_find(path, sizeof(path), getenv("QFL_DATA"), wanted[i][0], wanted[i][1], &e) < 0) {
            printf("skipped: %s\n", e.text);
            return false;
        }
    }
    return true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_generators_measure_as_published),
        cmocka_unit_test(four_clients_learn_threes_and_sixes),
    };
    return has_data() ? cmocka_run_group_tests(tests, NULL, NULL) : EXIT_SKIP;
}
