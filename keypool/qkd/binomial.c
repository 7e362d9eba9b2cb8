/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/binomial.h"

#include "common/util.h"

#include <assert.h>
#include <math.h>

#define INVERSION_BELOW 10.0 /* mean; BTRS is valid from here on */
#define INVERSION_END   200  /* the probability of more, at such a mean, is below 1e-150 */

/* Walks up the distribution from 0: P(k+1) = P(k) (n - k) / (k + 1) odds. */
static uint64_t invert(struct rng *r, double n, double p)
{
    double odds = p / (1 - p);
    double first = exp(n * log1p(-p));
    for (;;) {
        double left = rng_uniform(r);
        double at = first;
        for (double k = 0; k <= MIN(n, INVERSION_END); k++) {
            if (left < at)
                return (uint64_t)k;
            left -= at;
            at *= (n - k) / (k + 1) * odds;
        }
        /* Only rounding leads here, once in 1e15 draws. */
    }
}

/* log k! less Stirling's approximation of it. */
static double stirling_tail(double k)
{
    static const double table[] = {0.08106146679532726, 0.04134069595540929, 0.02767792568499834,
        0.02079067210376509, 0.01664469118982119, 0.01387612882307075, 0.01189670994589177,
        0.01041126526197209, 0.009255462182712733, 0.008330563433362871};
    const size_t entries = ARRAY_SIZE(table);
    if (k < (double)entries)
        return table[(size_t)k];
    double square = (k + 1) * (k + 1);
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

/* Constants of one distribution, in the article's names. */
struct btrs {
    double n, mode, odds;
    double a, b, center, alpha, inner;
};

static struct btrs btrs_of(double n, double p)
{
    double deviation = sqrt(n * p * (1 - p));
    struct btrs t = {.n = n, .mode = floor((n + 1) * p), .odds = p / (1 - p)};
    t.b = 1.15 + 2.53 * deviation;
    t.a = -0.0873 + 0.0248 * t.b + 0.01 * p;
    t.center = n * p + 0.5;
    t.alpha = (2.83 + 5.1 / t.b) * deviation;
    t.inner = 0.92 - 4.2 / t.b;
    return t;
}

/* log of P(k) / P(mode). log1p: n + 1 would magnify the rounding of a ratio near 1. */
static double log_ratio(const struct btrs *t, double k)
{
    double n = t->n;
    double m = t->mode;
    return (m + 0.5) * log((m + 1) / (t->odds * (n - m + 1))) +
           (n + 1) * log1p((k - m) / (n - k + 1)) +
           (k + 0.5) * log(t->odds * (n - k + 1) / (k + 1)) + stirling_tail(m) +
           stirling_tail(n - m) - stirling_tail(k) - stirling_tail(n - k);
}

static uint64_t reject(struct rng *r, double n, double p)
{
    struct btrs t = btrs_of(n, p);
    for (;;) {
        double u = rng_uniform(r) - 0.5;
        double v = 1 - rng_uniform(r);
        double room = 0.5 - fabs(u);
        double k = floor((2 * t.a / room + t.b) * u + t.center);
        if (!(k >= 0 && k <= n))
            continue;
        if (room >= 0.07 && v <= t.inner)
            return (uint64_t)k;
        if (log(v * t.alpha / (t.a / (room * room) + t.b)) <= log_ratio(&t, k))
            return (uint64_t)k;
    }
}

uint64_t binomial_draw(struct rng *r, uint64_t trials, double p)
{
    assert(trials <= BINOMIAL_TRIALS_MAX && p >= 0 && p <= 1);
    if (trials == 0 || p == 0)
        return 0;
    if (p > 0.5)
        return trials - binomial_draw(r, trials, 1 - p);
    double n = (double)trials;
    return n * p < INVERSION_BELOW ? invert(r, n, p) : reject(r, n, p);
}
