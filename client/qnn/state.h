/* SPDX-License-Identifier: Apache-2.0 */
/* One plain state vector, gate by gate: slow, obvious, and independent of the kernels.
 *
 * It makes the data sets' states, and it is the tests' oracle for the engine. Qubit 0 is the most
 * significant bit of the index (client/qnn/circuit.h). `psi` has 2^qubits amplitudes.
 */
#pragma once

#include "client/qnn/circuit.h"

/* |0...0>. */
void state_zero(double complex *psi, uint32_t qubits);
void state_apply(
    double complex *psi, uint32_t qubits, uint32_t qubit, const struct qnn_matrix *gate);
void state_cnot(double complex *psi, uint32_t qubits, uint32_t control, uint32_t target);
void state_cz(double complex *psi, uint32_t qubits, uint32_t a, uint32_t b);
/* All layers of the ansatz. */
void state_run(double complex *psi, const struct qnn_circuit *c, const double *theta);

double state_norm(const double complex *psi, uint32_t qubits);
/* <Z> of one qubit. */
double state_z(const double complex *psi, uint32_t qubits, uint32_t qubit);
/* Tr rho_A^2 of the qubits in `subset` (bit q of the mask: qubit q). */
double state_purity(const double complex *psi, uint32_t qubits, uint32_t subset);
