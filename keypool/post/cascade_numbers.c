/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/post/cascade_numbers.h"

#include "common/util.h"

#include <errno.h>

#define SHORT      48
#define DIGIT_BITS 11

int numbers_reserve(struct numbers *a, size_t more)
{
    if (a->cap - a->n >= more)
        return 0;
    size_t cap = MAX(a->n + more, MAX(2 * a->cap, (size_t)256));
    uint32_t *items = realloc(a->items, cap * sizeof(*items));
    if (!items)
        return -ENOMEM;
    a->items = items;
    a->cap = cap;
    return 0;
}

void numbers_deinit(struct numbers *a)
{
    free(a->items);
    *a = (struct numbers){0};
}

static void insertion_sort(uint32_t *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t v = items[i];
        size_t k = i;
        for (; k > 0 && items[k - 1] > v; k--)
            items[k] = items[k - 1];
        items[k] = v;
    }
}

static void sort_digit(uint32_t *out, const uint32_t *in, size_t n, unsigned shift)
{
    uint32_t start[1 << DIGIT_BITS] = {0};
    const uint32_t mask = (1 << DIGIT_BITS) - 1;
    for (size_t i = 0; i < n; i++)
        start[in[i] >> shift & mask]++;
    uint32_t sum = 0;
    for (size_t d = 0; d <= mask; d++) {
        uint32_t count = start[d];
        start[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        out[start[in[i] >> shift & mask]++] = in[i];
}

static uint32_t greatest(const struct numbers *a)
{
    uint32_t most = 0;
    for (size_t i = 0; i < a->n; i++)
        most = MAX(most, a->items[i]);
    return most;
}

static int radix_sort(struct numbers *a)
{
    struct numbers other = {0};
    int r = numbers_reserve(&other, a->cap);
    if (r < 0)
        return r;
    uint32_t *in = a->items;
    uint32_t *out = other.items;
    uint32_t most = greatest(a);
    for (unsigned shift = 0; shift < 32 && most >> shift > 0; shift += DIGIT_BITS) {
        sort_digit(out, in, a->n, shift);
        uint32_t *swap = in;
        in = out;
        out = swap;
    }
    free(out);
    a->items = in;
    return 0;
}

int numbers_sort(struct numbers *a)
{
    int r = 0;
    if (a->n < SHORT)
        insertion_sort(a->items, a->n);
    else
        r = radix_sort(a);
    size_t kept = 0;
    for (size_t i = 0; a->items && i < a->n && r == 0; i++)
        if (i == 0 || a->items[i] != a->items[i - 1])
            a->items[kept++] = a->items[i];
    a->n = kept;
    return r;
}
