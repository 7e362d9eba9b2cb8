/* SPDX-License-Identifier: Apache-2.0 */
/* What a terminal shows: sparklines, bars, durations, bit counts. Pure text into a buffer. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TERM_TEXT 256

/* The last `width` values as block characters, from their minimum to their maximum. */
const char *term_sparkline(char out[TERM_TEXT], const double *values, size_t n, size_t width);
/* "[#####.....]" of `width` cells. */
const char *term_bar(char out[TERM_TEXT], double fraction, size_t width);
/* "1.23 Mbit". */
const char *term_bits(char out[TERM_TEXT], double bits);
