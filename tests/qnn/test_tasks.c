/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks as a site, a server and an evaluator open them. */
#include "client/tasks/evaluate.h"
#include "client/tasks/split.h"
#include "client/tasks/task.h"
#include "client/trainers/trainers.h"
#include "common/util.h"
#include "tests/common/scratch.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/qnn/near.h"

static struct task *open_task(const struct task_request *r)
{
    struct task *t = NULL;
    struct err e = {0};
    if (task_open(&t, r, &e) < 0)
        fail_msg("%s", e.text);
    return t;
}

static bool same_samples(const struct samples *a, const struct samples *b)
{
    return a->rows == b->rows && a->columns == b->columns &&
           memcmp(a->features, b->features, sizeof(double) * a->rows * a->columns) == 0 &&
           memcmp(a->targets, b->targets, sizeof(double) * a->rows) == 0;
}

static void equal_requests_give_equal_data(void **state)
{
    const char *names[] = {"entanglement", "magic"};
    for (int i = 0; i < 2; i++) {
        struct task_request r = {.task = names[i],
            .seed = 5,
            .shard = 1,
            .shards = 4,
            .samples = 30,
            .test_samples = 40};
        struct task *a = open_task(&r), *b = open_task(&r);
        assert_true(same_samples(&a->train, &b->train) && same_samples(&a->test, &b->test));
        task_free(b);
        r.shard = 2; /* another site: other data, the same test set */
        b = open_task(&r);
        assert_false(same_samples(&a->train, &b->train));
        assert_true(same_samples(&a->test, &b->test));
        task_free(b);
        r.seed = 6;
        b = open_task(&r);
        assert_false(same_samples(&a->test, &b->test));
        task_free(b);
        r = (struct task_request){.task = names[i], .seed = 5, .test_samples = 40};
        b = open_task(&r); /* a server */
        assert_int_equal(b->train.rows, 0);
        assert_true(same_samples(&a->test, &b->test));
        task_free(b);
        task_free(a);
    }
}

static void rows_are_states_with_balanced_targets(void **state)
{
    struct task_request r = {.task = "entanglement", .seed = 1, .shards = 3};
    const struct task_option target = {"target", "0.3"};
    r.options = &target;
    r.n_options = 1;
    struct task *t = open_task(&r);
    assert_int_equal(t->train.rows, 240);
    assert_int_equal(t->test.rows, 1000);
    assert_int_equal(t->parameters, 72);
    double balance = 0;
    for (uint32_t i = 0; i < t->train.rows; i++) {
        double norm = 0;
        for (uint32_t k = 0; k < t->train.columns; k++)
            norm += pow(t->train.features[(size_t)i * t->train.columns + k], 2);
        assert_near(norm, 1, 1e-12);
        assert_near(fabs(t->train.targets[i]), 0.3, 0);
        balance += t->train.targets[i];
    }
    assert_near(balance, 0, 1e-9);
    task_free(t);
}

static void initial_models_come_from_their_seed(void **state)
{
    struct task *t = open_task(&(struct task_request){.task = "magic", .test_samples = 2});
    double a[72], b[72], c[72];
    struct err e;
    assert_int_equal(task_initial_model(t, 1, a, &e), 0);
    assert_int_equal(task_initial_model(t, 1, b, &e), 0);
    assert_int_equal(task_initial_model(t, 2, c, &e), 0);
    assert_memory_equal(a, b, sizeof(a));
    assert_memory_not_equal(a, c, sizeof(a));
    for (int i = 0; i < 72; i++)
        assert_true(a[i] >= -M_PI && a[i] < M_PI);
    task_free(t);
}

