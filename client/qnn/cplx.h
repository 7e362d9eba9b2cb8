/* SPDX-License-Identifier: Apache-2.0 */
/* Complex arithmetic without the C library's care for infinities, which costs a call per product.
 * For finite numbers only. (CMPLX of <complex.h> is missing under clang with glibc 2.36.) */
#pragma once

#include <complex.h>

static inline double complex cplx(double re, double im)
{
    return __builtin_complex(re, im);
}

static inline double complex cplx_mul(double complex a, double complex b)
{
    return cplx(
        creal(a) * creal(b) - cimag(a) * cimag(b), creal(a) * cimag(b) + cimag(a) * creal(b));
}

static inline double complex cplx_scale(double complex a, double s)
{
    return cplx(creal(a) * s, cimag(a) * s);
}

/* |a|^2 */
static inline double cplx_norm2(double complex a)
{
    return creal(a) * creal(a) + cimag(a) * cimag(a);
}
