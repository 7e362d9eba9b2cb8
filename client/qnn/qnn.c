/* SPDX-License-Identifier: Apache-2.0 */
#include "client/qnn/qnn.h"

#include <errno.h>
#include <math.h>

static int check_angles(const struct qnn *q, const double *theta, struct err *e)
{
    for (uint32_t i = 0; i < qnn_circuit_parameters(&q->circuit); i++)
        if (!isfinite(theta[i]))
            return err_set(e, -EDOM, "circuit: angle %u is not a finite number", i);
    return 0;
}

int qnn_expect(
    struct qnn *q, const double *theta, const struct qnn_rows *rows, double *z, struct err *e)
{
    int r = check_angles(q, theta, e);
    return r < 0 ? r : q->ops->expect(q, theta, rows, z, e);
}

int qnn_gradient(struct qnn *q, const double *theta, const struct qnn_rows *rows, double *gradient,
    double *loss, struct err *e)
{
    int r = check_angles(q, theta, e);
    return r < 0 ? r : q->ops->gradient(q, theta, rows, gradient, loss, e);
}

void qnn_free(struct qnn *q)
{
    if (q)
        q->ops->free(q);
}

void qnn_freep(struct qnn **q)
{
    qnn_free(*q);
}
