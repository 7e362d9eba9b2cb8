/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics.h"

#include "common/util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#define LINE_MAX_BYTES 512

static uint64_t value_of(const struct metric *m, const void *values)
{
    uint64_t v;
    memcpy(&v, (const char *)values + m->offset, sizeof(v));
    return v;
}

json_t *metrics_json(const struct metric *table, const void *values)
{
    json_t *all = json_object();
    if (!all)
        return NULL;
    for (const struct metric *m = table; m->name; m++) {
        if (json_object_set_new(all, m->name, json_integer((json_int_t)value_of(m, values))) == 0)
            continue;
        json_decref(all);
        return NULL;
    }
    return all;
}

/* OpenMetrics 1.0: a counter's sample has the suffix _total, its family has not. */
static int append_metric(
    struct buf *out, const char *prefix, const char *labels, const struct metric *m, uint64_t value)
{
    bool is_counter = m->kind == METRIC_COUNTER;
    bool has_labels = labels[0] != '\0';
    char text[LINE_MAX_BYTES];
    int n = snprintf(text, sizeof(text),
        "# TYPE %s_%s %s\n# HELP %s_%s %s\n%s_%s%s%s%s%s %" PRIu64 "\n", prefix, m->name,
        is_counter ? "counter" : "gauge", prefix, m->name, m->help, prefix, m->name,
        is_counter ? "_total" : "", has_labels ? "{" : "", labels, has_labels ? "}" : "", value);
    if (n < 0 || n >= (int)sizeof(text))
        return -EMSGSIZE;
    return buf_append(out, text, (size_t)n);
}

int metrics_text(struct buf *out, const char *prefix, const char *labels,
    const struct metric *table, const void *values)
{
    int r = 0;
    for (const struct metric *m = table; m->name && r == 0; m++)
        r = append_metric(out, prefix, labels, m, value_of(m, values));
    return r;
}
