/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/leak.h"

#include "common/util.h"
#include "tests/sim/need.h"

#include <ctype.h>

#define SLOTS ((size_t)1 << 16)
#define FULL  (SLOTS / 2)

/* Two generations of hash sets: the older one is forgotten when the younger is full. */
struct generation {
    uint64_t *slots; /* owned; 0: empty */
    size_t used;
};

struct leak {
    struct generation young, old;
};

static size_t slot_of(uint64_t run)
{
    return (run * 0x9e3779b97f4a7c15) >> 48;
}

static bool has(const struct generation *g, uint64_t run)
{
    for (size_t i = slot_of(run); g->slots[i] != 0; i = (i + 1) % SLOTS)
        if (g->slots[i] == run)
            return true;
    return false;
}

static void insert(struct leak *l, uint64_t run)
{
    if (run == 0 || has(&l->young, run))
        return;
    if (l->young.used == FULL) {
        struct generation forgotten = l->old;
        l->old = l->young;
        memset(forgotten.slots, 0, SLOTS * sizeof(uint64_t));
        l->young = (struct generation){forgotten.slots, 0};
    }
    size_t i = slot_of(run);
    while (l->young.slots[i] != 0)
        i = (i + 1) % SLOTS;
    l->young.slots[i] = run;
    l->young.used++;
}

struct leak *leak_new(void)
{
    struct leak *l = need(calloc(1, sizeof(*l)));
    l->young.slots = need(calloc(SLOTS, sizeof(uint64_t)));
    l->old.slots = need(calloc(SLOTS, sizeof(uint64_t)));
    return l;
}

void leak_free(struct leak *l)
{
    if (!l)
        return;
    free(l->young.slots);
    free(l->old.slots);
    free(l);
}

void leak_add(struct leak *l, const void *secret, size_t len)
{
    const uint8_t *p = secret;
    for (size_t i = 0; i + LEAK_RUN <= len; i++)
        insert(l, get_u64le(p + i));
}

void leak_add_words(struct leak *l, const void *secret, size_t len)
{
    const uint8_t *p = secret;
    for (size_t i = 0; i + LEAK_RUN <= len; i += LEAK_RUN)
        insert(l, get_u64le(p + i));
}

bool leak_in_bytes(const struct leak *l, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i + LEAK_RUN <= len; i++) {
        uint64_t run = get_u64le(p + i);
        if (run != 0 && (has(&l->young, run) || has(&l->old, run)))
            return true;
    }
    return false;
}

static int nibble(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static bool leak_in_hex(const struct leak *l, const char *digits, size_t n)
{
    bool found = false;
    uint8_t *bytes = need(malloc(n / 2 + 1));
    for (size_t skip = 0; skip < 2 && !found; skip++) {
        size_t len = 0;
        for (size_t i = skip; i + 1 < n; i += 2)
            bytes[len++] = (uint8_t)(nibble(digits[i]) << 4 | nibble(digits[i + 1]));
        found = leak_in_bytes(l, bytes, len);
    }
    free(bytes);
    return found;
}

bool leak_in_text(const struct leak *l, const char *text)
{
    if (leak_in_bytes(l, text, strlen(text)))
        return true;
    for (size_t i = 0; text[i];) {
        size_t n = 0;
        while (isxdigit((unsigned char)text[i + n]))
            n++;
        if (n >= 2 * LEAK_RUN && leak_in_hex(l, text + i, n))
            return true;
        i += n ? n : 1;
    }
    return false;
}
