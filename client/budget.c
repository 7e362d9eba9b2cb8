/* SPDX-License-Identifier: Apache-2.0 */
#include "client/budget.h"

#include "common/util.h"

#include <errno.h>
#include <stdbool.h>

void budget_deinit(struct budget *b)
{
    free(b->entries);
    *b = (struct budget){0};
}

static bool is_old(const struct budget_entry *entry, uint64_t now_ms)
{
    return now_ms - entry->at_ms >= BUDGET_WINDOW_MS;
}

static void drop_old(struct budget *b, uint64_t now_ms)
{
    size_t old = 0;
    while (old < b->n && is_old(&b->entries[old], now_ms))
        old++;
    if (old == 0)
        return;
    b->n -= old;
    memmove(b->entries, b->entries + old, b->n * sizeof(*b->entries));
}

int budget_burn(
    struct budget *b, uint64_t now_ms, uint64_t attempt, const char *peer, uint64_t bytes)
{
    drop_old(b, now_ms);
    if (b->n == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 16;
        struct budget_entry *entries = realloc(b->entries, cap * sizeof(*entries));
        if (!entries)
            return -ENOMEM;
        b->entries = entries;
        b->cap = cap;
    }
    b->entries[b->n++] = (struct budget_entry){now_ms, attempt, peer, bytes};
    return 0;
}

void budget_release(struct budget *b, uint64_t attempt)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->n; i++)
        if (b->entries[i].attempt != attempt)
            b->entries[kept++] = b->entries[i];
    b->n = kept;
}

uint64_t budget_burnt(const struct budget *b, uint64_t now_ms, const char *peer)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!is_old(&b->entries[i], now_ms) && strcmp(b->entries[i].peer, peer) == 0)
            bytes += b->entries[i].bytes;
    return bytes;
}

uint64_t budget_limit(uint64_t configured, uint64_t range_bytes)
{
    if (configured > 0)
        return configured;
    return MAX(BUDGET_DEFAULT_BYTES, BUDGET_DEFAULT_ATTEMPTS * range_bytes);
}
