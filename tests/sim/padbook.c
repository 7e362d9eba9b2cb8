/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/padbook.h"

#include "common/util.h"
#include "tests/sim/need.h"

#include <stdbool.h>

#define RUN 8

/* The bytes of one stream as far as they are known. */
struct page {
    uint8_t stream[PADBOOK_STREAM_BYTES];
    uint8_t *bytes; /* owned */
    bool *known;    /* owned */
    size_t len;
};

/* A run of known bytes and where it stands: at a multiple of its length. */
struct slot {
    uint64_t run; /* 0: empty */
    uint32_t page;
    uint64_t offset;
};

struct padbook {
    struct page *pages; /* owned */
    size_t n_pages;
    struct slot *slots; /* owned: a hash table */
    size_t n_slots, used;
};

static size_t page_of(struct padbook *b, const uint8_t *stream)
{
    for (size_t i = 0; i < b->n_pages; i++)
        if (memcmp(b->pages[i].stream, stream, PADBOOK_STREAM_BYTES) == 0)
            return i;
    b->pages = need(reallocarray(b->pages, b->n_pages + 1, sizeof(*b->pages)));
    b->pages[b->n_pages] = (struct page){0};
    memcpy(b->pages[b->n_pages].stream, stream, PADBOOK_STREAM_BYTES);
    return b->n_pages++;
}

static void page_reaches(struct page *p, size_t end)
{
    if (end <= p->len)
        return;
    size_t len = MAX(end, 2 * p->len);
    p->bytes = need(realloc(p->bytes, len));
    p->known = need(realloc(p->known, len * sizeof(bool)));
    memset(p->bytes + p->len, 0, len - p->len);
    memset(p->known + p->len, 0, (len - p->len) * sizeof(bool));
    p->len = len;
}

static size_t place(const struct padbook *b, uint64_t run)
{
    size_t i = (size_t)((run * 0x9e3779b97f4a7c15) >> 20) % b->n_slots;
    while (b->slots[i].run != 0 && b->slots[i].run != run)
        i = (i + 1) % b->n_slots;
    return i;
}

static void grow(struct padbook *b)
{
    struct slot *old = b->slots;
    size_t n = b->n_slots;
    b->n_slots = n ? 2 * n : 4096;
    b->slots = need(calloc(b->n_slots, sizeof(*b->slots)));
    for (size_t i = 0; i < n; i++)
        if (old[i].run != 0)
            b->slots[place(b, old[i].run)] = old[i];
    free(old);
}

static void remember(struct padbook *b, uint64_t run, size_t page, uint64_t offset)
{
    if (2 * b->used >= b->n_slots)
        grow(b);
    struct slot *s = &b->slots[place(b, run)];
    if (run == 0 || s->run != 0)
        return;
    *s = (struct slot){run, (uint32_t)page, offset};
    b->used++;
}

static bool is_elsewhere(const struct padbook *b, uint64_t run, size_t page, uint64_t offset)
{
    if (b->n_slots == 0 || run == 0)
        return false;
    const struct slot *s = &b->slots[place(b, run)];
    return s->run != 0 && (s->page != page || s->offset != offset);
}

static bool write_page(struct page *p, uint64_t start, const uint8_t *data, size_t len)
{
    page_reaches(p, start + len);
    for (size_t i = 0; i < len; i++) {
        if (p->known[start + i] && p->bytes[start + i] != data[i])
            return false;
        p->known[start + i] = true;
        p->bytes[start + i] = data[i];
    }
    return true;
}

int padbook_add(struct padbook *b, const uint8_t stream[PADBOOK_STREAM_BYTES], uint64_t start,
    const uint8_t *data, size_t len)
{
    size_t page = page_of(b, stream);
    for (size_t i = 0; i + RUN <= len; i++)
        if (is_elsewhere(b, get_u64le(data + i), page, start + i))
            return PADBOOK_E_REUSED;
    if (!write_page(&b->pages[page], start, data, len))
        return PADBOOK_E_DIFFERS;
    for (size_t i = (size_t)(-start % RUN); i + RUN <= len; i += RUN)
        remember(b, get_u64le(data + i), page, start + i);
    return 0;
}

struct padbook *padbook_new(void)
{
    return need(calloc(1, sizeof(struct padbook)));
}

void padbook_free(struct padbook *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n_pages; i++) {
        free(b->pages[i].bytes);
        free(b->pages[i].known);
    }
    free(b->pages);
    free(b->slots);
    free(b);
}
