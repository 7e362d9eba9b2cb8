/* SPDX-License-Identifier: Apache-2.0 */
/* Pearson's chi-square, for tests with a fixed seed: too large a value is a wrong distribution. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Counts against expectations, all above 0. */
double chi_square(const uint64_t *counts, const double *expected, size_t n);
/* Two sets of counts from equally many trials; classes that are empty in both count nothing. */
double chi_square_two(const uint64_t *a, const uint64_t *b, size_t n);
/* Five standard deviations (Wilson and Hilferty): by chance above it once in 3.5 million seeds. */
double chi_square_limit(size_t degrees);
