/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/chi_square.h"

#include <math.h>

double chi_square(const uint64_t *counts, const double *expected, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double off = (double)counts[i] - expected[i];
        sum += off * off / expected[i];
    }
    return sum;
}

double chi_square_two(const uint64_t *a, const uint64_t *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double off = (double)a[i] - (double)b[i];
        double both = (double)a[i] + (double)b[i];
        sum += both > 0 ? off * off / both : 0;
    }
    return sum;
}

double chi_square_limit(size_t degrees)
{
    double d = (double)degrees;
    return d * pow(1 - 2 / (9 * d) + 5 * sqrt(2 / (9 * d)), 3);
}
