/* SPDX-License-Identifier: Apache-2.0 */
#include "client/qnn/kernel.h"

#include "common/util.h"

#include <stdbool.h>

/* QNN_X86 is 1 where meson.build compiles the other levels. */
extern const struct qnn_kernel qnn_kernel_baseline;
#if QNN_X86
extern const struct qnn_kernel qnn_kernel_avx2;
extern const struct qnn_kernel qnn_kernel_avx512;
#endif

static bool runs_baseline(void)
{
    return true;
}

#if QNN_X86
static bool runs_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool runs_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}
#endif

static const struct {
    const struct qnn_kernel *kernel;
    bool (*runs)(void);
} levels[] = {
    {&qnn_kernel_baseline, runs_baseline},
#if QNN_X86
    {&qnn_kernel_avx2, runs_avx2},
    {&qnn_kernel_avx512, runs_avx512},
#endif
};

const struct qnn_kernel *qnn_kernel_at(unsigned n)
{
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
        if (levels[i].runs() && n-- == 0)
            return levels[i].kernel;
    return NULL;
}

const struct qnn_kernel *qnn_kernel_best(void)
{
    const struct qnn_kernel *best = NULL;
    for (unsigned n = 0; qnn_kernel_at(n); n++)
        best = qnn_kernel_at(n);
    return best;
}

/* The input, one state per layer, and a table of `amplitudes` lanes for Z. */
size_t qnn_kernel_work(const struct qnn_kernel *k, const struct qnn_circuit *c)
{
    size_t state = (size_t)qnn_circuit_amplitudes(c) * 2 * k->lanes;
    return state * (c->layers + 1) + state / 2;
}

size_t qnn_kernel_moments(const struct qnn_kernel *k, const struct qnn_circuit *c)
{
    return (size_t)c->layers * c->qubits * 3 * k->lanes;
}
