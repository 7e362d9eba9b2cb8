/* SPDX-License-Identifier: Apache-2.0 */
/* Privacy amplification at ratio 0.25 on one core: Mbit/s of raw key per kernel and block size, in
 * medians of CPU time and of time on the wall, and memory. Goals: 400, 120, 60 with PCLMULQDQ and
 * 1,000, 200, 60 with VPCLMULQDQ at n = 1e6, 1e7, 1e8; at most 100 MB. The largest block only with an
 * argument. */
#include "common/rng.h"
#include "common/util.h"
#include "keypool/post/amplify.h"
#include "tests/bench/stand.h"

#include <stdio.h>

#define RUNS_MAX 51

/* Median Mbit/s over `runs`: [0] by CPU time, [1] by the clock on the wall. */
static void measure(enum fft128_kernel kernel, uint64_t n, const uint8_t *key, const uint8_t *t,
    uint8_t *out, int runs, double median[2])
{
    double cpu[RUNS_MAX], wall[RUNS_MAX];
    for (int i = 0; i < runs; i++) {
        double cpu_s = -stand_cpu_s();
        double wall_s = -stand_now_s();
        if (amplify(kernel, key, n, t, n / 4, out) != 0)
            abort();
        cpu[i] = (double)n / (cpu_s + stand_cpu_s()) / 1e6;
        wall[i] = (double)n / (wall_s + stand_now_s()) / 1e6;
    }
    median[0] = stand_median(cpu, (size_t)runs);
    median[1] = stand_median(wall, (size_t)runs);
}

static void bench_size(uint64_t n, int runs)
{
    static const char *const names[] = {"portable", "PCLMULQDQ", "VPCLMULQDQ"};
    uint8_t seed[RNG_SEED_BYTES] = {1};
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    auto_free uint8_t *key = malloc(n / 8 + 1);
    auto_free uint8_t *t = malloc(n / 8 + 1);
    auto_free uint8_t *out = malloc(n / 8 + 1);
    if (!rng || !key || !t || !out)
        abort();
    rng_bytes(rng, key, n / 8 + 1);
    rng_bytes(rng, t, n / 8 + 1);
    for (int k = FFT128_PORTABLE; k <= (int)fft128_best(); k++) {
        double median[2];
        int times = k == FFT128_PORTABLE ? 1 : runs;
        measure((enum fft128_kernel)k, n, key, t, out, times, median);
        printf("n %9llu  %-10s %8.1f Mbit/s CPU, %8.1f on the wall (median of %d)\n",
            (unsigned long long)n, names[k], median[0], median[1], times);
    }
    printf("n %9llu  working memory %.1f MB, process peak %.1f MB with key, seed and result\n",
        (unsigned long long)n, (double)amplify_memory(n, n / 4) / 1e6, stand_peak_mb());
}

int main(int argc, char **argv)
{
    bench_size(1000000, RUNS_MAX);
    bench_size(10000000, 11);
    if (argc > 1)
        bench_size(100000000, 5);
    return 0;
}
