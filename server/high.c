/* SPDX-License-Identifier: Apache-2.0 */
#include "server/high.h"

#include "common/util.h"

#include <errno.h>

void high_key(uint8_t key[FED_STREAM_BYTES], const char *low, const char *high,
    const uint8_t stream[FED_STREAM_BYTES])
{
    const struct sha256_part parts[] = {
        {low, strlen(low)}, {high, strlen(high)}, {stream, FED_STREAM_BYTES}};
    uint8_t hash[SHA256_BYTES];
    sha256_parts(hash, parts, ARRAY_SIZE(parts));
    memcpy(key, hash, FED_STREAM_BYTES);
}

/* Index of the key, or of the place where it belongs. */
static size_t position(const struct highs *h, const uint8_t *key)
{
    size_t low = 0;
    size_t high = h->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(h->list[middle].value.stream, key, FED_STREAM_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct high *find(const struct highs *h, const uint8_t *key)
{
    size_t i = position(h, key);
    if (i == h->n || memcmp(h->list[i].value.stream, key, FED_STREAM_BYTES) != 0)
        return NULL;
    return &h->list[i];
}

static int insert(struct highs *h, const struct store_high *value, struct high **out)
{
    if (h->n >= h->max)
        return HIGHS_E_FULL;
    if (h->n == h->cap) {
        size_t cap = MAX(2 * h->cap, (size_t)16);
        struct high *list = reallocarray(h->list, cap, sizeof(*list));
        if (!list)
            return -ENOMEM;
        h->list = list;
        h->cap = cap;
    }
    size_t i = position(h, value->stream);
    memmove(&h->list[i + 1], &h->list[i], (h->n - i) * sizeof(*h->list));
    h->n++;
    h->list[i] = (struct high){.value = *value};
    *out = &h->list[i];
    return 0;
}

static int find_or_insert(struct highs *h, const uint8_t *key, struct high **out)
{
    *out = find(h, key);
    if (*out)
        return 0;
    struct store_high value = {0};
    memcpy(value.stream, key, FED_STREAM_BYTES);
    return insert(h, &value, out);
}

int highs_init(struct highs *h, const struct store_high *durable, size_t n, size_t max)
{
    *h = (struct highs){.max = MAX(max, n)};
    for (size_t i = 0; i < n; i++) {
        struct high *at;
        int r = find(h, durable[i].stream) ? -EBADMSG : insert(h, &durable[i], &at);
        if (r != 0) {
            highs_deinit(h);
            return r;
        }
    }
    return 0;
}

void highs_deinit(struct highs *h)
{
    free(h->list);
    *h = (struct highs){0};
}

uint64_t highs_get(const struct highs *h, const uint8_t key[FED_STREAM_BYTES])
{
    const struct high *at = find(h, key);
    return at ? at->value.high : 0;
}

static void raise_to(struct high *at, uint64_t *value, uint64_t to)
{
    if (to <= *value)
        return;
    *value = to;
    at->is_dirty = true;
}

int highs_report(struct highs *h, const uint8_t key[FED_STREAM_BYTES], uint64_t cursor)
{
    struct high *at;
    int r = find_or_insert(h, key, &at);
    if (r != 0)
        return r;
    raise_to(at, &at->value.high, cursor);
    raise_to(at, &at->value.burnt, cursor);
    return 0;
}

int highs_propose(
    struct highs *h, const uint8_t key[FED_STREAM_BYTES], uint64_t attempt, uint64_t end)
{
    struct high *at;
    int r = find_or_insert(h, key, &at);
    if (r != 0)
        return r;
    raise_to(at, &at->value.high, end);
    at->attempt = attempt;
    return 0;
}

void highs_burn(struct highs *h, const uint8_t key[FED_STREAM_BYTES], uint64_t end)
{
    struct high *at = find(h, key);
    if (!at)
        return;
    raise_to(at, &at->value.high, end);
    raise_to(at, &at->value.burnt, end);
}

bool highs_refuse(struct highs *h, const uint8_t key[FED_STREAM_BYTES], unsigned end,
    uint64_t attempt, uint64_t cursor)
{
    struct high *at = find(h, key);
    if (!at || attempt == 0 || attempt != at->attempt)
        return false;
    at->refused[end] = attempt;
    if (at->refused[0] != attempt || at->refused[1] != attempt)
        return false;
    uint64_t to = MAX(at->value.burnt, cursor);
    if (to >= at->value.high)
        return false;
    at->value.high = to;
    at->is_dirty = true;
    return true;
}

struct store_high *highs_dirty(const struct highs *h, size_t *n)
{
    *n = 0;
    struct store_high *out = calloc(h->n + 1, sizeof(*out));
    if (!out)
        return NULL;
    for (size_t i = 0; i < h->n; i++)
        if (h->list[i].is_dirty)
            out[(*n)++] = h->list[i].value;
    return out;
}

void highs_clean(struct highs *h)
{
    for (size_t i = 0; i < h->n; i++)
        h->list[i].is_dirty = false;
}
