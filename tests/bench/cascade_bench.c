/* SPDX-License-Identifier: Apache-2.0 */
/* Cascade, both ends in one thread: efficiency f = leak / (n h(E)), round trips, failed frames and
 * Mbit/s of sifted key over error rates and frame lengths.
 * Usage: cascade_bench [FRAMES] */
#include "common/rng.h"
#include "common/util.h"
#include "keypool/post/cascade.h"
#include "tests/bench/stand.h"

#include <math.h>
#include <stdio.h>

struct tally {
    uint64_t frames, failed, trips, trips_max, leak, bits, errors;
    double seconds;
};

static double entropy(double p)
{
    return p > 0 ? -p * log2(p) - (1 - p) * log2(1 - p) : 0;
}

static void flip_some(uint8_t *bits, uint32_t n, double rate, struct rng *rng)
{
    double at = -1;
    for (;;) {
        at += 1 + floor(log(1 - rng_uniform(rng)) / log1p(-rate));
        if (at >= n)
            return;
        bits[(uint32_t)at / 8] ^= (uint8_t)(1 << ((uint32_t)at % 8));
    }
}

static void run_frame(const struct cascade_plan *plan, const struct cascade_shuffle *shuffle,
    const uint8_t *right, const uint8_t *wrong, struct tally *t)
{
    double start = stand_now_s();
    struct cascade_reference *a = cascade_reference_new(plan, shuffle, right);
    struct cascade_corrector *b = cascade_corrector_new(plan, shuffle, wrong);
    struct buf question = {0};
    struct buf answer = {0};
    if (!a || !b)
        abort();
    uint64_t trips = 0;
    int r;
    while ((r = cascade_corrector_step(b, answer.data, answer.len, &question)) == 0) {
        answer.len = 0;
        if (cascade_reference_answer(a, question.data, question.len, &answer) != 0)
            abort();
        question.len = 0;
        trips++;
    }
    t->seconds += stand_now_s() - start;
    t->frames++;
    t->failed += r != CASCADE_DONE || memcmp(right, cascade_corrector_bits(b), plan->n / 8) != 0;
    t->trips += trips;
    t->trips_max = MAX(t->trips_max, trips);
    t->leak += cascade_corrector_leak_bits(b);
    t->errors += cascade_corrector_flips(b);
    t->bits += plan->n;
    if (cascade_corrector_leak_bits(b) != cascade_reference_leak_bits(a))
        abort();
    cascade_reference_free(a);
    cascade_corrector_free(b);
    buf_deinit(&question);
    buf_deinit(&answer);
}

static void bench_point(uint32_t n, double rate, uint64_t frames)
{
    uint8_t seed[RNG_SEED_BYTES] = {3};
    put_u32le(seed + 4, n);
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    struct cascade_plan plan;
    cascade_plan_init(&plan, n, rate, seed);
    struct cascade_shuffle *shuffle = cascade_shuffle_new(&plan);
    auto_free uint8_t *right = malloc(n / 8);
    auto_free uint8_t *wrong = malloc(n / 8);
    struct tally t = {0};
    for (uint64_t i = 0; i < frames; i++) {
        rng_bytes(rng, right, n / 8);
        memcpy(wrong, right, n / 8);
        flip_some(wrong, n, rate, rng);
        run_frame(&plan, shuffle, right, wrong, &t);
    }
    double e = (double)t.errors / (double)t.bits;
    printf("n %8u  E %5.3f %%  f %.4f  round trips %5.1f (max %llu)  failed %llu of %llu  %7.1f "
           "Mbit/s\n",
        n, 100 * e, (double)t.leak / ((double)t.bits * entropy(e)),
        (double)t.trips / (double)t.frames, (unsigned long long)t.trips_max,
        (unsigned long long)t.failed, (unsigned long long)t.frames,
        (double)t.bits / t.seconds / 1e6);
    cascade_shuffle_free(shuffle);
}

int main(int argc, char **argv)
{
    uint64_t frames = argc > 1 ? (uint64_t)atoi(argv[1]) : 100;
    static const double rates[] = {0.005, 0.01, 0.015, 0.03};
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
        bench_point(100000, rates[i], frames);
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
        bench_point(1000000, rates[i], MAX(frames / 10, (uint64_t)1));
    return 0;
}
