/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ctl/term.h"

#include "common/util.h"

#include <math.h>
#include <stdio.h>

const char *term_sparkline(char out[TERM_TEXT], const double *values, size_t n, size_t width)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t first = n > width ? n - width : 0;
    double low = INFINITY;
    double high = -INFINITY;
    for (size_t i = first; i < n; i++) {
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = first; i < n && used + 4 < TERM_TEXT; i++) {
        double share = high > low ? (values[i] - low) / (high - low) : 0.5;
        size_t k = (size_t)(share * 7.999);
        used += (size_t)snprintf(out + used, TERM_TEXT - used, "%s", blocks[MIN(k, (size_t)7)]);
    }
    return out;
}

const char *term_bar(char out[TERM_TEXT], double fraction, size_t width)
{
    width = MIN(width, (size_t)TERM_TEXT - 3);
    size_t full = (size_t)(fmin(fmax(fraction, 0.0), 1.0) * (double)width + 0.5);
    out[0] = '[';
    for (size_t i = 0; i < width; i++)
        out[1 + i] = i < full ? '#' : '.';
    out[1 + width] = ']';
    out[2 + width] = '\0';
    return out;
}

const char *term_bits(char out[TERM_TEXT], double bits)
{
    static const char *const units[] = {"bit", "kbit", "Mbit", "Gbit", "Tbit"};
    size_t u = 0;
    while (bits >= 1000 && u + 1 < ARRAY_SIZE(units)) {
        bits /= 1000;
        u++;
    }
    snprintf(out, TERM_TEXT, u == 0 ? "%.0f %s" : "%.2f %s", bits, units[u]);
    return out;
}
