/* SPDX-License-Identifier: Apache-2.0 */
/* Two copies of a state, side by side on twice as many qubits.
 *
 * A function of the form Tr(O rho x rho), such as a purity, needs both copies at once. They are
 * interleaved (a0 b0 a1 b1 ...), so that neighbours in the ansatz' ring are the same qubit of the
 * two copies.
 */
#pragma once

#include <complex.h>
#include <stdint.h>

/* psi: 2^qubits amplitudes; both: 4^qubits. */
void copies_interleave(const double complex *psi, uint32_t qubits, double complex *both);
