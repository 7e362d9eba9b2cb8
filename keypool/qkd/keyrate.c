/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/keyrate.h"

#include <math.h>

#define LONGEST_BLOCK_S 1e7

struct keyrate_options keyrate_paper_options(void)
{
    return (struct keyrate_options){.eps = 1e-10, .f = 1.2, .pulses = 2e10, .seconds = 200};
}

const char *keyrate_outcome_text(enum keyrate_outcome outcome)
{
    switch (outcome) {
    case KEYRATE_KEY:
        return "key";
    case KEYRATE_E_COUNTS:
        return "the counts are not those of a block";
    case KEYRATE_E_ERRORS:
        return "the error rate is not below one half";
    case KEYRATE_E_IMBALANCE:
        return "the quantum-coin imbalance is not below one half";
    case KEYRATE_E_PHASE:
        return "the bound on the phase error rate is not below one half";
    case KEYRATE_E_SHORT:
        return "the block is too short or too noisy to leave a key";
    }
    return "unknown";
}

double keyrate_entropy(double x)
{
    if (!(x > 0) || !(x < 1))
        return 0;
    return -x * log2(x) - (1 - x) * log2(1 - x);
}

/* ---- concentration bounds ----------------------------------------------------------------- */

/* Minimises (b + a (2 L / n - 1)) sqrt(n) subject to exp(-2 (b^2 - a^2) / (1 +- 4 a / (3 sqrt n))^2)
 * = eps, + from the observed sum and - to it: Curras-Lorenzo et al., npj Quantum Information 7, 22
 * (2021). */
struct keyrate_ab keyrate_kato_ab(double n, double predicted, double eps, bool from_sum)
{
    double sign = from_sum ? 1 : -1;
    double ln = log(eps);
    double spread = predicted * (n - predicted);
    double inner = 9 * spread - 2 * n * ln;
    double root = 9 * M_SQRT2 * (n - 2 * predicted) * n * sqrt(-ln * inner);
    double straight = sign * (72 * sqrt(n) * spread * ln - 16 * n * sqrt(n) * ln * ln);
    struct keyrate_ab ab;
    ab.a = 3 * (straight + root) / (4 * (9 * n - 8 * ln) * inner);
    double under =
        18 * ab.a * ab.a * n - (16 * ab.a * ab.a + sign * 24 * ab.a * sqrt(n) + 9 * n) * ln;
    ab.b = sqrt(under) / (3 * sqrt(2 * n));
    return ab;
}

double keyrate_kato_deviation(struct keyrate_ab ab, double n, double sum)
{
    return (ab.b + ab.a * (2 * sum / n - 1)) * sqrt(n);
}

/* Kato's inequality with a = 0. */
static double deviation_plain(double n, double eps)
{
    return sqrt(n / 2 * log(1 / eps));
}

/* Upper bound on the sum of expectations when `sum` of `n` were observed. */
static double expectation_upper(
    double n, double sum, double predicted, const struct keyrate_options *o)
{
    if (o->kato == KEYRATE_KATO_ZERO)
        return sum + deviation_plain(n, o->eps);
    return sum + keyrate_kato_deviation(keyrate_kato_ab(n, predicted, o->eps, true), n, sum);
}

/* Upper bound on the sum that occurs when its expectation is `sum`; the optimised form bounds the
 * unknown sum by itself and is solved for it. */
static double occurrence_upper(
    double n, double sum, double predicted, const struct keyrate_options *o)
{
    if (o->kato == KEYRATE_KATO_ZERO)
        return sum + deviation_plain(n, o->eps);
    struct keyrate_ab ab = keyrate_kato_ab(n, predicted, o->eps, false);
    double share = 1 - 2 * ab.a / sqrt(n);
    if (!(share > 0))
        return n;
    return (sum + (ab.b - ab.a) * sqrt(n)) / share;
}

/* ---- the steps of the formula ------------------------------------------------------------- */

static bool is_count(double x, double limit)
{
    return x >= 0 && x <= limit && isfinite(x);
}

static bool options_are_sane(const struct keyrate_options *o)
{
    return o->eps > 0 && o->eps < 1 && is_count(o->f, HUGE_VAL) && o->pulses > 0 &&
           isfinite(o->pulses) && o->seconds > 0 && isfinite(o->seconds);
}

static bool counts_are_sane(const struct keyrate_counts *c, const struct keyrate_options *o)
{
    if (!(c->mu > 0) || !isfinite(c->mu) || !(c->n_x > 0) || !(c->n_y > 0))
        return false;
    if (!is_count(c->n, o->pulses) || !is_count(c->n_x + c->n_y, c->n))
        return false;
    if (!is_count(c->m_x, c->n_x) || !is_count(c->m_y, c->n_y))
        return false;
    if (c->has_leak && !is_count(c->leak_bits, HUGE_VAL))
        return false;
    return o->kato == KEYRATE_KATO_ZERO || is_count(c->expected_e_y, 1);
}

