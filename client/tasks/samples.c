/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/samples.h"

#include "common/util.h"

#include <errno.h>

int samples_init(struct samples *s, uint32_t rows, uint32_t columns, struct err *e)
{
    *s = (struct samples){.rows = rows, .columns = columns};
    if ((uint64_t)rows * columns > SAMPLES_BYTES_MAX / sizeof(double))
        return err_set(
            e, -EINVAL, "%u samples of %u numbers are more than fit in memory", rows, columns);
    s->features = calloc((size_t)rows * columns + 1, sizeof(double));
    s->targets = calloc((size_t)rows + 1, sizeof(double));
    if (s->features && s->targets)
        return 0;
    samples_deinit(s);
    return err_set(e, -ENOMEM, "no memory for %u samples", rows);
}

void samples_deinit(struct samples *s)
{
    free(s->features);
    free(s->targets);
    memset(s, 0, sizeof(*s));
}

void samples_put_state(struct samples *s, uint32_t row, const double complex *psi)
{
    uint32_t n = s->columns / 2;
    double *to = s->features + (size_t)row * s->columns;
    for (uint32_t k = 0; k < n; k++) {
        to[k] = creal(psi[k]);
        to[n + k] = cimag(psi[k]);
    }
}

int samples_join(struct samples *out, const struct samples *const *parts, uint32_t n, struct err *e)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < n; i++)
        rows += parts[i]->rows;
    uint32_t columns = n > 0 ? parts[0]->columns : 0;
    int r = samples_init(out, rows, columns, e);
    if (r < 0)
        return r;
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t values = (size_t)parts[i]->rows * columns;
        memcpy(out->features + at * columns, parts[i]->features, values * sizeof(double));
        memcpy(out->targets + at, parts[i]->targets, parts[i]->rows * sizeof(double));
        at += parts[i]->rows;
    }
    return 0;
}
