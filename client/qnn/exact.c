/* SPDX-License-Identifier: Apache-2.0 */
/* The exact backend: plan once per call, then block after block through a kernel. */
#include "client/qnn/kernel.h"
#include "client/qnn/qnn.h"

#include "common/util.h"

#include <errno.h>

#define EXACT_ALIGN 64

struct exact {
    struct qnn base;
    const struct qnn_kernel *kernel;
    struct qnn_plan plan;
    double *work;
    double *zeros; /* a row for unused lanes */
    double *lane_moments;
    double *moments;
};

static void *aligned(size_t doubles)
{
    size_t bytes = (doubles * sizeof(double) + EXACT_ALIGN - 1) / EXACT_ALIGN * EXACT_ALIGN;
    return aligned_alloc(EXACT_ALIGN, bytes);
}

static const double *row_at(const struct exact *x, const struct qnn_rows *rows, uint32_t i)
{
    size_t row = rows->pick ? rows->pick[i] : i;
    return rows->features + row * 2 * x->plan.amplitudes;
}

static double target_at(const struct qnn_rows *rows, uint32_t i)
{
    return rows->targets[rows->pick ? rows->pick[i] : i];
}

/* Rows [first, first + lanes) that exist; returns how many. */
static uint32_t fill_rows(const struct exact *x, const struct qnn_rows *rows, uint32_t first,
    const double *pointers[QNN_LANES_MAX])
{
    uint32_t used = MIN(x->kernel->lanes, rows->n - first);
    for (uint32_t lane = 0; lane < x->kernel->lanes; lane++)
        pointers[lane] = lane < used ? row_at(x, rows, first + lane) : x->zeros;
    return used;
}

static int exact_expect(
    struct qnn *q, const double *theta, const struct qnn_rows *rows, double *z, struct err *e)
{
    struct exact *x = (struct exact *)q;
    qnn_plan_set(&x->plan, theta);
    for (uint32_t first = 0; first < rows->n; first += x->kernel->lanes) {
        const double *pointers[QNN_LANES_MAX];
        double lanes[QNN_LANES_MAX];
        uint32_t used = fill_rows(x, rows, first, pointers);
        const struct qnn_block block = {.rows = pointers};
        x->kernel->expect(&x->plan, &block, x->work, lanes);
        memcpy(z + first, lanes, used * sizeof(double));
    }
    return 0;
}

/* One block's share of the gradient (into lane_moments) and of the loss. */
static double add_block(struct exact *x, const struct qnn_rows *rows, uint32_t first)
{
    const double *pointers[QNN_LANES_MAX];
    double target[QNN_LANES_MAX] = {0}, z[QNN_LANES_MAX];
    uint32_t used = fill_rows(x, rows, first, pointers);
    for (uint32_t lane = 0; lane < used; lane++)
        target[lane] = target_at(rows, first + lane);
    const struct qnn_block block = {.rows = pointers, .target = target, .slope = 2.0 / rows->n};
    x->kernel->gradient(&x->plan, &block, x->work, z, x->lane_moments);
    double loss = 0;
    for (uint32_t lane = 0; lane < used; lane++)
        loss += (z[lane] - target[lane]) * (z[lane] - target[lane]);
    return loss / rows->n;
}

static void sum_lanes(struct exact *x)
{
    uint32_t lanes = x->kernel->lanes;
    for (uint32_t i = 0; i < qnn_circuit_parameters(&x->base.circuit); i++) {
        x->moments[i] = 0;
        for (uint32_t lane = 0; lane < lanes; lane++)
            x->moments[i] += x->lane_moments[(size_t)i * lanes + lane];
    }
}

static int exact_gradient(struct qnn *q, const double *theta, const struct qnn_rows *rows,
    double *gradient, double *loss, struct err *e)
{
    struct exact *x = (struct exact *)q;
    if (rows->n == 0)
        return err_set(e, -EINVAL, "circuit: a gradient over no states at all");
    qnn_plan_set(&x->plan, theta);
    memset(x->lane_moments, 0, qnn_kernel_moments(x->kernel, &q->circuit) * sizeof(double));
    *loss = 0;
    for (uint32_t first = 0; first < rows->n; first += x->kernel->lanes)
        *loss += add_block(x, rows, first);
    sum_lanes(x);
    qnn_plan_gradient(&x->plan, x->moments, gradient);
    return 0;
}

static void exact_free(struct qnn *q)
{
    struct exact *x = (struct exact *)q;
    qnn_plan_deinit(&x->plan);
    free(x->work);
    free(x->zeros);
    free(x->lane_moments);
    free(x->moments);
    free(x);
}

static const struct qnn_ops exact_ops = {exact_expect, exact_gradient, exact_free};

static const struct qnn_kernel *find_level(const char *level)
{
    if (!level)
        return qnn_kernel_best();
    for (unsigned n = 0; qnn_kernel_at(n); n++)
        if (strcmp(qnn_kernel_at(n)->name, level) == 0)
            return qnn_kernel_at(n);
    return NULL;
}

int qnn_exact_new(struct qnn **out, const struct qnn_circuit *c, const char *level, struct err *e)
{
    const struct qnn_kernel *kernel = find_level(level);
    if (!kernel)
        return err_set(e, -EINVAL, "circuit: this CPU does not run level '%s'", level);
    struct exact *x = calloc(1, sizeof(*x));
    if (!x)
        return err_set(e, -ENOMEM, "circuit: no memory");
    x->base = (struct qnn){&exact_ops, *c};
    x->kernel = kernel;
    int r = qnn_plan_init(&x->plan, c, e);
    if (r < 0) {
        free(x);
        return r;
    }
    x->work = aligned(qnn_kernel_work(kernel, c));
    x->zeros = calloc(2 * (size_t)x->plan.amplitudes, sizeof(double));
    x->lane_moments = aligned(qnn_kernel_moments(kernel, c));
    x->moments = aligned(qnn_circuit_parameters(c));
    if (!x->work || !x->zeros || !x->lane_moments || !x->moments) {
        exact_free(&x->base);
        return err_set(e, -ENOMEM, "circuit: no memory");
    }
    *out = &x->base;
    return 0;
}
