/* SPDX-License-Identifier: Apache-2.0 */
#include "client/qnn/state.h"

#include "client/qnn/cplx.h"

#include <string.h>

void state_zero(double complex *psi, uint32_t qubits)
{
    memset(psi, 0, sizeof(*psi) << qubits);
    psi[0] = 1;
}

void state_apply(
    double complex *psi, uint32_t qubits, uint32_t qubit, const struct qnn_matrix *gate)
{
    uint32_t bit = qnn_qubit_bit(qubits, qubit);
    for (uint32_t k = 0; k < 1u << qubits; k++) {
        if (k & bit)
            continue;
        double complex zero = psi[k], one = psi[k | bit];
        psi[k] = gate->m[0][0] * zero + gate->m[0][1] * one;
        psi[k | bit] = gate->m[1][0] * zero + gate->m[1][1] * one;
    }
}

void state_cnot(double complex *psi, uint32_t qubits, uint32_t control, uint32_t target)
{
    uint32_t c = qnn_qubit_bit(qubits, control), t = qnn_qubit_bit(qubits, target);
    for (uint32_t k = 0; k < 1u << qubits; k++) {
        if (!(k & c) || (k & t))
            continue;
        double complex zero = psi[k];
        psi[k] = psi[k | t];
        psi[k | t] = zero;
    }
}

void state_cz(double complex *psi, uint32_t qubits, uint32_t a, uint32_t b)
{
    uint32_t both = qnn_qubit_bit(qubits, a) | qnn_qubit_bit(qubits, b);
    for (uint32_t k = 0; k < 1u << qubits; k++)
        if ((k & both) == both)
            psi[k] = -psi[k];
}

void state_run(double complex *psi, const struct qnn_circuit *c, const double *theta)
{
    for (uint32_t layer = 0; layer < c->layers; layer++) {
        for (uint32_t q = 0; q < c->qubits; q++) {
            for (unsigned k = 0; k < QNN_ANGLES; k++) {
                struct qnn_matrix gate = qnn_rotation(qnn_ansatz_axis(c->ansatz, k), *theta++);
                state_apply(psi, c->qubits, q, &gate);
            }
        }
        for (uint32_t q = 0; q < c->qubits; q++)
            state_cnot(psi, c->qubits, q, (q + 1) % c->qubits);
    }
}

double state_norm(const double complex *psi, uint32_t qubits)
{
    double sum = 0;
    for (uint32_t k = 0; k < 1u << qubits; k++)
        sum += cplx_norm2(psi[k]);
    return sum;
}

double state_z(const double complex *psi, uint32_t qubits, uint32_t qubit)
{
    uint32_t bit = qnn_qubit_bit(qubits, qubit);
    double sum = 0;
    for (uint32_t k = 0; k < 1u << qubits; k++) {
        double weight = cplx_norm2(psi[k]);
        sum += k & bit ? -weight : weight;
    }
    return sum;
}

static uint32_t index_mask(uint32_t qubits, uint32_t subset)
{
    uint32_t mask = 0;
    for (uint32_t q = 0; q < qubits; q++)
        if (subset >> q & 1)
            mask |= qnn_qubit_bit(qubits, q);
    return mask;
}

/* Tr rho_A^2 = sum over j, k of psi_j psi_k conj(psi_j' psi_k'), where j' and k' are j and k with
 * their A parts exchanged. */
double state_purity(const double complex *psi, uint32_t qubits, uint32_t subset)
{
    uint32_t mask = index_mask(qubits, subset), n = 1u << qubits;
    double sum = 0;
    for (uint32_t j = 0; j < n; j++) {
        for (uint32_t k = 0; k < n; k++) {
            uint32_t swap = (j ^ k) & mask;
            sum += creal(psi[j] * psi[k] * conj(psi[j ^ swap] * psi[k ^ swap]));
        }
    }
    return sum;
}