/* (1 - F) / (2 Q), F the joint root fidelity of the two users' basis states. */
static double imbalance(double mu, double gain)
{
    double fidelity = exp(-mu) * (cos(mu) + sin(mu));
    return (1 - fidelity * fidelity) / (2 * gain);
}

static double phase_error(double e, double d)
{
    return e + 4 * d * (1 - d) * (1 - 2 * e) + 4 * (1 - 2 * d) * sqrt(d * (1 - d) * e * (1 - e));
}

/* Phase errors to be predicted before the block: for the choice of a, b only. */
static double predicted_phase_errors(
    const struct keyrate_counts *c, const struct keyrate_options *o, double delta)
{
    if (o->kato == KEYRATE_KATO_ZERO)
        return 0;
    double sum = c->expected_e_y * c->n_y;
    double e = expectation_upper(c->n_y, sum, sum, o) / c->n_y;
    return e < 0.5 ? c->n_x * phase_error(e, delta) : c->n_x / 2;
}

static enum keyrate_outcome bound_errors(
    struct keyrate *k, const struct keyrate_counts *c, const struct keyrate_options *o)
{
    k->e_x = c->m_x / c->n_x;
    k->e_y = c->m_y / c->n_y;
    k->e_y_upper = expectation_upper(c->n_y, c->m_y, c->expected_e_y * c->n_y, o) / c->n_y;
    if (!(k->e_x < 0.5) || !(k->e_y_upper < 0.5) || !(k->e_y_upper >= 0))
        return KEYRATE_E_ERRORS;
    k->delta = imbalance(c->mu, c->n / o->pulses);
    if (!(k->delta < 0.5) || !(k->delta >= 0))
        return KEYRATE_E_IMBALANCE;
    k->e_p_star = phase_error(k->e_y_upper, k->delta);
    double predicted = predicted_phase_errors(c, o, k->delta);
    k->e_p_upper = occurrence_upper(c->n_x, c->n_x * k->e_p_star, predicted, o) / c->n_x;
    return k->e_p_upper < 0.5 && k->e_p_upper >= 0 ? KEYRATE_KEY : KEYRATE_E_PHASE;
}

static enum keyrate_outcome subtract_leaks(
    struct keyrate *k, const struct keyrate_counts *c, const struct keyrate_options *o)
{
    k->leak_bits = c->has_leak ? c->leak_bits : o->f * c->n_x * keyrate_entropy(k->e_x);
    double length = c->n_x * (1 - keyrate_entropy(k->e_p_upper)) - k->leak_bits - log2(2 / o->eps) -
                    log2(1 / (4 * o->eps * o->eps));
    k->exact_bits = length;
    if (!(length >= 1) || !isfinite(length))
        return KEYRATE_E_SHORT;
    k->key_bits = floor(length);
    k->rate_kbps = length / o->seconds / 1e3;
    return KEYRATE_KEY;
}

struct keyrate keyrate_compute(
    const struct keyrate_counts *counts, const struct keyrate_options *options)
{
    struct keyrate k = {.outcome = KEYRATE_E_COUNTS};
    if (!options_are_sane(options) || !counts_are_sane(counts, options))
        return k;
    k.outcome = bound_errors(&k, counts, options);
    if (k.outcome == KEYRATE_KEY)
        k.outcome = subtract_leaks(&k, counts, options);
    return k;
}

/* ---- block lengths ------------------------------------------------------------------------ */

void keyrate_scale(struct keyrate_counts *counts, struct keyrate_options *options, double seconds)
{
    double by = seconds / options->seconds;
    options->pulses *= by;
    options->seconds = seconds;
    counts->n *= by;
    counts->n_x *= by;
    counts->m_x *= by;
    counts->n_y *= by;
    counts->m_y *= by;
    counts->leak_bits *= by;
}

static bool yields_key(
    const struct keyrate_counts *counts, const struct keyrate_options *options, double seconds)
{
    struct keyrate_counts c = *counts;
    struct keyrate_options o = *options;
    keyrate_scale(&c, &o, seconds);
    return keyrate_compute(&c, &o).outcome == KEYRATE_KEY;
}

double keyrate_shortest_s(
    const struct keyrate_counts *counts, const struct keyrate_options *options)
{
    double low = 0;
    double high = LONGEST_BLOCK_S;
    if (!yields_key(counts, options, high))
        return HUGE_VAL;
    for (int i = 0; i < 80; i++) {
        double middle = (low + high) / 2;
        if (yields_key(counts, options, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}
