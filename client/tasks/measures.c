/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/measures.h"

#include "client/qnn/state.h"

#include <math.h>

double concentratable_entanglement(const double complex *psi, uint32_t qubits)
{
    double sum = 0;
    for (uint32_t subset = 0; subset < 1u << qubits; subset++)
        sum += state_purity(psi, qubits, subset);
    return 1 - sum / (1u << qubits);
}

/* <P> for P = product of X (bits of x) and Z (bits of z), Y = i X Z: its size, which is real up to
 * the power of i that makes P Hermitian. */
static double pauli_size(const double complex *psi, uint32_t qubits, uint32_t x, uint32_t z)
{
    double complex sum = 0;
    for (uint32_t k = 0; k < 1u << qubits; k++) {
        double complex term = conj(psi[k ^ x]) * psi[k];
        sum += __builtin_parity(k & z) ? -term : term;
    }
    return cabs(sum);
}

double stabiliser_renyi(const double complex *psi, uint32_t qubits)
{
    double sum = 0;
    for (uint32_t x = 0; x < 1u << qubits; x++)
        for (uint32_t z = 0; z < 1u << qubits; z++)
            sum += pow(pauli_size(psi, qubits, x, z), 4);
    return -log2(sum / (1u << qubits));
}
