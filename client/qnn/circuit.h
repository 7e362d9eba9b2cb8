/* SPDX-License-Identifier: Apache-2.0 */
/* The quantum neural network: a hardware-efficient ansatz and its conventions.
 *
 * A layer is three rotations on every qubit and then a ring of CNOTs; the read-out is the
 * expectation of Z on one qubit. Conventions, the same in every file and in every test:
 *
 *   - qubit 0 is the most significant bit of an amplitude's index (as PennyLane's wires);
 *   - R_P(t) = exp(-i t P / 2); a layer's angles are applied in the order they are stored;
 *   - theta[(layer * qubits + qubit) * 3 + k], k = 0, 1, 2;
 *   - the ring is CNOT(0,1), CNOT(1,2), ..., CNOT(n-1,0), control first, in this order.
 *
 * With RZ-RY-RZ layers the last layer's final RZ commutes with the read-out: its gradient is zero.
 */
#pragma once

#include "common/err.h"

#include <complex.h>
#include <stdint.h>

#define QNN_QUBITS_MIN 2
#define QNN_QUBITS_MAX 10
#define QNN_LAYERS_MAX 64
#define QNN_ANGLES     3 /* per qubit and layer */

enum qnn_ansatz { QNN_RZ_RY_RZ, QNN_RX_RY_RZ };
enum qnn_axis { QNN_X, QNN_Y, QNN_Z };

struct qnn_circuit {
    uint32_t qubits;
    uint32_t layers;
    uint32_t readout; /* qubit whose Z is read */
    enum qnn_ansatz ansatz;
};

/* A 2x2 matrix, m[row][column]. */
struct qnn_matrix {
    double complex m[2][2];
};

/* Refuses (-EINVAL with a sentence) a circuit outside the limits. */
int qnn_circuit_check(const struct qnn_circuit *c, struct err *e) must_check;

uint32_t qnn_circuit_parameters(const struct qnn_circuit *c);
/* 2^qubits. */
uint32_t qnn_circuit_amplitudes(const struct qnn_circuit *c);

/* "RZ-RY-RZ" and the like; > 0 when there is no ansatz of that name. */
int qnn_ansatz_parse(const char *name, enum qnn_ansatz *out) must_check;
const char *qnn_ansatz_name(enum qnn_ansatz ansatz);
/* Axis of the k-th rotation of a layer. */
enum qnn_axis qnn_ansatz_axis(enum qnn_ansatz ansatz, unsigned k);

/* exp(-i angle P / 2). */
struct qnn_matrix qnn_rotation(enum qnn_axis axis, double angle);

/* Where the ring of CNOTs sends basis state `index`: linear over GF(2). */
uint32_t qnn_ring(uint32_t qubits, uint32_t index);
/* The index bit that holds `qubit`. */
uint32_t qnn_qubit_bit(uint32_t qubits, uint32_t qubit);
