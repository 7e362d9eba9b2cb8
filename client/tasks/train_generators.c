/* SPDX-License-Identifier: Apache-2.0 */
/* train_generators SEED: trains the generators of client/tasks/generator.h and prints generators.c.
 *
 * Minimises the mean of (CE - goal)^2 over random product states, drawn afresh for every step, by
 * Adam on central differences. Not installed; its output is in the repository.
 */
#include "client/qnn/adam.h"
#include "client/tasks/generator.h"
#include "client/tasks/measures.h"
#include "client/tasks/sampler.h"
#include "common/util.h"

#include <math.h>
#include <stdio.h>

#define STEPS   400
#define STATES  48
#define CHECK   20000
#define WEIGHTS (GENERATOR_LAYERS * GENERATOR_QUBITS * 3)
#define SIZE    (1u << GENERATOR_QUBITS)

static double loss_over(const struct generator *g, const double complex inputs[STATES][SIZE])
{
    double sum = 0;
    for (int i = 0; i < STATES; i++) {
        double complex psi[SIZE];
        memcpy(psi, inputs[i], sizeof(psi));
        generator_run(g, psi);
        double d = concentratable_entanglement(psi, GENERATOR_QUBITS) - g->goal;
        sum += d * d;
    }
    return sum / STATES;
}

static void differentiate(
    struct generator *g, const double complex inputs[STATES][SIZE], double gradient[WEIGHTS])
{
    const double h = 1e-5;
    double *w = &g->weights[0][0][0];
    for (int i = 0; i < WEIGHTS; i++) {
        double at = w[i];
        w[i] = at + h;
        double up = loss_over(g, inputs);
        w[i] = at - h;
        gradient[i] = (up - loss_over(g, inputs)) / (2 * h);
        w[i] = at;
    }
}

static int train(struct generator *g, struct rng *rng)
{
    struct adam adam;
    double *w = &g->weights[0][0][0];
    for (int i = 0; i < WEIGHTS; i++)
        w[i] = 2 * M_PI * rng_uniform(rng);
    if (adam_init(&adam, WEIGHTS, 0.05) < 0)
        return -1;
    for (int step = 0; step < STEPS; step++) {
        double complex inputs[STATES][SIZE];
        double gradient[WEIGHTS];
        for (int i = 0; i < STATES; i++)
            sample_product(inputs[i], GENERATOR_QUBITS, rng);
        adam.lr = 0.05 * (1 - (double)step / STEPS);
        differentiate(g, inputs, gradient);
        adam_step(&adam, w, gradient);
    }
    adam_deinit(&adam);
    return 0;
}

static void measure(const struct generator *g, struct rng *rng, double *mean, double *spread)
{
    double sum = 0, square = 0;
    for (int i = 0; i < CHECK; i++) {
        double complex psi[SIZE];
        generator_sample(g, psi, rng);
        double ce = concentratable_entanglement(psi, GENERATOR_QUBITS);
        sum += ce;
        square += ce * ce;
    }
    *mean = sum / CHECK;
    *spread = sqrt(square / CHECK - *mean * *mean);
}

static void print(const char *name, const struct generator *g, double mean, double spread)
{
    printf("\n/* Measured over %d states: mean %.4f, standard deviation %.4f. */\n", CHECK, mean,
        spread);
    printf("const struct generator %s = {\n    .goal = %g,\n    .weights = {\n", name, g->goal);
    for (int d = 0; d < GENERATOR_LAYERS; d++) {
        printf("        {");
        for (int q = 0; q < GENERATOR_QUBITS; q++)
            printf("%s{%.10f, %.10f, %.10f}", q ? ", " : "", g->weights[d][q][0],
                g->weights[d][q][1], g->weights[d][q][2]);
        printf("},\n");
    }
    printf("    },\n};\n");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        double goal;
    } wanted[] = {{"generator_low", 0.05}, {"generator_high", 0.35}};
    uint8_t seed[RNG_SEED_BYTES] = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: train_generators SEED > generators.c\n");
        return 64;
    }
    put_u64le(seed, strtoull(argv[1], NULL, 10));
    printf("/* SPDX-License-Identifier: Apache-2.0 */\n"
           "/* Made by `train_generators %s`; do not edit. */\n"
           "#include \"client/tasks/generator.h\"\n",
        argv[1]);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        uint8_t derived[RNG_SEED_BYTES];
        rng_derive(derived, seed, "generator", i, 0);
        cleanup(rng_freep) struct rng *rng = rng_new(derived);
        struct generator g = {.goal = wanted[i].goal};
        double mean, spread;
        if (!rng || train(&g, rng) < 0)
            return 70;
        measure(&g, rng, &mean, &spread);
        print(wanted[i].name, &g, mean, spread);
    }
    return 0;
}
