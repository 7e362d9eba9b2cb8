/* SPDX-License-Identifier: Apache-2.0 */
/* Cascade, both ends in one thread, through the encoded questions and answers: efficiency
 * f = leak / (n h(E)), round trips, failed frames and Mbit/s of sifted key (n over the median frame's CPU
 * time at both ends, memory used again) over error rates and frame lengths. A new permutation for every 50. Goals:
 * f <= 1.05 at n = 1e5 and 1.045 at 1e6, 400 round trips, no failed frame in 1,000, 300 Mbit/s at n = 1e6,
 * E = 1 %. Usage: cascade_bench [FRAMES of a point, 100] */
#include "common/rng.h"
#include "common/util.h"
#include "keypool/post/cascade.h"
#include "tests/bench/stand.h"

#include <math.h>
#include <stdio.h>

struct tally {
    uint64_t frames, failed, trips, trips_max, leak, bits, errors;
    double *seconds; /* owned: of each frame */
};

#define FRAMES_A_SHUFFLE 50

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

struct ends {
    struct cascade_reference *a;
    struct cascade_corrector *b;
    struct buf question, answer;
};

static void run_frame(struct ends *ends, const struct cascade_plan *plan, const uint8_t *right,
    const uint8_t *wrong, struct tally *t)
{
    double start = stand_cpu_s();
    struct buf *question = &ends->question;
    struct buf *answer = &ends->answer;
    question->len = answer->len = 0;
    cascade_reference_restart(ends->a, right);
    cascade_corrector_restart(ends->b, wrong);
    uint64_t trips = 0;
    int r;
    while ((r = cascade_corrector_step(ends->b, answer->data, answer->len, question)) == 0) {
        answer->len = 0;
        if (cascade_reference_answer(ends->a, question->data, question->len, answer) != 0)
            abort();
        question->len = 0;
        trips++;
    }
    t->seconds[t->frames++] = stand_cpu_s() - start;
    t->failed +=
        r != CASCADE_DONE || memcmp(right, cascade_corrector_bits(ends->b), plan->n / 8) != 0;
    t->trips += trips;
    t->trips_max = MAX(t->trips_max, trips);
    t->leak += cascade_corrector_leak_bits(ends->b);
    t->errors += cascade_corrector_flips(ends->b);
    t->bits += plan->n;
    if (cascade_corrector_leak_bits(ends->b) != cascade_reference_leak_bits(ends->a))
        abort();
}

static void run_frames(
    uint32_t n, double rate, uint64_t frames, uint64_t from, struct rng *rng, struct tally *t)
{
    uint8_t seed[CASCADE_SEED];
    struct cascade_plan plan;
    rng_bytes(rng, seed, sizeof(seed));
    cascade_plan_init(&plan, n, rate, seed);
    struct cascade_shuffle *shuffle = cascade_shuffle_new(&plan);
    auto_free uint8_t *right = calloc(n / 8, 1);
    auto_free uint8_t *wrong = malloc(n / 8);
    struct ends ends = {.a = cascade_reference_new(&plan, shuffle, right),
        .b = cascade_corrector_new(&plan, shuffle, right)};
    if (!ends.a || !ends.b)
        abort();
    for (uint64_t i = from; i < MIN(frames, from + FRAMES_A_SHUFFLE); i++) {
        rng_bytes(rng, right, n / 8);
        memcpy(wrong, right, n / 8);
        flip_some(wrong, n, rate, rng);
        run_frame(&ends, &plan, right, wrong, t);
    }
    cascade_reference_free(ends.a);
    cascade_corrector_free(ends.b);
    buf_deinit(&ends.question);
    buf_deinit(&ends.answer);
    cascade_shuffle_free(shuffle);
}

static void bench_point(uint32_t n, double rate, uint64_t frames)
{
    uint8_t seed[RNG_SEED_BYTES] = {3};
    put_u32le(seed + 4, n);
    cleanup(rng_freep) struct rng *rng = rng_new(seed);
    struct tally t = {.seconds = calloc(frames, sizeof(double))};
    for (uint64_t i = 0; i < frames; i += FRAMES_A_SHUFFLE)
        run_frames(n, rate, frames, i, rng, &t);
    double e = (double)t.errors / (double)t.bits;
    printf("n %8u  E %5.3f %%  f %.4f  round trips %5.1f (max %llu)  failed %llu of %llu  %7.1f "
           "Mbit/s\n",
        n, 100 * e, (double)t.leak / ((double)t.bits * entropy(e)),
        (double)t.trips / (double)t.frames, (unsigned long long)t.trips_max,
        (unsigned long long)t.failed, (unsigned long long)t.frames,
        n / stand_median(t.seconds, t.frames) / 1e6);
    fflush(stdout);
    free(t.seconds);
}

int main(int argc, char **argv)
{
    uint64_t frames = argc > 1 ? (uint64_t)atoi(argv[1]) : 100;
    static const double rates[] = {0.005, 0.01, 0.015, 0.03};
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
        bench_point(100000, rates[i], frames);
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
        bench_point(1000000, rates[i], frames);
    return 0;
}
