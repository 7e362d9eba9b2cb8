/* SPDX-License-Identifier: Apache-2.0 */
/* Adam (Kingma, Ba, arXiv 1412.6980, algorithm 1) with beta1 .9, beta2 .999, epsilon 1e-8. */
#pragma once

#include "common/err.h"

#include <stdint.h>

struct adam {
    uint32_t n;
    double lr;
    double decay1, decay2; /* beta1^t, beta2^t */
    double *first;         /* owned: running mean of the gradient */
    double *second;        /* owned: and of its square */
};

int adam_init(struct adam *a, uint32_t n, double lr) must_check;
void adam_deinit(struct adam *a);
/* theta -= lr * (bias-corrected mean) / (root of the bias-corrected square + epsilon). */
void adam_step(struct adam *a, double *theta, const double *gradient);
