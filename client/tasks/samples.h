/* SPDX-License-Identifier: Apache-2.0 */
/* A table of training or test data: one row of features and one target per sample. */
#pragma once

#include "common/err.h"

#include <complex.h>
#include <stdint.h>

#define SAMPLES_BYTES_MAX (1ull << 32) /* of features, checked before allocation */

struct samples {
    uint32_t rows;
    uint32_t columns;
    double *features; /* owned: rows x columns */
    double *targets;  /* owned; the sign is the class */
};

int samples_init(struct samples *s, uint32_t rows, uint32_t columns, struct err *e) must_check;
void samples_deinit(struct samples *s);

/* A state as a row: all real parts, then all imaginary parts; `columns` is twice its length. */
void samples_put_state(struct samples *s, uint32_t row, const double complex *psi);

/* The rows of all parts, one after the other. The parts have the same columns. */
int samples_join(
    struct samples *out, const struct samples *const *parts, uint32_t n, struct err *e) must_check;
