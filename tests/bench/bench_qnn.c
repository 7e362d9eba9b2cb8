/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's side of benchmark (b): answers qnn_numpy.py on standard input and output.
 *
 * First qubits, layers and batch (64-bit numbers), angles, targets and rows (doubles), all
 * little-endian. It answers with the name of the instruction set, and then
 *
 *   gradient      -> the gradient, one line
 *   time REPEATS  -> seconds per gradient of the whole batch
 */
#include "client/qnn/kernel.h"
#include "client/qnn/qnn.h"
#include "common/util.h"
#include "tests/bench/stand.h"

#include <stdio.h>

#define BATCH_MAX 10000

struct bench {
    struct qnn *qnn;
    uint32_t parameters;
    double *theta, *targets, *features, *gradient;
    struct qnn_rows rows;
};

static double *read_doubles(size_t n)
{
    double *out = calloc(n, sizeof(*out));
    if (!out || fread(out, sizeof(*out), n, stdin) != n)
        exit(65);
    return out;
}

static void read_problem(struct bench *b)
{
    uint64_t head[3];
    struct err e;
    if (fread(head, sizeof(head), 1, stdin) != 1 || head[2] < 1 || head[2] > BATCH_MAX)
        exit(65);
    const struct qnn_circuit circuit = {.qubits = (uint32_t)head[0],
        .layers = (uint32_t)head[1],
        .readout = (uint32_t)head[0] - 1,
        .ansatz = QNN_RZ_RY_RZ};
    if (qnn_exact_new(&b->qnn, &circuit, NULL, &e) < 0) {
        fprintf(stderr, "bench_qnn: %s\n", e.text);
        exit(65);
    }
    b->parameters = qnn_circuit_parameters(&circuit);
    b->theta = read_doubles(b->parameters);
    b->targets = read_doubles(head[2]);
    b->features = read_doubles(head[2] * 2 * qnn_circuit_amplitudes(&circuit));
    b->gradient = calloc(b->parameters, sizeof(double));
    b->rows =
        (struct qnn_rows){.features = b->features, .targets = b->targets, .n = (uint32_t)head[2]};
}

static void differentiate(struct bench *b)
{
    double loss;
    struct err e;
    if (qnn_gradient(b->qnn, b->theta, &b->rows, b->gradient, &loss, &e) < 0)
        exit(70);
}

static double measure(struct bench *b, long repeats)
{
    double start = stand_now_s();
    for (long i = 0; i < repeats; i++)
        differentiate(b);
    return (stand_now_s() - start) / (double)repeats;
}

static void answer(struct bench *b, const char *line)
{
    long repeats;
    if (sscanf(line, "time %ld", &repeats) == 1 && repeats > 0) {
        printf("%.9g\n", measure(b, repeats));
        return;
    }
    differentiate(b);
    for (uint32_t i = 0; i < b->parameters; i++)
        printf("%.17g ", b->gradient[i]);
    printf("\n");
}

int main(void)
{
    struct bench b = {0};
    char line[64];
    read_problem(&b);
    printf("%s\n", qnn_kernel_best()->name);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        answer(&b, line);
        fflush(stdout);
    }
    qnn_free(b.qnn);
    free(b.theta);
    free(b.targets);
    free(b.features);
    free(b.gradient);
    return 0;
}
