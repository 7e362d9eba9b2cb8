/* SPDX-License-Identifier: Apache-2.0 */
/* Generators of entangled states: circuits that turn random product states into states of a chosen
 * mean concentratable entanglement.
 *
 * The form of the NTangled data set (Schatzki et al., arXiv 2109.03400): 3 qubits, 6 layers of
 * U3(q; w[d][q]) on every qubit; CZ(0,1); the same U3 again on every qubit; CZ(1,2). The weights are
 * our own, trained by `train_generators` from a seed (client/tasks/train_generators.c).
 */
#pragma once

#include "client/qnn/circuit.h"
#include "common/rng.h"

#define GENERATOR_QUBITS 3
#define GENERATOR_LAYERS 6

struct generator {
    double goal; /* mean concentratable entanglement it was trained for */
    double weights[GENERATOR_LAYERS][GENERATOR_QUBITS][3]; /* theta, phi, lambda of U3 */
};

extern const struct generator generator_low;  /* goal .05 */
extern const struct generator generator_high; /* goal .35 */

/* [[cos t/2, -e^(i lambda) sin t/2], [e^(i phi) sin t/2, e^(i (phi + lambda)) cos t/2]]. */
struct qnn_matrix generator_u3(const double w[3]);

/* Applies the circuit to a state of GENERATOR_QUBITS qubits. */
void generator_run(const struct generator *g, double complex *psi);

/* A state of the data set: the circuit on a random product state. */
void generator_sample(const struct generator *g, double complex *psi, struct rng *rng);
