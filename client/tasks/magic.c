/* SPDX-License-Identifier: Apache-2.0 */
/* Task `magic`: stabiliser states against Haar-random states.
 *
 * Uniformly drawn stabiliser states cannot be told apart by this model. The Clifford group is a
 * 3-design, so two copies of a uniform stabiliser state have the same mean as two copies of a
 * Haar-random one, and the read-out of any circuit on two copies has the same mean in both classes.
 * States made by a few random Clifford gates are not uniform, and that is what is learnt.
 */
#include "client/tasks/generator.h"
#include "client/tasks/kinds.h"
#include "client/tasks/sampler.h"
#include "common/util.h"

#include <stdio.h>

#define MAGIC_GATES 6

static void draw_biased(void *arg, unsigned class, double complex *psi, struct rng *rng)
{
    if (class == 0)
        sample_stabiliser_biased(psi, GENERATOR_QUBITS, MAGIC_GATES, rng);
    else
        sample_haar(psi, GENERATOR_QUBITS, rng);
}

static void draw_uniform(void *arg, unsigned class, double complex *psi, struct rng *rng)
{
    if (class == 0)
        sample_stabiliser_uniform(psi, GENERATOR_QUBITS, rng);
    else
        sample_haar(psi, GENERATOR_QUBITS, rng);
}

static int load(struct task *t, const struct task_request *r, struct err *e)
{
    static const char *const samplers[] = {"biased", "uniform", NULL};
    int sampler = task_choice(r, "sampler", samplers, e);
    if (sampler < 0)
        return sampler;
    snprintf(t->note, sizeof(t->note), "%s stabiliser sampler, %s", samplers[sampler],
        qnn_ansatz_name(t->circuit.ansatz));
    return task_generate(t, r, sampler == 0 ? draw_biased : draw_uniform, NULL, e);
}

const struct task_kind task_magic = {
    .name = "magic",
    .trainer = "qnn",
    .options = (const char *const[]){"sampler", NULL},
    .circuit = {.qubits = 6, .layers = 4, .readout = 5, .ansatz = QNN_RX_RY_RZ},
    .defaults = {.rounds = 80,
        .q = 16,
        .clip = 0.25,
        .rounding = ROUNDING_STOCHASTIC,
        .lr = 0.05,
        .batch = 20,
        .local_epochs = 1,
        .samples = 120,
        .test_samples = 1000},
    .load = load,
};
