/* SPDX-License-Identifier: Apache-2.0 */
/* Finite-key length of four-phase measurement-device-independent QKD.
 *
 * From the counts of one block to the bits of key that it yields: formula (12) of the QuNetQFL paper
 * (arXiv 2501.12709, section IV.5) with the statistics of Gu et al., Science Bulletin 67, 2167
 * (2022). Every guard is written as !(x < limit), so that no NaN passes; the length is floored and
 * never negative. It reproduces the published rates (tests/keypool/keyrate_test.c).
 *
 * What it is not: a new composable security proof. The failure probabilities of the blocks add up,
 * and counting the bits leaked in one direction is the older accounting (see README.md).
 */
#pragma once

#include <stdbool.h>

enum keyrate_kato {
    KEYRATE_KATO_ZERO,      /* a = 0: the published recipe */
    KEYRATE_KATO_OPTIMISED, /* a, b from expected counts, fixed before the block is seen */
};

struct keyrate_options {
    double eps;     /* of each of: concentration bounds, error correction, privacy amplification */
    double f;       /* efficiency that predicts the leak: f n_x h(E_x) */
    double pulses;  /* N, sent per block */
    double seconds; /* that the block took */
    enum keyrate_kato kato;
};
/* eps 1e-10, f 1.2, N 2e10 pulses in 200 s, a = 0: the paper's block. */
struct keyrate_options keyrate_paper_options(void);

/* What was counted in one block. */
struct keyrate_counts {
    double mu;  /* mean photon number of each user's pulses */
    double n;   /* effective events, all bases */
    double n_x; /* both in basis X: the raw key */
    double m_x; /* of these, errors */
    double n_y; /* both in basis Y: disclosed */
    double m_y; /* of these, errors */
    bool has_leak;
    double leak_bits;    /* disclosed by error correction, if has_leak; else predicted */
    double expected_e_y; /* optimised Kato only: Y error rate expected before the block */
};

enum keyrate_outcome {
    KEYRATE_KEY = 0,
    KEYRATE_E_COUNTS,    /* not counts of a block: negative, not finite, more errors than events */
    KEYRATE_E_ERRORS,    /* E_x or the bound on E_y not below 1/2 */
    KEYRATE_E_IMBALANCE, /* quantum-coin imbalance not below 1/2 */
    KEYRATE_E_PHASE,     /* bound on the phase error rate not below 1/2 */
    KEYRATE_E_SHORT,     /* all is well but nothing is left: the block is too short or too noisy */
};
const char *keyrate_outcome_text(enum keyrate_outcome outcome);

struct keyrate {
    enum keyrate_outcome outcome;
    double e_x;        /* m_x / n_x */
    double e_y;        /* m_y / n_y, as observed */
    double e_y_upper;  /* its upper bound */
    double delta;      /* quantum-coin imbalance */
    double e_p_star;   /* phase error rate, expectation */
    double e_p_upper;  /* its upper bound in the block */
    double leak_bits;  /* lambda_EC, measured or predicted */
    double key_bits;   /* l: a whole number, 0 if there is no key */
    double exact_bits; /* l before flooring, negative if short; 0 if another guard refused */
    double rate_kbps;  /* exact_bits, not below 0, per second */
};

/* What was reached before a guard refused is filled in; the rest is 0. */
struct keyrate keyrate_compute(
    const struct keyrate_counts *counts, const struct keyrate_options *options);

/* The counts expected of a block of `seconds` at the rates of `counts` over options->seconds; pulses
 * and seconds of `options` follow. Expectations: not rounded to whole events. */
void keyrate_scale(struct keyrate_counts *counts, struct keyrate_options *options, double seconds);

/* Seconds of the shortest block that yields at least one bit at the rates of `counts`; INFINITY if a
 * block of 1e7 s yields none. */
double keyrate_shortest_s(
    const struct keyrate_counts *counts, const struct keyrate_options *options);

/* Binary entropy; 0 at 0 and 1. */
double keyrate_entropy(double x);

/* Kato's inequality with the a, b that are best for a predicted sum of n trials with failure
 * probability eps. `from_sum`: bounds the sum of expectations from the observed sum, else the
 * observed sum from the expectations. */
struct keyrate_ab {
    double a, b;
};
struct keyrate_ab keyrate_kato_ab(double n, double predicted, double eps, bool from_sum);
/* (b + a (2 sum / n - 1)) sqrt(n). */
double keyrate_kato_deviation(struct keyrate_ab ab, double n, double sum);
