/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics.h"

#include "common/util.h"

struct metrics_row metrics_row(const struct metrics *m, unsigned i)
{
    const struct metrics_row rows[] = {
#define METRICS_ROW(name, help) {#name, help, m->name},
        METRICS(METRICS_ROW)
#undef METRICS_ROW
            {0},
    };
    return rows[MIN((size_t)i, ARRAY_SIZE(rows) - 1)];
}
