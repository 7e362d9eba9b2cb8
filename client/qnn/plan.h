/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernels execute: a circuit at given angles, reduced to diagonals and tangents.
 *
 * The three rotations of a qubit are one 2x2 unitary U, and every such U is
 *
 *     U = phase . diag(1, e) . c (1 -t; t 1) . diag(1, d) . X^f      with 0 <= t <= 1
 *
 * (f = 1 swaps the columns where the angle is beyond a right angle). All diagonals between two
 * layers are one diagonal over the basis states, which also takes the factors c; the CNOT ring and
 * the X's are one permutation, the addresses from which that diagonal's input is read. So a layer
 * costs a diagonal and four multiply-adds per pair and qubit, whatever the ansatz, and CNOTs cost
 * nothing.
 *
 * Gradients: with lambda the adjoint state and phi the state, both just after the tangents of a
 * layer, the kernels return the moments g_P = Im <lambda| P_q |phi>, P = X, Y, Z, per qubit. The
 * derivative by an angle is then n . g, where n is the angle's rotation axis carried to that point.
 */
#pragma once

#include "client/qnn/circuit.h"

struct qnn_plan {
    struct qnn_circuit circuit;
    uint32_t amplitudes;
    double *diagonal;  /* [layer][amplitude][re, im], applied on entering the layer */
    double *tangent;   /* [layer][bit]: bit 0 is the least significant one */
    uint16_t *source;  /* [layer][amplitude]: where the layer reads from */
    double *sign;      /* [amplitude]: the read-out's Z after the last ring, +1 or -1 */
    double *axes;      /* [layer][qubit][angle][x, y, z] */
    uint16_t *unring;  /* [amplitude]: inverse of the ring */
    double complex *e; /* [amplitude]: scratch */
    double complex *d; /* [amplitude]: scratch */
};

/* 0, -EINVAL or -ENOMEM with a sentence. */
int qnn_plan_init(struct qnn_plan *p, const struct qnn_circuit *c, struct err *e) must_check;
void qnn_plan_deinit(struct qnn_plan *p);

/* Fills the plan for these angles (all finite). */
void qnn_plan_set(struct qnn_plan *p, const double *theta);

/* moments: [layer][qubit][x, y, z]; gradient: `parameters` doubles. */
void qnn_plan_gradient(const struct qnn_plan *p, const double *moments, double *gradient);