static void bad_requests_get_a_sentence(void **state)
{
    static const struct {
        const char *task, *option, *value;
        uint32_t shard, shards;
        int code;
        const char *sentence;
    } table[] = {
        {"entangelment", 0, 0, 0, 1, -EINVAL,
            "no task is called 'entangelment'; it is one of entanglement, magic, mnist-qnn or "
            "idle"},
        {"magic", "samplr", "uniform", 0, 1, -EINVAL,
            "task magic: no option 'samplr'; there are ansatz, layers, target and sampler"},
        {"magic", "sampler", "unifrom", 0, 1, -EINVAL,
            "task magic: option sampler is 'unifrom', but it is one of biased or uniform"},
        {"magic", "ansatz", "RY", 0, 1, -EINVAL,
            "task magic: option ansatz is 'RY', but it is RX-RY-RZ or RZ-RY-RZ"},
        {"magic", "layers", "0", 0, 1, -EINVAL,
            "task magic: option layers is '0', but it is a whole number from 1 to 64"},
        {"magic", "layers", "2.5", 0, 1, -EINVAL,
            "task magic: option layers is '2.5', but it is a whole number from 1 to 64"},
        {"magic", "target", "1x", 0, 1, -EINVAL,
            "task magic: option target is '1x', but it is a number from 0.01 to 1"},
        {"magic", 0, 0, 4, 4, -EINVAL, "task magic: shard 4 of 4 (they count from 0)"},
        {"magic", 0, 0, 0, 1001, -EINVAL, "task magic: 1001 shards, but at most 1000"},
        {"idle", "layers", "3", 0, 1, -EINVAL,
            "task idle: no option 'layers'; there is parameters"},
        {"idle", "parameters", "0", 0, 1, -EINVAL,
            "task idle: option parameters is '0', but it is a whole number from 1 to 67108864"},
        {"mnist-qnn", "pair", "3-3", 0, 1, -EINVAL,
            "task mnist-qnn: option pair is '3-3', but it is two different digits such as 3-6"},
        {"mnist-qnn", "split", "80", 0, 1, -EINVAL,
            "task mnist-qnn: option split is '80', but it is one of iid, 80-60-40-20, one-class or "
            "sizes"},
        {"mnist-qnn", 0, 0, 0, 1, -ENOENT,
            "task mnist-qnn: no data directory: name one with --data DIR or QFL_DATA (for "
            "t10k-images-idx3-ubyte)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const struct task_option option = {table[i].option, table[i].value};
        struct task_request r = {.task = table[i].task,
            .shard = table[i].shard,
            .shards = table[i].shards,
            .options = &option,
            .n_options = table[i].option != NULL};
        struct task *t = NULL;
        struct err e = {0};
        assert_int_equal(task_open(&t, &r, &e), table[i].code);
        assert_string_equal(e.text, table[i].sentence);
        assert_null(t);
    }
}

/* ---- splits ------------------------------------------------------------------------------------ */

static void splits_have_the_shares_they_promise(void **state)
{
    static const uint32_t expected[4][4][2] = {
        [SPLIT_IID] = {{250, 250}, {250, 250}, {250, 250}, {250, 250}},
        [SPLIT_80_60_40_20] = {{400, 100}, {300, 200}, {200, 300}, {100, 400}},
        [SPLIT_ONE_CLASS] = {{500, 0}, {500, 0}, {0, 500}, {0, 500}},
        [SPLIT_SIZES] = {{400, 400}, {300, 300}, {200, 200}, {100, 100}},
    };
    for (int split = 0; split < 4; split++) {
        uint32_t before[2] = {0, 0};
        for (uint32_t shard = 0; shard < 4; shard++) {
            struct split_share s = split_share((enum split)split, shard, 4, 500);
            assert_memory_equal(s.of, expected[split][shard], sizeof(s.of));
            assert_memory_equal(s.first, before, sizeof(before));
            before[0] += s.of[0];
            before[1] += s.of[1];
        }
        assert_string_not_equal(split_names[split], "");
    }
    struct split_share alone = split_share(SPLIT_80_60_40_20, 0, 1, 100);
    assert_int_equal(alone.of[0], 50);
}

/* ---- mnist-qnn on made-up files ---------------------------------------------------------------- */

static void put_header(FILE *f, unsigned dimensions, uint32_t n)
{
    uint32_t sides[3] = {n, 28, 28};
    fwrite((const uint8_t[]){0, 0, 8, (uint8_t)dimensions}, 1, 4, f);
    for (unsigned i = 0; i < dimensions; i++)
        fwrite((const uint8_t[]){0, 0, (uint8_t)(sides[i] >> 8), (uint8_t)sides[i]}, 1, 4, f);
}

/* Image i is of digit i % 10: one bright pixel at (i % 28, digit), over a faint stripe that counts. */
static void make_set(const struct scratch *s, const char *prefix, uint32_t n, uint32_t labels)
{
    char name[64];
    snprintf(name, sizeof(name), "%s-images-idx3-ubyte", prefix);
    FILE *images = fopen(scratch_path(s, name), "w");
    snprintf(name, sizeof(name), "%s-labels-idx1-ubyte", prefix);
    FILE *marks = fopen(scratch_path(s, name), "w");
    assert_true(images && marks);
    put_header(images, 3, n);
    put_header(marks, 1, labels);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t image[28 * 28] = {0};
        image[i % 10] = 255;
        image[27 * 28] = (uint8_t)(i / 10 + 1);
        fwrite(image, 1, sizeof(image), images);
    }
    for (uint32_t i = 0; i < labels; i++)
        fputc((int)(i % 10), marks);
    fclose(images);
    fclose(marks);
}

