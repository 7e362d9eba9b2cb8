/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/copies.h"

/* Spreads the bits of k to the even positions. */
static uint32_t spread(uint32_t k)
{
    uint32_t out = 0;
    for (uint32_t bit = 0; k >> bit; bit++)
        out |= (k >> bit & 1) << (2 * bit);
    return out;
}

void copies_interleave(const double complex *psi, uint32_t qubits, double complex *both)
{
    for (uint32_t a = 0; a < 1u << qubits; a++)
        for (uint32_t b = 0; b < 1u << qubits; b++)
            both[spread(a) << 1 | spread(b)] = psi[a] * psi[b];
}
