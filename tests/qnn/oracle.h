/* SPDX-License-Identifier: Apache-2.0 */
/* Gate-by-gate expectations and parameter-shift gradients, from client/qnn/state.h alone. */
#pragma once

#include "client/qnn/qnn.h"
#include "common/rng.h"

/* A table of random states with targets +-0.4. */
struct oracle_table {
    uint32_t rows;
    uint32_t amplitudes;
    double *features;
    double *targets;
};

void oracle_table_init(struct oracle_table *t, uint32_t qubits, uint32_t rows, struct rng *rng);
void oracle_table_deinit(struct oracle_table *t);

struct rng *oracle_rng(uint64_t seed);
void oracle_angles(double *theta, uint32_t n, struct rng *rng);

double oracle_z(
    const struct qnn_circuit *c, const double *theta, const struct oracle_table *t, uint32_t row);
/* Mean of (z - target)^2 over the picked rows. */
double oracle_loss(const struct qnn_circuit *c, const double *theta, const struct oracle_table *t,
    const uint32_t *pick, uint32_t n);
/* dz/dtheta_i = (z(theta_i + pi/2) - z(theta_i - pi/2)) / 2, exact for these rotations. */
double oracle_shift(const struct qnn_circuit *c, double *theta, uint32_t i,
    const struct oracle_table *t, const uint32_t *pick, uint32_t n);
/* Central difference of the loss. */
double oracle_difference(const struct qnn_circuit *c, double *theta, uint32_t i,
    const struct oracle_table *t, const uint32_t *pick, uint32_t n, double h);
