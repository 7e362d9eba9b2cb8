/* SPDX-License-Identifier: Apache-2.0 */
/* The whole chain of the busiest pair against real time: a 200 s block of AB of the paper's 4-client
 * network, 2.1e8 events, from both ends' records to compared keys. CPU time of each end by stage, and how
 * many times faster than the block was acquired one core of it is.
 * Usage: chain_bench [SECONDS of the block, 200] */
#include "common/util.h"
#include "keypool/post/post_paper.h"
#include "tests/bench/stand.h"

#include <stdio.h>

static double sum_of(const struct post_loop_times *t, enum post_side side)
{
    double sum = 0;
    for (unsigned k = 0; k < POST_LOOP_STAGES; k++)
        sum += t->cpu_s[side][k];
    return sum;
}

static void print_stage(const char *name, double low_s, double high_s, double bits)
{
    printf("%-18s  LOW %7.3f s  HIGH %7.3f s  %8.1f Mbit/s of sifted key at the slower end\n", name,
        low_s, high_s, bits / MAX(low_s, high_s) / 1e6);
}

int main(int argc, char **argv)
{
    const struct post_paper_config c = {.link = link_paper_find("paper-4", "alice", "bob"),
        .seconds = argc > 1 ? atof(argv[1]) : 200,
        .seed = {1},
        .cpu_s = stand_cpu_s};
    struct post_paper p;
    struct err e = {0};
    stand_must(post_paper_run(&c, &p, &e) == 0, "run", &e);
    stand_must(p.keys_agree, "keys agree", &p.reason);
    double bits = p.simulated[POST_PAPER_N_X];
    printf("AB, %g s: %.0f events, %.0f bits sifted, %.0f bits of key, f_EC %.4f\n", c.seconds,
        p.simulated[POST_PAPER_N], bits, p.measured.key_bits, p.f_ec);
    for (unsigned k = 0; k < POST_LOOP_STAGES; k++)
        print_stage(
            post_loop_stage_name(k), p.times.cpu_s[POST_LOW][k], p.times.cpu_s[POST_HIGH][k], bits);
    double low_s = sum_of(&p.times, POST_LOW);
    double high_s = sum_of(&p.times, POST_HIGH);
    print_stage("all", low_s, high_s, bits);
    printf("one core of an end is %.0f times faster than real time, one core for both %.0f times\n",
        c.seconds / MAX(low_s, high_s), c.seconds / (low_s + high_s));
    printf("drawing the events and recording them at both ends (the simulator's part) %.2f s\n",
        p.draw_s);
    printf("memory: bound of one end %.0f MB, peak of this process with both ends %.0f MB\n",
        (double)p.memory / 1e6, stand_peak_mb());
    return 0;
}
