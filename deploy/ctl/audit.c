/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ctl/audit.h"

#include "common/util.h"

#include <errno.h>

struct audit_range {
    const char *site;
    const char *stream;
    uint64_t start;
    uint64_t end;
    uint64_t attempt;
};

static int compare_ranges(const void *a, const void *b)
{
    const struct audit_range *x = a;
    const struct audit_range *y = b;
    int by_stream = strcmp(x->stream, y->stream);
    if (by_stream != 0)
        return by_stream;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* Reads one vault's answer: ranges reserved for attempts, and those of tags, which have none. What was
 * skipped was not used and is left out. */
static int collect_vault(
    const json_t *vault, struct audit_range *out, size_t max, size_t *n, struct err *e)
{
    const char *site = json_string_value(json_object_get(vault, "site"));
    const json_t *ranges = json_object_get(vault, "ranges");
    if (!site || !json_is_array(ranges))
        return err_set(e, -EINVAL, "a vault's audit answer lacks its site or its ranges");
    size_t i;
    const json_t *r;
    json_array_foreach(ranges, i, r)
    {
        const char *kind = json_string_value(json_object_get(r, "kind"));
        const char *stream = json_string_value(json_object_get(r, "stream"));
        if (!kind || !stream)
            return err_set(e, -EINVAL, "range %zu of %s has no kind or no stream", i, site);
        if (strcmp(kind, "skip") == 0 || *n == max)
            continue;
        out[(*n)++] = (struct audit_range){site, stream,
            (uint64_t)json_integer_value(json_object_get(r, "start")),
            (uint64_t)json_integer_value(json_object_get(r, "end")),
            (uint64_t)json_integer_value(json_object_get(r, "attempt"))};
    }
    return 0;
}

/* Two ranges that share bytes must be the two ends of one attempt. */
static bool in_conflict(const struct audit_range *a, const struct audit_range *b)
{
    if (strcmp(a->stream, b->stream) != 0 || b->start >= a->end)
        return false;
    return a->attempt != b->attempt || strcmp(a->site, b->site) == 0;
}

static void report_conflict(
    struct audit_findings *f, const struct audit_range *a, const struct audit_range *b)
{
    f->reused++;
    json_array_append_new(f->conflicts,
        json_sprintf("stream %s: bytes %llu..%llu of attempt %llu at %s overlap %llu..%llu of "
                     "attempt %llu at %s",
            a->stream, (unsigned long long)a->start, (unsigned long long)a->end,
            (unsigned long long)a->attempt, a->site, (unsigned long long)b->start,
            (unsigned long long)b->end, (unsigned long long)b->attempt, b->site));
}

static void find_conflicts(const struct audit_range *ranges, size_t n, struct audit_findings *f)
{
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(ranges[i].stream, ranges[i - 1].stream) != 0)
            f->streams++;
        for (size_t j = i + 1; j < n; j++) {
            if (strcmp(ranges[j].stream, ranges[i].stream) != 0 || ranges[j].start >= ranges[i].end)
                break;
            if (in_conflict(&ranges[i], &ranges[j]))
                report_conflict(f, &ranges[i], &ranges[j]);
        }
    }
}

int audit_ranges(const json_t *vaults, struct audit_findings *out, struct err *e)
{
    *out = (struct audit_findings){0};
    size_t max = 0;
    size_t i;
    const json_t *vault;
    json_array_foreach(vaults, i, vault) max += json_array_size(json_object_get(vault, "ranges"));
    auto_free struct audit_range *ranges = calloc(max + 1, sizeof(*ranges));
    if (!ranges)
        return -ENOMEM;
    size_t n = 0;
    json_array_foreach(vaults, i, vault)
    {
        int r = collect_vault(vault, ranges, max, &n, e);
        if (r < 0)
            return r;
    }
    qsort(ranges, n, sizeof(*ranges), compare_ranges);
    out->ranges = n;
    out->conflicts = json_array();
    find_conflicts(ranges, n, out);
    return 0;
}

int audit_sum(const json_t *clients, const json_t *sum, struct err *e)
{
    size_t n = json_array_size(sum);
    if (n == 0 || json_array_size(clients) == 0)
        return err_set(e, -EINVAL, "nothing to compare: no published words or no client");
    for (size_t k = 0; k < n; k++) {
        json_int_t total = 0;
        size_t i;
        const json_t *words;
        json_array_foreach(clients, i, words)
        {
            if (json_array_size(words) != n)
                return err_set(e, -EINVAL, "a client wrote %zu integers, the sum has %zu",
                    json_array_size(words), n);
            total += json_integer_value(json_array_get(words, k));
        }
        if (total != json_integer_value(json_array_get(sum, k)))
            return 0;
    }
    return 1;
}
