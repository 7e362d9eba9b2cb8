/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/sampler.h"

#include "client/qnn/cplx.h"
#include "client/qnn/state.h"

#include <math.h>
#include <stdbool.h>

void sample_product(double complex *psi, uint32_t qubits, struct rng *rng)
{
    psi[0] = 1;
    for (uint32_t q = 0; q < qubits; q++) {
        double complex qubit[2];
        sample_haar(qubit, 1, rng);
        for (uint32_t k = 1u << q; k-- > 0;) {
            psi[2 * k + 1] = psi[k] * qubit[1];
            psi[2 * k] = psi[k] * qubit[0];
        }
    }
}

void sample_haar(double complex *psi, uint32_t qubits, struct rng *rng)
{
    double norm;
    do {
        for (uint32_t k = 0; k < 1u << qubits; k++) {
            double re = rng_normal(rng), im = rng_normal(rng);
            psi[k] = cplx(re, im);
        }
        norm = sqrt(state_norm(psi, qubits));
    } while (norm < 1e-6);
    for (uint32_t k = 0; k < 1u << qubits; k++)
        psi[k] /= norm;
}

/* Stabiliser states of n qubits on affine subspaces of dimension k. */
static uint64_t count_stabilisers(uint32_t n, uint32_t k)
{
    uint64_t subspaces = 1;
    for (uint32_t i = 0; i < k; i++)
        subspaces = subspaces * ((1ull << (n - i)) - 1) / ((1ull << (i + 1)) - 1);
    return (subspaces << (n - k)) << (2 * k + k * (k - 1) / 2);
}

static uint32_t draw_dimension(uint32_t n, struct rng *rng)
{
    uint64_t total = 0;
    for (uint32_t k = 0; k <= n; k++)
        total += count_stabilisers(n, k);
    uint64_t at = rng_below(rng, total);
    uint32_t k = 0;
    while (k < n && at >= count_stabilisers(n, k))
        at -= count_stabilisers(n, k++);
    return k;
}

/* Is `v` outside the span of the k vectors? */
static bool is_independent(const uint32_t *basis, uint32_t k, uint32_t v)
{
    for (uint32_t c = 0; c < 1u << k; c++) {
        uint32_t x = 0;
        for (uint32_t j = 0; j < k; j++)
            x ^= c >> j & 1 ? basis[j] : 0;
        if (x == v)
            return false;
    }
    return true;
}

static void draw_basis(uint32_t *basis, uint32_t k, uint32_t n, struct rng *rng)
{
    for (uint32_t j = 0; j < k; j++)
        do
            basis[j] = (uint32_t)rng_below(rng, 1u << n);
        while (!is_independent(basis, j, basis[j]));
}

void sample_stabiliser_uniform(double complex *psi, uint32_t qubits, struct rng *rng)
{
    static const double complex powers[4] = {1, I, -1, -I};
    uint32_t k = draw_dimension(qubits, rng), basis[QNN_QUBITS_MAX], turns[QNN_QUBITS_MAX];
    uint32_t pairs[QNN_QUBITS_MAX];
    draw_basis(basis, k, qubits, rng);
    uint32_t offset = (uint32_t)rng_below(rng, 1u << qubits);
    for (uint32_t j = 0; j < k; j++) {
        turns[j] = (uint32_t)rng_below(rng, 4);
        pairs[j] = (uint32_t)rng_below(rng, 1u << j);
    }
    for (uint32_t x = 0; x < 1u << qubits; x++)
        psi[x] = 0;
    for (uint32_t c = 0; c < 1u << k; c++) {
        uint32_t x = offset, turn = 0;
        for (uint32_t j = 0; j < k; j++) {
            if (c >> j & 1) {
                x ^= basis[j];
                turn += turns[j] + 2 * (uint32_t)__builtin_popcount(pairs[j] & c);
            }
        }
        psi[x] = powers[turn % 4] / sqrt(1u << k);
    }
}

static void apply_clifford(double complex *psi, uint32_t qubits, struct rng *rng)
{
    static const struct qnn_matrix h = {{{M_SQRT1_2, M_SQRT1_2}, {M_SQRT1_2, -M_SQRT1_2}}};
    static const struct qnn_matrix s = {{{1, 0}, {0, I}}};
    uint64_t kind = rng_below(rng, 3);
    uint32_t a = (uint32_t)rng_below(rng, qubits);
    if (kind < 2 || qubits == 1) {
        state_apply(psi, qubits, a, kind == 0 ? &h : &s);
        return;
    }
    uint32_t b = (a + 1 + (uint32_t)rng_below(rng, qubits - 1)) % qubits;
    state_cnot(psi, qubits, a, b);
}

void sample_stabiliser_biased(double complex *psi, uint32_t qubits, uint32_t gates, struct rng *rng)
{
    state_zero(psi, qubits);
    for (uint32_t i = 0; i < gates; i++)
        apply_clifford(psi, qubits, rng);
}
