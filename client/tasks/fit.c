/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/fit.h"

#include "client/tasks/draw.h"
#include "common/util.h"

#include <errno.h>

static int fit_epoch(
    const struct fit *f, const uint32_t *order, double *theta, double *gradient, struct err *e)
{
    for (uint32_t first = 0; first < f->samples->rows; first += f->batch) {
        const struct qnn_rows rows = {
            .features = f->samples->features,
            .targets = f->samples->targets,
            .pick = order + first,
            .n = MIN(f->batch, f->samples->rows - first),
        };
        double loss;
        int r = qnn_gradient(f->qnn, theta, &rows, gradient, &loss, e);
        if (r < 0)
            return r;
        adam_step(f->adam, theta, gradient);
    }
    return 0;
}

int fit_epochs(const struct fit *f, uint32_t epochs, double *theta, struct err *e)
{
    uint32_t n = f->samples->rows;
    auto_free uint32_t *order = calloc((size_t)n + 1, sizeof(*order));
    auto_free double *gradient = calloc(qnn_circuit_parameters(&f->qnn->circuit), sizeof(double));
    if (!order || !gradient)
        return err_set(e, -ENOMEM, "training: no memory");
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t epoch = 0; epoch < epochs; epoch++) {
        draw_order(order, n, f->rng);
        int r = fit_epoch(f, order, theta, gradient, e);
        if (r < 0)
            return r;
    }
    return 0;
}
