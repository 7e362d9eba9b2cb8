/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/ranges.h"

#include "common/util.h"
#include "tests/sim/need.h"

static struct ranges_end *find(const struct ranges *r, const uint8_t *stream, unsigned site)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->ends[i].site == site && memcmp(r->ends[i].stream, stream, RANGES_STREAM_BYTES) == 0)
            return &r->ends[i];
    return NULL;
}

static struct ranges_end *make(struct ranges *r, const uint8_t *stream, unsigned site)
{
    struct ranges_end *e = find(r, stream, site);
    if (e)
        return e;
    r->ends = need(reallocarray(r->ends, r->n + 1, sizeof(*r->ends)));
    e = &r->ends[r->n++];
    *e = (struct ranges_end){.site = site};
    memcpy(e->stream, stream, RANGES_STREAM_BYTES);
    return e;
}

/* An attempt in whose name some of the bytes are known here, other than `but`; 0 for none. */
static uint64_t overlap(const struct ranges_end *e, uint64_t start, uint64_t end, uint64_t but)
{
    for (size_t i = e->n; i-- > 0;) {
        const struct range *have = &e->list[i];
        if (have->start < end && start < have->end && have->attempt != but)
            return have->attempt;
    }
    return 0;
}

static void add(struct ranges_end *e, uint64_t start, uint64_t end, uint64_t attempt)
{
    struct range *last = e->n > 0 ? &e->list[e->n - 1] : NULL;
    if (last && last->attempt == attempt && last->end == start) {
        last->end = end;
        return;
    }
    if (e->n == e->cap) {
        e->cap = e->cap ? 2 * e->cap : 64;
        e->list = need(reallocarray(e->list, e->cap, sizeof(*e->list)));
    }
    e->list[e->n++] = (struct range){start, end, attempt};
}

uint64_t ranges_use(struct ranges *r, const uint8_t stream[RANGES_STREAM_BYTES], unsigned site,
    uint64_t attempt, uint64_t start, uint64_t end)
{
    uint64_t other = 0;
    struct ranges_end *own = make(r, stream, site);
    if (start < end)
        other = overlap(own, start, end, 0);
    for (size_t i = 0; i < r->n && other == 0 && start < end; i++) {
        const struct ranges_end *e = &r->ends[i];
        if (e->site != site && memcmp(e->stream, stream, RANGES_STREAM_BYTES) == 0)
            other = overlap(e, start, end, attempt);
    }
    add(own, start, end, attempt);
    return other;
}

uint64_t ranges_bytes(
    const struct ranges *r, const uint8_t stream[RANGES_STREAM_BYTES], unsigned site)
{
    const struct ranges_end *e = find(r, stream, site);
    uint64_t bytes = 0;
    for (size_t i = 0; e && i < e->n; i++)
        bytes += e->list[i].end - e->list[i].start;
    return bytes;
}

void ranges_deinit(struct ranges *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->ends[i].list);
    free(r->ends);
    *r = (struct ranges){0};
}
