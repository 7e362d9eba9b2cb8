/* SPDX-License-Identifier: Apache-2.0 */
/* The inner loops, for one block of states: one state per SIMD lane.
 *
 * kernel.c is compiled once per instruction set (kernel_avx512.o and so on); each object exports one
 * struct of functions. A block's states live in the caller's work area, amplitude by amplitude, real
 * lanes then imaginary lanes, and stay there (in the first-level cache for the circuits in use) from
 * loading to the gradient. Results depend on the level only by rounding, and are the same for every
 * run of one level.
 */
#pragma once

#include "client/qnn/plan.h"

#define QNN_LANES_MAX 8

/* rows[i]: amplitudes of state i, all real parts and then all imaginary parts; zeros in an unused lane. */
struct qnn_block {
    const double *const *rows;
    const double *target; /* `lanes` values, any number for an unused lane */
    double slope;         /* 2 / batch: d loss / d z = slope (z - target) */
};

struct qnn_kernel {
    const char *name;
    uint32_t lanes;
    /* z: `lanes` expectations. */
    void (*expect)(const struct qnn_plan *p, const struct qnn_block *b, double *work, double *z);
    /* The same, and moments += [layer][qubit][x, y, z][lane]. */
    void (*gradient)(const struct qnn_plan *p, const struct qnn_block *b, double *work, double *z,
        double *moments);
};

/* Doubles of a work area; it and the moments must be aligned to 64 bytes. */
size_t qnn_kernel_work(const struct qnn_kernel *k, const struct qnn_circuit *c);
size_t qnn_kernel_moments(const struct qnn_kernel *k, const struct qnn_circuit *c);

/* The fastest level of this CPU. */
const struct qnn_kernel *qnn_kernel_best(void);
/* The n-th level that this CPU can run, slowest first; NULL beyond the last. */
const struct qnn_kernel *qnn_kernel_at(unsigned n);
