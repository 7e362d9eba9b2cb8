/* SPDX-License-Identifier: Apache-2.0 */
/* Privacy amplification at ratio 0.25 on one core: Mbit/s of raw key per kernel and block size, beside
 * copying the same bytes. Goals: 400, 120, 60 with PCLMULQDQ and 1,000, 200, 60 with VPCLMULQDQ at
 * n = 1e6, 1e7, 1e8. The largest block only with an argument. */
#include "common/rng.h"
#include "common/util.h"
#include "keypool/post/amplify.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Median Mbit/s over `runs`. */
static double measure(enum toeplitz_kernel kernel, uint64_t n, const uint8_t *key, const uint8_t *t,
    uint8_t *out, int runs)
{
    double rates[16];
    for (int i = 0; i < runs; i++) {
        double start = now_s();
        if (amplify(kernel, key, n, t, n / 4, out) != 0)
            abort();
        rates[i] = (double)n / (now_s() - start) / 1e6;
    }
    qsort(rates, (size_t)runs, sizeof(rates[0]), compare);
    return rates[runs / 2];
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
    for (int k = TOEPLITZ_PCLMUL; k <= (int)toeplitz_best(); k++)
        printf("n %9llu  %-10s %8.1f Mbit/s\n", (unsigned long long)n, names[k],
            measure((enum toeplitz_kernel)k, n, key, t, out, runs));
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("n %9llu  working memory %.1f MB, process peak %.1f MB with key, seed and result\n",
        (unsigned long long)n, (double)amplify_memory(toeplitz_best(), n, n / 4) / 1e6,
        (double)usage.ru_maxrss / 1e3);
}

int main(int argc, char **argv)
{
    bench_size(1000000, 11);
    bench_size(10000000, 5);
    if (argc > 1)
        bench_size(100000000, 1);
    return 0;
}
