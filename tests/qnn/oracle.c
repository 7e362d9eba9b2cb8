/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/qnn/oracle.h"

#include "client/qnn/cplx.h"
#include "client/qnn/state.h"
#include "common/util.h"

#include <math.h>

struct rng *oracle_rng(uint64_t seed)
{
    uint8_t bytes[RNG_SEED_BYTES] = {0};
    put_u64le(bytes, seed);
    return rng_new(bytes);
}

void oracle_angles(double *theta, uint32_t n, struct rng *rng)
{
    for (uint32_t i = 0; i < n; i++)
        theta[i] = 4 * M_PI * (rng_uniform(rng) - 0.5);
}

void oracle_table_init(struct oracle_table *t, uint32_t qubits, uint32_t rows, struct rng *rng)
{
    uint32_t n = 2u << qubits;
    *t = (struct oracle_table){.rows = rows, .amplitudes = n / 2};
    t->features = calloc((size_t)rows * n, sizeof(double));
    t->targets = calloc(rows, sizeof(double));
    for (uint32_t row = 0; row < rows; row++) {
        double *at = t->features + (size_t)row * n, norm = 0;
        for (uint32_t k = 0; k < n; k++) {
            at[k] = rng_normal(rng);
            norm += at[k] * at[k];
        }
        for (uint32_t k = 0; k < n; k++)
            at[k] /= sqrt(norm);
        t->targets[row] = row % 2 ? 0.4 : -0.4;
    }
}

void oracle_table_deinit(struct oracle_table *t)
{
    free(t->features);
    free(t->targets);
}

double oracle_z(
    const struct qnn_circuit *c, const double *theta, const struct oracle_table *t, uint32_t row)
{
    double complex psi[1 << QNN_QUBITS_MAX];
    const double *at = t->features + (size_t)row * 2 * t->amplitudes;
    for (uint32_t k = 0; k < t->amplitudes; k++)
        psi[k] = cplx(at[k], at[t->amplitudes + k]);
    state_run(psi, c, theta);
    return state_z(psi, c->qubits, c->readout);
}

double oracle_loss(const struct qnn_circuit *c, const double *theta, const struct oracle_table *t,
    const uint32_t *pick, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        double d = oracle_z(c, theta, t, pick[i]) - t->targets[pick[i]];
        sum += d * d;
    }
    return sum / n;
}

double oracle_shift(const struct qnn_circuit *c, double *theta, uint32_t i,
    const struct oracle_table *t, const uint32_t *pick, uint32_t n)
{
    double sum = 0, at = theta[i];
    for (uint32_t j = 0; j < n; j++) {
        theta[i] = at;
        double z = oracle_z(c, theta, t, pick[j]);
        theta[i] = at + M_PI_2;
        double up = oracle_z(c, theta, t, pick[j]);
        theta[i] = at - M_PI_2;
        double slope = (up - oracle_z(c, theta, t, pick[j])) / 2;
        sum += 2 * (z - t->targets[pick[j]]) * slope;
    }
    theta[i] = at;
    return sum / n;
}

double oracle_difference(const struct qnn_circuit *c, double *theta, uint32_t i,
    const struct oracle_table *t, const uint32_t *pick, uint32_t n, double h)
{
    double at = theta[i];
    theta[i] = at + h;
    double up = oracle_loss(c, theta, t, pick, n);
    theta[i] = at - h;
    double down = oracle_loss(c, theta, t, pick, n);
    theta[i] = at;
    return (up - down) / (2 * h);
}
