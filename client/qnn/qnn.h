/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluating a quantum neural network on many states: the backend interface.
 *
 * `exact` (this folder) simulates state vectors. A backend that samples shots, or one that has the
 * circuit run blindly on somebody else's machine, implements the same three functions.
 */
#pragma once

#include "client/qnn/circuit.h"

/* Some rows of a table of states. A row is a normalised state of the circuit's qubits: 2^n real
 * parts, then 2^n imaginary parts. All borrowed for the call. */
struct qnn_rows {
    const double *features; /* the whole table */
    const double *targets;  /* one per row of the table; may be NULL for expectations */
    const uint32_t *pick;   /* which rows; NULL: the first n */
    uint32_t n;
};

struct qnn;

struct qnn_ops {
    /* z[i] = <Z> of the read-out for the i-th picked row. */
    int (*expect)(
        struct qnn *q, const double *theta, const struct qnn_rows *rows, double *z, struct err *e);
    /* loss = mean of (z - target)^2 over the picked rows, and its gradient by theta. */
    int (*gradient)(struct qnn *q, const double *theta, const struct qnn_rows *rows,
        double *gradient, double *loss, struct err *e);
    void (*free)(struct qnn *q);
};

struct qnn {
    const struct qnn_ops *ops;
    struct qnn_circuit circuit;
};

/* Adjoint differentiation of exact state vectors, in blocks of one state per SIMD lane. `level`
 * names an instruction set ("baseline", "avx2", "avx512"); NULL takes the fastest of this CPU. */
int qnn_exact_new(
    struct qnn **out, const struct qnn_circuit *c, const char *level, struct err *e) must_check;

/* The calls of qnn_ops. -EDOM with a sentence when an angle is not finite. */
int qnn_expect(struct qnn *q, const double *theta, const struct qnn_rows *rows, double *z,
    struct err *e) must_check;
int qnn_gradient(struct qnn *q, const double *theta, const struct qnn_rows *rows, double *gradient,
    double *loss, struct err *e) must_check;
/* Safe on NULL. */
void qnn_free(struct qnn *q);
void qnn_freep(struct qnn **q);
