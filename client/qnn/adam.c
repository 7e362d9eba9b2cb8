/* SPDX-License-Identifier: Apache-2.0 */
#include "client/qnn/adam.h"

#include "common/util.h"

#include <errno.h>
#include <math.h>

#define ADAM_BETA1   0.9
#define ADAM_BETA2   0.999
#define ADAM_EPSILON 1e-8

int adam_init(struct adam *a, uint32_t n, double lr)
{
    *a = (struct adam){.n = n, .lr = lr, .decay1 = 1, .decay2 = 1};
    a->first = calloc(n, sizeof(double));
    a->second = calloc(n, sizeof(double));
    if (a->first && a->second)
        return 0;
    adam_deinit(a);
    return -ENOMEM;
}

void adam_deinit(struct adam *a)
{
    free(a->first);
    free(a->second);
    memset(a, 0, sizeof(*a));
}

void adam_step(struct adam *a, double *theta, const double *gradient)
{
    a->decay1 *= ADAM_BETA1;
    a->decay2 *= ADAM_BETA2;
    for (uint32_t i = 0; i < a->n; i++) {
        double g = gradient[i];
        a->first[i] = ADAM_BETA1 * a->first[i] + (1 - ADAM_BETA1) * g;
        a->second[i] = ADAM_BETA2 * a->second[i] + (1 - ADAM_BETA2) * g * g;
        double mean = a->first[i] / (1 - a->decay1), square = a->second[i] / (1 - a->decay2);
        theta[i] -= a->lr * mean / (sqrt(square) + ADAM_EPSILON);
    }
}