static struct task_request made_up(const struct scratch *s, const struct task_option *options)
{
    return (struct task_request){.task = "mnist-qnn",
        .seed = 3,
        .shards = 4,
        .samples = 10,
        .test_samples = 6,
        .data_dir = s->path,
        .options = options,
        .n_options = 2};
}

/* The counting stripe of a row: which image it was made of. */
static int image_of(const struct samples *s, uint32_t row)
{
    const double *at = s->features + (size_t)row * s->columns;
    return (int)lround(255 * at[12] / at[0]);
}

static void shards_are_disjoint_and_pooled(void **state)
{
    struct scratch s;
    scratch_init(&s);
    make_set(&s, "train", 400, 400);
    make_set(&s, "t10k", 100, 100);
    const struct task_option options[] = {{"pair", "3-6"}, {"split", "80-60-40-20"}};
    struct task_request r = made_up(&s, options);
    int used[2][50] = {{0}};
    for (r.shard = 0; r.shard < 4; r.shard++) {
        struct task *t = open_task(&r);
        assert_int_equal(t->train.rows, 10);
        assert_int_equal(t->test.rows, 6);
        for (uint32_t row = 0; row < 10; row++)
            used[t->train.targets[row] > 0][image_of(&t->train, row)]++;
        assert_int_equal(t->train.targets[7 - 2 * r.shard] > 0, 1); /* 8, 6, 4, 2 of the first */
        assert_int_equal(t->train.targets[8 - 2 * r.shard] > 0, 0);
        task_free(t);
    }
    for (int i = 0; i < 50; i++)
        assert_true(used[0][i] <= 1 && used[1][i] <= 1);
    scratch_deinit(&s);
}

static void images_that_do_not_fit_are_named(void **state)
{
    struct scratch s;
    struct task *t = NULL;
    struct err e;
    scratch_init(&s);
    make_set(&s, "train", 40, 40);
    make_set(&s, "t10k", 100, 99);
    const struct task_option options[] = {{"pair", "3-6"}, {"split", "iid"}};
    struct task_request r = made_up(&s, options);
    assert_int_equal(task_open(&t, &r, &e), -EBADMSG);
    assert_non_null(strstr(e.text, "t10k: there is not one label for every image"));
    make_set(&s, "t10k", 100, 100);
    assert_int_equal(task_open(&t, &r, &e), -EINVAL); /* 5 of each in shard 0, there are 4 */
    assert_string_equal(
        e.text, "task mnist-qnn: there are only 4 images of digit 3, and more are asked for");
    scratch_deinit(&s);
}

static void a_black_image_is_a_state_too(void **state)
{
    struct scratch s;
    scratch_init(&s);
    make_set(&s, "train", 400, 400);
    make_set(&s, "t10k", 100, 100);
    FILE *images = fopen(scratch_path(&s, "train-images-idx3-ubyte"), "r+");
    assert_non_null(images);
    fseek(images, 16, SEEK_SET);
    for (int i = 0; i < 400 * 28 * 28; i++)
        fputc(0, images);
    fclose(images);
    const struct task_option options[] = {{"pair", "0,1"}, {"split", "iid"}};
    struct task_request r = made_up(&s, options);
    struct task *t = open_task(&r);
    assert_near(t->train.features[0], 1, 0);
    task_free(t);
    scratch_deinit(&s);
}

/* ---- evaluation -------------------------------------------------------------------------------- */

/* Where the four rings of the circuit, with no rotations between them, send a basis state. */
static uint32_t through_rings(uint32_t k)
{
    for (int layer = 0; layer < 4; layer++)
        k = qnn_ring(6, k);
    return k;
}

