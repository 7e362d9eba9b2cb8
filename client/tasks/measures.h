/* SPDX-License-Identifier: Apache-2.0 */
/* What a data set's states are measured by. */
#pragma once

#include <complex.h>
#include <stdint.h>

/* Concentratable entanglement 1 - 2^-n sum over all subsets A of Tr rho_A^2 (Beckey et al., PRL 127,
 * 140501): 0 for a product state. */
double concentratable_entanglement(const double complex *psi, uint32_t qubits);

/* Stabiliser Renyi entropy M_2 = -log2(2^-n sum over Pauli strings P of <P>^4) (Leone, Oliviero,
 * Hamma, PRL 128, 050402): 0 for a stabiliser state. */
double stabiliser_renyi(const double complex *psi, uint32_t qubits);
