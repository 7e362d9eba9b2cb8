/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer `qnn`, and small federations in memory: a seed decides everything. */
#include "client/tasks/evaluate.h"
#include "client/tasks/federation.h"
#include "client/trainers/trainer_qnn.h"
#include "common/util.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/qnn/near.h"

#define CLIENTS    3
#define PARAMETERS 72

struct fixture {
    struct task *tasks[CLIENTS];
    struct trainer *trainers[CLIENTS];
    double model[PARAMETERS];
    struct err e;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct task_request r = {.task = "entanglement",
            .seed = 1,
            .shard = i,
            .shards = CLIENTS,
            .samples = 100 - 20 * i,
            .test_samples = 400};
        if (task_open(&f->tasks[i], &r, &f->e) < 0 ||
            trainer_qnn_new(&f->trainers[i], f->tasks[i], &f->e) < 0)
            return -1;
    }
    *state = f;
    return task_initial_model(f->tasks[0], 1, f->model, &f->e);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        f->trainers[i]->ops->free(f->trainers[i]);
        task_free(f->tasks[i]);
    }
    free(f);
    return 0;
}

static struct train_request request(const struct fixture *f, uint8_t seed)
{
    struct train_request r = {.round = 1, .model = f->model, .parameters = PARAMETERS};
    memset(r.seed, seed, sizeof(r.seed));
    return r;
}

static double *update_of(struct fixture *f, struct trainer *t, const struct train_request *r)
{
    struct train_result result = {0};
    assert_int_equal(t->ops->train(t, r, &result, &f->e), 0);
    assert_int_equal(result.samples, t->samples);
    return result.update;
}

/* ---- the trainer ------------------------------------------------------------------------------- */

static void an_update_follows_from_model_data_and_seed(void **state)
{
    struct fixture *f = *state;
    double before[PARAMETERS];
    memcpy(before, f->model, sizeof(before));
    struct train_request one = request(f, 1), two = request(f, 2);
    double *a = update_of(f, f->trainers[0], &one), *other = update_of(f, f->trainers[0], &two);
    double *again = update_of(f, f->trainers[0], &one);
    assert_memory_equal(a, again, sizeof(before));
    assert_memory_not_equal(a, other, sizeof(before));
    assert_memory_equal(f->model, before, sizeof(before));

    struct trainer *restarted = NULL; /* as after a crash: nothing is remembered */
    assert_int_equal(trainer_qnn_new(&restarted, f->tasks[0], &f->e), 0);
    double *after = update_of(f, restarted, &one);
    assert_memory_equal(a, after, sizeof(before));
    restarted->ops->free(restarted);
    free(a);
    free(other);
    free(again);
    free(after);
}

static void settings_of_the_run_are_obeyed(void **state)
{
    struct fixture *f = *state;
    const struct train_setting slow[] = {{"lr", 1e-4}, {"batch", 100}, {"local_epochs", 1}};
    struct train_request r = request(f, 1);
    r.settings = slow;
    r.n_settings = 3;
    double *update = update_of(f, f->trainers[0], &r);
    for (int i = 0; i < PARAMETERS; i++) /* one step of Adam: lr, or 0 where there is no gradient */
        assert_true(fabs(update[i]) < 1e-4 * (1 + 1e-9));
    assert_true(fabs(update[1]) > 0.99e-4);
    free(update);
}

static void settings_it_cannot_obey_are_refused(void **state)
{
    static const struct {
        struct train_setting setting;
        const char *sentence;
    } table[] = {
        {{"lr", 0}, "trainer qnn: setting lr is 0, but it is above 0 and at most 10"},
        {{"lr", NAN}, "trainer qnn: setting lr is nan, but it is above 0 and at most 10"},
        {{"batch", 2.5}, "trainer qnn: setting batch is 2.5, but it is a number from 1 to 60000"},
        {{"local_epochs", 0},
            "trainer qnn: setting local_epochs is 0, but it is a number from 1 to 10000"},
        {{"momentum", 1},
            "trainer qnn: no setting 'momentum'; there are lr, batch and local_epochs"},
    };
    struct fixture *f = *state;
    struct train_result result = {0};
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        struct train_request r = request(f, 1);
        r.settings = &table[i].setting;
        r.n_settings = 1;
        struct trainer *t = f->trainers[0];
        assert_int_equal(t->ops->train(t, &r, &result, &f->e), -EINVAL);
        assert_string_equal(f->e.text, table[i].sentence);
    }
    struct train_request r = request(f, 1);
    r.parameters = 71;
    assert_int_equal(f->trainers[0]->ops->train(f->trainers[0], &r, &result, &f->e), -EINVAL);
    assert_string_equal(f->e.text, "trainer qnn: the model has 71 parameters, but the task has 72");
    r.parameters = 72;
    f->model[3] = NAN;
    assert_int_equal(f->trainers[0]->ops->train(f->trainers[0], &r, &result, &f->e), -EDOM);
    assert_null(result.update);
}

static void a_task_without_a_shard_trains_nothing(void **state)
{
    struct task *t = NULL;
    struct trainer *trainer = NULL;
    struct err e;
    struct task_request r = {.task = "magic", .test_samples = 2};
    assert_int_equal(task_open(&t, &r, &e), 0);
    assert_int_equal(trainer_qnn_new(&trainer, t, &e), -EINVAL);
    assert_string_equal(e.text, "trainer qnn: task magic was opened without a shard");
    task_free(t);
}

/* ---- federations ------------------------------------------------------------------------------- */

