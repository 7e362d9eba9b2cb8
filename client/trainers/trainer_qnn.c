/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainers/trainer_qnn.h"

#include "client/tasks/fit.h"
#include "common/util.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

#define TRAINER_EPOCHS_MAX 10000

struct trainer_qnn {
    struct trainer base;
    const struct task *task;
    struct qnn *qnn;
};

struct settings {
    double lr;
    uint32_t batch;
    uint32_t local_epochs;
};

static bool is_count(double v, double most)
{
    return v >= 1 && v <= most && v == floor(v);
}

static int take_setting(struct settings *s, const struct train_setting *from, struct err *e)
{
    double v = from->value;
    if (strcmp(from->name, "lr") == 0) {
        if (!(v > 0 && v <= 10))
            return err_set(e, -EINVAL, "setting lr is %g, but it is above 0 and at most 10", v);
        s->lr = v;
    } else if (strcmp(from->name, "batch") == 0) {
        if (!is_count(v, TASK_SAMPLES_MAX))
            return err_set(e, -EINVAL, "setting batch is %g, but it is a number from 1 to %d", v,
                TASK_SAMPLES_MAX);
        s->batch = (uint32_t)v;
    } else if (strcmp(from->name, "local_epochs") == 0) {
        if (!is_count(v, TRAINER_EPOCHS_MAX))
            return err_set(e, -EINVAL,
                "setting local_epochs is %g, but it is a number from 1 to %d", v,
                TRAINER_EPOCHS_MAX);
        s->local_epochs = (uint32_t)v;
    } else {
        return err_set(
            e, -EINVAL, "no setting '%s'; there are lr, batch and local_epochs", from->name);
    }
    return 0;
}

static int read_settings(const struct trainer_qnn *t, const struct train_request *request,
    struct settings *out, struct err *e)
{
    const struct task_defaults *d = &t->task->defaults;
    *out = (struct settings){d->lr, d->batch, d->local_epochs};
    for (size_t i = 0; i < request->n_settings; i++) {
        int r = take_setting(out, &request->settings[i], e);
        if (r < 0)
            return err_wrap(e, r, "trainer qnn");
    }
    if (request->parameters != t->base.parameters)
        return err_set(e, -EINVAL, "trainer qnn: the model has %u parameters, but the task has %u",
            request->parameters, t->base.parameters);
    return 0;
}

/* theta: in the model, out the trained one. */
static int fit_round(struct trainer_qnn *t, const struct settings *s,
    const uint8_t seed[RNG_SEED_BYTES], double *theta, struct err *e)
{
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    cleanup(adam_deinit) struct adam adam = {0};
    if (!rng || adam_init(&adam, t->base.parameters, s->lr) < 0)
        return err_set(e, -ENOMEM, "trainer qnn: no memory");
    const struct fit fit = {
        .qnn = t->qnn, .samples = &t->task->train, .adam = &adam, .rng = rng, .batch = s->batch};
    int r = fit_epochs(&fit, s->local_epochs, theta, e);
    return r < 0 ? err_wrap(e, r, "trainer qnn") : 0;
}

static int train(struct trainer *trainer, const struct train_request *request,
    struct train_result *out, struct err *e)
{
    struct trainer_qnn *t = (struct trainer_qnn *)trainer;
    struct settings settings;
    int r = read_settings(t, request, &settings, e);
    if (r < 0)
        return r;
    size_t bytes = t->base.parameters * sizeof(double);
    auto_free double *theta = malloc(bytes);
    if (!theta)
        return err_set(e, -ENOMEM, "trainer qnn: no memory");
    memcpy(theta, request->model, bytes);
    r = fit_round(t, &settings, request->seed, theta, e);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < t->base.parameters; i++)
        theta[i] -= request->model[i];
    *out = (struct train_result){.update = steal(&theta), .samples = t->base.samples};
    return 0;
}

static void trainer_qnn_free(struct trainer *trainer)
{
    struct trainer_qnn *t = (struct trainer_qnn *)trainer;
    qnn_free(t->qnn);
    free(t);
}

int trainer_qnn_new(struct trainer **out, const struct task *task, struct err *e)
{
    static const struct trainer_ops ops = {train, trainer_qnn_free};
    if (task->train.rows == 0)
        return err_set(e, -EINVAL, "trainer qnn: task %s was opened without a shard", task->name);
    struct trainer_qnn *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "trainer qnn: no memory");
    t->base = (struct trainer){&ops, task->parameters, task->train.rows};
    t->task = task;
    int r = qnn_exact_new(&t->qnn, &task->circuit, NULL, e);
    if (r < 0) {
        free(t);
        return r;
    }
    *out = &t->base;
    return 0;
}
