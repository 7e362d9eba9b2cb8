/* SPDX-License-Identifier: Apache-2.0 */
/* assert_near: doubles within a tolerance (cmocka 1.1.5 has floats only). Include after cmocka.h. */
#pragma once

#include <math.h>

static inline void near_check(
    double value, double expected, double within, const char *file, int line)
{
    if (fabs(value - expected) <= within)
        return;
    print_error("%.17g is not within %g of %.17g\n", value, within, expected);
    _fail(file, line);
}

#define assert_near(value, expected, within)                                                       \
    near_check((value), (expected), (within), __FILE__, __LINE__)
