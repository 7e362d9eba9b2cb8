/* SPDX-License-Identifier: Apache-2.0 */
/* Benchmark (a): masking and accumulation kernels against a plain read loop over the same memory.
 *
 * K = 100 vectors. Each figure is the median of interleaved runs: the read loop and the kernel take
 * turns, so that a busy machine slows both. Goals: words_sum 0.9 of the read loop, words_add_wipe 0.7.
 * Prints only; never fails on a slow machine.
 */
#include "common/util.h"
#include "common/words.h"
#include "common/words_kernels.h"
#include "tests/bench/stand.h"

#include <inttypes.h>
#include <stdio.h>

#define PADS 100
#define RUNS 15

typedef uint64_t wide __attribute__((vector_size(64), aligned(1), may_alias));

/* Reads every byte once, pad after pad, with the widest loads of the compiled baseline. */
#if defined(__x86_64__)
__attribute__((target("avx512f")))
#endif
static uint64_t
read_512(const uint8_t *p, size_t len)
{
    wide a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i + 256 <= len; i += 256) {
        const wide *v = (const void *)(p + i);
        a ^= v[0];
        b ^= v[1];
        c ^= v[2];
        d ^= v[3];
    }
    a ^= b ^ c ^ d;
    return a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];
}

static uint64_t read_64(const uint8_t *p, size_t len)
{
    uint64_t x = 0;
    for (size_t i = 0; i + 8 <= len; i += 8)
        x ^= get_u64le(p + i);
    return x;
}

static uint64_t read_plain(const uint8_t *p, size_t len)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return read_512(p, len);
#endif
    return read_64(p, len);
}

struct bench {
    uint8_t *memory; /* PADS vectors, one after the other */
    size_t len;      /* of one */
    const uint8_t *vectors[PADS];
    uint8_t *sum;
    uint64_t n;
    unsigned q;
    uint64_t sink;
};

static void run_read(struct bench *b)
{
    for (size_t i = 0; i < PADS; i++)
        b->sink ^= read_plain(b->vectors[i], b->len);
}

static void run_sum(struct bench *b)
{
    words_sum(b->sum, b->vectors, PADS, b->n, b->q);
}

/* As a client masks: pads come in pieces of 16 KiB, each added and wiped when it is there. */
static void run_wipe(struct bench *b)
{
    const size_t piece = (size_t)16 * 1024;
    for (size_t at = 0; at < b->len; at += piece) {
        size_t len = MIN(piece, b->len - at);
        for (size_t i = 0; i < PADS; i++)
            words_add_wipe(b->sum + at, b->memory + i * b->len + at, len * 8 / b->q, b->q, i & 1);
    }
}

static double timed(struct bench *b, void (*run)(struct bench *))
{
    double start = stand_now_s();
    run(b);
    return stand_now_s() - start;
}

static void measure(struct bench *b, const char *name, double goal, void (*run)(struct bench *))
{
    double reads[RUNS], runs[RUNS], ratios[RUNS];
    timed(b, run_read);
    timed(b, run);
    for (size_t i = 0; i < RUNS; i++) {
        reads[i] = timed(b, run_read);
        runs[i] = timed(b, run);
        ratios[i] = reads[i] / runs[i];
    }
    double total = (double)b->len * PADS, r = stand_median(reads, RUNS),
           k = stand_median(runs, RUNS);
    printf("%-14s q=%-2u m=%-8" PRIu64
           " %8.3f ms %6.1f GB/s | read loop %8.3f ms %6.1f GB/s | ratio "
           "%.2f (goal %.1f)\n",
        name, b->q, b->n, 1e3 * k, 1e-9 * total / k, 1e3 * r, 1e-9 * total / r,
        stand_median(ratios, RUNS), goal);
    fflush(stdout);
}

static int bench_size(uint64_t n, unsigned q)
{
    struct bench b = {.len = words_bytes(n, q), .n = n, .q = q};
    b.memory = malloc(b.len * PADS);
    b.sum = calloc(1, b.len);
    if (!b.memory || !b.sum)
        return 1;
    for (size_t i = 0; i < b.len * PADS; i++)
        b.memory[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < PADS; i++)
        b.vectors[i] = b.memory + i * b.len;
    measure(&b, "words_sum", 0.9, run_sum);
    measure(&b, "words_add_wipe", 0.7, run_wipe);
    if (b.sink == 1)
        printf("\n");
    free(b.memory);
    free(b.sum);
    return 0;
}

int main(void)
{
    const struct words_kernel *k = words_kernel_best();
    printf("kernel: %s, K = %d\n", k ? k->name : "64-bit", PADS);
    const uint64_t sizes[] = {61706, 1000000};
    const unsigned widths[] = {8, 16, 32};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        for (size_t j = 0; j < ARRAY_SIZE(widths); j++)
            if (bench_size(sizes[i], widths[j]) != 0)
                return 1;
    return 0;
}
