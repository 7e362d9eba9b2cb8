/* SPDX-License-Identifier: Apache-2.0 */
/* The two ends of a block with a channel between them: Mbit/s of sifted key at 1, 10 and 50 ms of round
 * trip, for windows of 16, 32 and 64 Cascade frames of 1e6 bits. The real machines and jobs; waiting is
 * virtual time, work is the CPU time measured, each end one core; the channel has no other limits.
 * Link AD of the paper's 4-client network, E_x = 1 %. Goals: 5, 3 and 2 Mbit/s.
 * Usage: round_trip_bench [SECONDS of the block, 200] */
#include "common/util.h"
#include "keypool/post/post_paper.h"
#include "tests/bench/stand.h"

#include <stdio.h>

static void bench_point(double block_s, double round_trip_ms, uint32_t window)
{
    const struct post_paper_config c = {.link = link_paper_find("paper-4", "alice", "david"),
        .seconds = block_s,
        .seed = {1},
        .round_trip_s = round_trip_ms / 1000,
        .window = window,
        .cpu_s = stand_cpu_s};
    struct post_paper p;
    struct err e = {0};
    stand_must(post_paper_run(&c, &p, &e) == 0, "run", &e);
    stand_must(p.keys_agree, "keys agree", &p.reason);
    double sifted = p.simulated[POST_PAPER_N_X] / 1e6;
    printf("%4.0f ms  window %2u  %5.1f Mbit sifted  error correction %7.2f s, %6.2f Mbit/s  "
           "whole block %7.2f s, %6.2f Mbit/s  (%llu round trips of Cascade)\n",
        round_trip_ms, window, sifted, p.times.correct_s, sifted / p.times.correct_s,
        p.times.block_s, sifted / p.times.block_s, (unsigned long long)p.trips);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const double round_trips_ms[] = {0, 1, 10, 50};
    static const uint32_t windows[] = {16, 32, 64};
    double block_s = argc > 1 ? atof(argv[1]) : 200;
    for (size_t i = 0; i < ARRAY_SIZE(round_trips_ms); i++)
        for (size_t k = 0; k < ARRAY_SIZE(windows); k++)
            bench_point(block_s, round_trips_ms[i], windows[k]);
    return 0;
}
