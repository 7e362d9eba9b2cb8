/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and gauges of a core: u64 members of a struct of its own, described by a table.
 *
 *     struct counters { uint64_t frames; uint64_t sessions; };
 *     static const struct metric table[] = {
 *         METRIC(struct counters, frames, METRIC_COUNTER, "frames received"),
 *         METRIC(struct counters, sessions, METRIC_GAUGE, "open sessions"),
 *         {0}};
 *
 * A core counts by `c->frames++`. Pure; no globals, no registry, no key bytes.
 */
#pragma once

#include "common/buf.h"

#include <jansson.h>

enum metric_kind {
    METRIC_COUNTER, /* only grows, since the start */
    METRIC_GAUGE,
};

struct metric {
    const char *name; /* lower-case words joined by '_', the unit last; NULL ends a table */
    enum metric_kind kind;
    size_t offset; /* of a uint64_t */
    const char *help;
};

#define METRIC(type, member, metric_kind, text)                                                    \
    {                                                                                              \
        .name = #member, .kind = metric_kind, .offset = offsetof(type, member), .help = text       \
    }

/* {"frames": 5, "sessions": 2}; NULL if there is no memory. Owned by the caller. */
json_t *metrics_json(const struct metric *table, const void *values) must_check;

/* Appends OpenMetrics text: "# TYPE qfl_server_frames counter", help, "qfl_server_frames_total 5".
 * `prefix`: "qfl_server". `labels`: "" or `site="alice"`; their values are names, not free text. Ends a
 * page with METRICS_EOF. -ENOMEM; -EMSGSIZE for names or labels of hundreds of bytes. */
int metrics_text(struct buf *out, const char *prefix, const char *labels,
    const struct metric *table, const void *values) must_check;

#define METRICS_EOF "# EOF\n"
