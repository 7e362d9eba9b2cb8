/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy format, as far as this project reads it: versions 1 to 3, little-endian float64 or
 * float32, C order, at most 4 dimensions. */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define NPY_DIMENSIONS_MAX 4

struct npy {
    unsigned dimensions;
    uint64_t shape[NPY_DIMENSIONS_MAX];
    double *values; /* owned */
    uint64_t n;
};

/* Parses a whole file. -EBADMSG with a sentence when it is anything else. */
int npy_parse(struct npy *out, const uint8_t *data, size_t len, struct err *e) must_check;
void npy_deinit(struct npy *n);
