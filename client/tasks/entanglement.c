/* SPDX-License-Identifier: Apache-2.0 */
/* Task `entanglement`: low against high concentratable entanglement, from generator.h. */
#include "client/tasks/generator.h"
#include "client/tasks/kinds.h"
#include "client/tasks/published.h"
#include "common/util.h"

#include <stdio.h>

static void draw(void *arg, unsigned class, double complex *psi, struct rng *rng)
{
    const struct generator *generators = arg;
    generator_sample(&generators[class], psi, rng);
}

static int load(struct task *t, const struct task_request *r, struct err *e)
{
    static const char *const sources[] = {"own", "published", NULL};
    struct generator generators[2] = {generator_low, generator_high};
    int source = task_choice(r, "generators", sources, e);
    if (source < 0)
        return source;
    if (source == 1) {
        int code = published_generators(r->data_dir, generators, e);
        if (code < 0)
            return err_wrap(e, code, "task %s", t->name);
    }
    snprintf(t->note, sizeof(t->note), "%s generators, %s", sources[source],
        qnn_ansatz_name(t->circuit.ansatz));
    return task_generate(t, r, draw, generators, e);
}

const struct task_kind task_entanglement = {
    .name = "entanglement",
    .trainer = "qnn",
    .options = (const char *const[]){"generators", NULL},
    .circuit = {.qubits = 6, .layers = 4, .readout = 5, .ansatz = QNN_RX_RY_RZ},
    .defaults = {.rounds = 120,
        .q = 16,
        .clip = 0.25,
        .rounding = ROUNDING_STOCHASTIC,
        .lr = 0.05,
        .batch = 20,
        .local_epochs = 1,
        .samples = 240,
        .test_samples = 1000},
    .load = load,
};
