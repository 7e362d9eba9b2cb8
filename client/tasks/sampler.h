/* SPDX-License-Identifier: Apache-2.0 */
/* Random pure states. `psi` has 2^qubits amplitudes; everything is decided by the rng. */
#pragma once

#include "common/rng.h"

#include <complex.h>
#include <stdint.h>

/* Every qubit uniform on its Bloch sphere, no entanglement. */
void sample_product(double complex *psi, uint32_t qubits, struct rng *rng);

/* Uniform over all pure states (Haar). */
void sample_haar(double complex *psi, uint32_t qubits, struct rng *rng);

/* Uniform over all stabiliser states. A stabiliser state is an affine subspace of basis states with
 * phases i^(linear) (-1)^(quadratic) (Dehaene, De Moor, quant-ph/0304125); for 3 qubits there are
 * 8 + 112 + 448 + 512 = 1,080 of dimensions 0 to 3. */
void sample_stabiliser_uniform(double complex *psi, uint32_t qubits, struct rng *rng);

/* `gates` random Clifford gates on |0...0>, each H, S or CNOT with equal chance on random qubits.
 * Few gates do not mix: basis states and low entanglement are over-represented. */
void sample_stabiliser_biased(
    double complex *psi, uint32_t qubits, uint32_t gates, struct rng *rng);