static struct federation plan(struct fixture *f, uint64_t rounds)
{
    struct federation out = {.trainers = f->trainers,
        .clients = CLIENTS,
        .quantiser = {.q = 16, .clip = 0.25, .rounding = ROUNDING_STOCHASTIC},
        .rounds = rounds};
    return out;
}

static void run(struct fixture *f, const struct federation *plan, double *model)
{
    memcpy(model, f->model, sizeof(f->model));
    if (federation_simulate(plan, model, &f->e) != 0)
        fail_msg("%s", f->e.text);
}

static void a_short_federation_learns(void **state)
{
    struct fixture *f = *state;
    struct federation p = plan(f, 30);
    struct evaluation before, after;
    double model[PARAMETERS];
    assert_int_equal(evaluate_model(f->tasks[0], f->model, &before, &f->e), 0);
    run(f, &p, model);
    assert_int_equal(evaluate_model(f->tasks[0], model, &after, &f->e), 0);
    assert_true(before.accuracy < 0.6);
    assert_true(after.accuracy > 0.85);
    assert_true(after.loss < before.loss / 2);
}

static void one_seed_gives_one_model(void **state)
{
    struct fixture *f = *state;
    struct federation p = plan(f, 3);
    double a[PARAMETERS], b[PARAMETERS];
    run(f, &p, a);
    run(f, &p, b);
    assert_memory_equal(a, b, sizeof(a));
    p.seed[0] = 1;
    run(f, &p, b);
    assert_memory_not_equal(a, b, sizeof(a));
}

/* With 28 bits of resolution the quantised sum is the plain weighted mean of the updates. */
static void the_quantised_sum_is_the_weighted_mean(void **state)
{
    struct fixture *f = *state;
    struct federation p = plan(f, 1);
    double quantised[PARAMETERS], exact[PARAMETERS], by_hand[PARAMETERS] = {0};
    p.quantiser.q = 32;
    run(f, &p, quantised);
    p.exact = true;
    run(f, &p, exact);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct train_request r = request(f, 0);
        rng_derive(r.seed, p.seed, "train", i, 1);
        double *update = update_of(f, f->trainers[i], &r);
        for (int k = 0; k < PARAMETERS; k++)
            by_hand[k] += update[k] * (100 - 20.0 * i) / 240;
        free(update);
    }
    for (int k = 0; k < PARAMETERS; k++) {
        assert_near(exact[k], f->model[k] + by_hand[k], 1e-14);
        assert_near(quantised[k], exact[k], CLIENTS * 0.25 / 7e8);
    }
}

static int note_round(void *arg, const struct federation_round *round)
{
    struct federation_round *rounds = arg;
    rounds[round->round - 1] = *round;
    return round->round == 2 ? 7 : 0;
}

static void rounds_report_clipping_and_may_stop_it(void **state)
{
    struct fixture *f = *state;
    struct federation_round rounds[3] = {{0}};
    struct federation p = plan(f, 3);
    double model[PARAMETERS];
    p.on_round = note_round;
    p.arg = rounds;
    p.quantiser.clip = 0.01;
    memcpy(model, f->model, sizeof(model));
    assert_int_equal(federation_simulate(&p, model, &f->e), 7);
    assert_true(rounds[0].clipped > PARAMETERS && rounds[0].clipped <= CLIENTS * PARAMETERS);
    assert_true(rounds[0].largest > 0.05 && rounds[0].largest < 0.2);
    assert_true(rounds[0].rms > 0.01 && rounds[0].rms < rounds[0].largest);
    assert_int_equal(rounds[1].round, 2);
    assert_int_equal(rounds[2].round, 0);
    for (int k = 0; k < PARAMETERS; k++)
        assert_true(fabs(model[k] - f->model[k]) <= 2 * CLIENTS * 0.01 + 1e-12);
}

static void a_q_too_small_is_refused(void **state)
{
    struct fixture *f = *state;
    struct federation p = plan(f, 1);
    double model[PARAMETERS];
    p.quantiser.q = 2;
    memcpy(model, f->model, sizeof(model));
    assert_int_equal(federation_simulate(&p, model, &f->e), -EINVAL);
    assert_memory_equal(model, f->model, sizeof(model));
}

static void centralised_training_is_decided_by_its_seed(void **state)
{
    struct fixture *f = *state;
    const struct task *const *shards = (const struct task *const *)f->tasks;
    double a[PARAMETERS], b[PARAMETERS];
    struct evaluation v;
    memcpy(a, f->model, sizeof(a));
    memcpy(b, f->model, sizeof(b));
    assert_int_equal(evaluate_centralised(shards, CLIENTS, 60, 1, a, &f->e), 0);
    assert_int_equal(evaluate_centralised(shards, CLIENTS, 60, 1, b, &f->e), 0);
    assert_memory_equal(a, b, sizeof(a));
    assert_int_equal(evaluate_model(f->tasks[0], a, &v, &f->e), 0);
    assert_true(v.accuracy > 0.85);
}

int main(void)
{
#define WITH_CLIENTS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_CLIENTS(an_update_follows_from_model_data_and_seed),
        WITH_CLIENTS(settings_of_the_run_are_obeyed),
        WITH_CLIENTS(settings_it_cannot_obey_are_refused),
        cmocka_unit_test(a_task_without_a_shard_trains_nothing),
        WITH_CLIENTS(a_short_federation_learns),
        WITH_CLIENTS(one_seed_gives_one_model),
        WITH_CLIENTS(the_quantised_sum_is_the_weighted_mean),
        WITH_CLIENTS(rounds_report_clipping_and_may_stop_it),
        WITH_CLIENTS(a_q_too_small_is_refused),
        WITH_CLIENTS(centralised_training_is_decided_by_its_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
