/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/evaluate.h"

#include "client/tasks/draw.h"
#include "client/tasks/fit.h"
#include "common/util.h"

#include <errno.h>

static void score(struct evaluation *out, const struct samples *s, const double *z)
{
    *out = (struct evaluation){.samples = s->rows};
    for (uint32_t i = 0; i < s->rows; i++) {
        double d = z[i] - s->targets[i];
        out->loss += d * d / s->rows;
        out->accuracy += (z[i] > 0) == (s->targets[i] > 0) ? 1.0 / s->rows : 0;
    }
}

int evaluate_model(const struct task *t, const double *model, struct evaluation *out, struct err *e)
{
    if (t->test.rows == 0)
        return err_set(e, -EINVAL, "evaluation: task %s has no test set", t->name);
    cleanup(qnn_freep) struct qnn *qnn = NULL;
    const struct qnn_rows rows = {.features = t->test.features, .n = t->test.rows};
    auto_free double *z = calloc((size_t)t->test.rows + 1, sizeof(double));
    if (!z)
        return err_set(e, -ENOMEM, "evaluation: no memory");
    int r = qnn_exact_new(&qnn, &t->circuit, NULL, e);
    if (r == 0)
        r = qnn_expect(qnn, model, &rows, z, e);
    if (r == 0)
        score(out, &t->test, z);
    return r;
}

static int join_shards(
    struct samples *out, const struct task *const *shards, uint32_t n, struct err *e)
{
    auto_free const struct samples **parts = calloc(n, sizeof(*parts));
    if (!parts)
        return err_set(e, -ENOMEM, "evaluation: no memory");
    for (uint32_t i = 0; i < n; i++)
        parts[i] = &shards[i]->train;
    return samples_join(out, parts, n, e);
}

static int fit_all(const struct task *t, const struct samples *all, uint64_t epochs, uint64_t seed,
    double *model, struct err *e)
{
    cleanup(qnn_freep) struct qnn *qnn = NULL;
    cleanup(rng_freep) struct rng *rng = draw_stream(seed, "centralised", 0);
    cleanup(adam_deinit) struct adam adam = {0};
    int r = qnn_exact_new(&qnn, &t->circuit, NULL, e);
    if (r < 0)
        return r;
    if (!rng || adam_init(&adam, t->parameters, t->defaults.lr) < 0)
        return err_set(e, -ENOMEM, "evaluation: no memory");
    const struct fit fit = {
        .qnn = qnn, .samples = all, .adam = &adam, .rng = rng, .batch = t->defaults.batch};
    return fit_epochs(&fit, (uint32_t)epochs, model, e);
}

int evaluate_centralised(const struct task *const *shards, uint32_t n, uint64_t epochs,
    uint64_t seed, double *model, struct err *e)
{
    cleanup(samples_deinit) struct samples all = {0};
    if (n == 0)
        return err_set(e, -EINVAL, "evaluation: no shards");
    int r = join_shards(&all, shards, n, e);
    return r < 0 ? r : fit_all(shards[0], &all, epochs, seed, model, e);
}
