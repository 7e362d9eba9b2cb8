/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/generator.h"

#include "client/qnn/cplx.h"
#include "client/qnn/state.h"
#include "client/tasks/sampler.h"

#include <math.h>

struct qnn_matrix generator_u3(const double w[3])
{
    double s, c;
    sincos(w[0] / 2, &s, &c);
    double complex phi = cexp(cplx(0, w[1])), lambda = cexp(cplx(0, w[2]));
    return (struct qnn_matrix){{{c, -s * lambda}, {s * phi, c * phi * lambda}}};
}

static void apply_row(const double w[GENERATOR_QUBITS][3], double complex *psi)
{
    for (uint32_t q = 0; q < GENERATOR_QUBITS; q++) {
        struct qnn_matrix gate = generator_u3(w[q]);
        state_apply(psi, GENERATOR_QUBITS, q, &gate);
    }
}

void generator_run(const struct generator *g, double complex *psi)
{
    for (uint32_t layer = 0; layer < GENERATOR_LAYERS; layer++) {
        apply_row(g->weights[layer], psi);
        state_cz(psi, GENERATOR_QUBITS, 0, 1);
        apply_row(g->weights[layer], psi);
        state_cz(psi, GENERATOR_QUBITS, 1, 2);
    }
}

void generator_sample(const struct generator *g, double complex *psi, struct rng *rng)
{
    sample_product(psi, GENERATOR_QUBITS, rng);
    generator_run(g, psi);
}