/* A basis state above `from` whose read-out is z. */
static uint32_t basis_state(uint32_t from, double z)
{
    while ((through_rings(from) & 1) != (z < 0))
        from++;
    return from;
}

static void evaluation_counts_signs_and_squares(void **state)
{
    struct task *t = open_task(&(struct task_request){.task = "magic", .test_samples = 4});
    double theta[72] = {0};
    struct evaluation v;
    struct err e;
    const double z[4] = {1, 1, -1, -1}, targets[4] = {0.4, -0.4, -0.4, 0.4};
    memset(t->test.features, 0, sizeof(double) * t->test.rows * t->test.columns);
    for (uint32_t i = 0; i < 4; i++) {
        t->test.features[i * 128 + basis_state(8 * i, z[i])] = 1;
        t->test.targets[i] = targets[i];
    }
    assert_int_equal(evaluate_model(t, theta, &v, &e), 0);
    assert_near(v.accuracy, 0.5, 1e-15);
    assert_near(v.loss, (0.36 + 1.96) / 2, 1e-14);
    assert_int_equal(v.samples, 4);
    task_free(t);
}

/* ---- idle -------------------------------------------------------------------------------------- */

static void idle_learns_nothing_and_says_so(void **state)
{
    struct task_option option = {"parameters", "300"};
    struct task_request r = {.task = "idle", .shards = 4, .options = &option};
    struct task *t = open_task(&r);
    assert_int_equal(t->parameters, 61706);
    task_free(t);
    r.n_options = 1;
    t = open_task(&r);
    assert_int_equal(t->parameters, 300);
    struct evaluation v;
    struct err e;
    assert_int_equal(evaluate_model(t, (double[300]){0}, &v, &e), -EINVAL);
    assert_string_equal(e.text, "evaluation: task idle has no test set");
    task_free(t);
}

static void idle_returns_the_same_update_every_round(void **state)
{
    struct task_option option = {"parameters", "300"};
    struct task *t = open_task(
        &(struct task_request){.task = "idle", .shards = 4, .options = &option, .n_options = 1});
    double model[300] = {0};
    struct train_request request = {.round = 1, .model = model, .parameters = 300};
    struct train_result first, second;
    struct trainer *trainer = NULL;
    struct err e;
    assert_int_equal(trainer_open(&trainer, "idle", t, &e), 0);
    assert_int_equal(trainer->ops->train(trainer, &request, &first, &e), 0);
    request.round = 2;
    model[0] = 1;
    request.seed[0] = 1;
    assert_int_equal(trainer->ops->train(trainer, &request, &second, &e), 0);
    assert_memory_equal(first.update, second.update, sizeof(model));
    assert_int_equal(first.samples, 100);
    assert_near(first.update[0], -0.1, 1e-12);
    assert_near(first.update[200], 0.1, 1e-12);
    request.parameters = 299;
    assert_int_equal(trainer->ops->train(trainer, &request, &second, &e), -EINVAL);
    free(first.update);
    free(second.update);
    trainer->ops->free(trainer);
    task_free(t);
}

static void a_task_names_its_trainer(void **state)
{
    struct task *t = open_task(&(struct task_request){.task = "magic", .shards = 1, .samples = 4});
    struct trainer *trainer = NULL;
    struct err e;
    assert_int_equal(trainer_open(&trainer, "idle", t, &e), -EINVAL);
    assert_string_equal(e.text, "task magic is for trainer qnn, not for idle");
    assert_int_equal(trainer_open(&trainer, "qnn", t, &e), 0);
    trainer->ops->free(trainer);
    task_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_requests_give_equal_data),
        cmocka_unit_test(rows_are_states_with_balanced_targets),
        cmocka_unit_test(initial_models_come_from_their_seed),
        cmocka_unit_test(bad_requests_get_a_sentence),
        cmocka_unit_test(splits_have_the_shares_they_promise),
        cmocka_unit_test(shards_are_disjoint_and_pooled),
        cmocka_unit_test(images_that_do_not_fit_are_named),
        cmocka_unit_test(a_black_image_is_a_state_too),
        cmocka_unit_test(evaluation_counts_signs_and_squares),
        cmocka_unit_test(idle_learns_nothing_and_says_so),
        cmocka_unit_test(idle_returns_the_same_update_every_round),
        cmocka_unit_test(a_task_names_its_trainer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
