/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/arena.h"

#include "common/secret.h"
#include "common/util.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>

#define BLOCK_MIN ((size_t)4096)

struct block {
    struct block *next; /* owned */
    size_t cap;
    size_t used;
    alignas(16) uint8_t data[];
};

struct arena {
    struct block *current; /* owned list, newest first; the last one is the kept block */
    size_t budget;
};

static struct block *block_new(size_t cap, struct block *next)
{
    if (cap > SIZE_MAX / 2)
        return NULL;
    struct block *b = malloc(sizeof(*b) + cap);
    if (b)
        *b = (struct block){.next = next, .cap = cap};
    return b;
}

struct arena *arena_new(size_t keep)
{
    struct arena *a = calloc(1, sizeof(*a));
    struct block *kept = block_new(keep, NULL);
    if (!a || !kept) {
        free(a);
        free(kept);
        return NULL;
    }
    a->current = kept;
    return a;
}

void arena_reset(struct arena *a, bool wipe)
{
    while (true) {
        struct block *b = a->current;
        if (wipe)
            secret_wipe(b->data, b->used);
        b->used = 0;
        if (!b->next)
            break;
        a->current = b->next;
        free(b);
    }
    a->budget = 0;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a, true);
    free(a->current);
    free(a);
}

void arena_budget(struct arena *a, size_t bytes)
{
    a->budget = bytes;
}

int arena_alloc(struct arena *a, size_t len, size_t align, void **out)
{
    assert(align == 1 || align == 8);
    struct block *b = a->current;
    size_t start = (b->used + align - 1) & ~(align - 1);
    if (start > b->cap || len > b->cap - start) {
        if (len > a->budget)
            return ARENA_E_BUDGET;
        b = block_new(MAX(len, BLOCK_MIN), a->current);
        if (!b)
            return -ENOMEM;
        a->current = b;
        start = 0;
    }
    size_t cost = len + (start - b->used);
    if (cost > a->budget)
        return ARENA_E_BUDGET;
    a->budget -= cost;
    *out = b->data + start;
    b->used = start + len;
    return 0;
}
