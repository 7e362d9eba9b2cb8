/* SPDX-License-Identifier: Apache-2.0 */
/* One block of a link of the paper, end to end: effective events drawn, both ends' records, the machines of
 * post_block (post_loop), keys compared. SIMULATED. Events are drawn and recorded chunk by chunk, so that
 * memory is that of both ends' post_block_memory and no more.
 */
#pragma once

#include "keypool/post/post_loop.h"
#include "keypool/qkd/link_model.h"

struct post_paper_config {
    const struct link_paper *link;
    double seconds; /* of the block, at the paper's 1e8 pulses per second */
    uint8_t seed[RNG_SEED_BYTES];
    double round_trip_s; /* between the ends, in virtual time */
    uint32_t window;     /* Cascade's frames in flight; 0: that of post_config_default */
    double (*cpu_s)(void);
    /* May be NULL: the events drawn so far, then the stages as they begin. */
    void (*drawn)(void *ctx, double part);
    void (*progress)(void *ctx, enum post_loop_stage stage);
    void *ctx;
};

enum {
    POST_PAPER_N,
    POST_PAPER_N_X,
    POST_PAPER_M_X,
    POST_PAPER_N_Y,
    POST_PAPER_M_Y,
    POST_PAPER_COUNTS
};
extern const char *const post_paper_names[POST_PAPER_COUNTS];

struct post_paper {
    double seconds;
    double simulated[POST_PAPER_COUNTS];  /* counted as they were drawn */
    double model[POST_PAPER_COUNTS];      /* what link_model expects */
    double deviations[POST_PAPER_COUNTS]; /* simulated from model, in standard deviations */
    double from_table[POST_PAPER_COUNTS]; /* model of a 200 s block over Table 7, less 1 */
    bool has_counts;          /* both ends counted n, n_x, n_y, m_y as they were drawn */
    struct keyrate predicted; /* of the simulated counts, leak 1.2 n_x h(E_x) */
    struct keyrate measured;  /* leak as counted by both ends */
    enum post_outcome outcome;
    struct err reason; /* no key: why */
    double f_ec;
    uint64_t leak_bits, errors, residual; /* residual: errors in X that were not found */
    uint64_t trips;
    bool keys_agree;
    double draw_s; /* CPU time: drawing and recording at both ends */
    struct post_loop_times times;
    size_t memory; /* bound of one end, post_block_memory */
};

/* 0, also if there is no key (`outcome`); -EINVAL with a sentence, -ENOMEM. */
int post_paper_run(
    const struct post_paper_config *config, struct post_paper *out, struct err *e) must_check;
