/* SPDX-License-Identifier: Apache-2.0 */
#include "common/nearest.h"

#include "common/util.h"

#define WORD_MAX 64

/* Rows of the dynamic programme: distances of the first i letters of a to prefixes of b. */
struct rows {
    size_t before[WORD_MAX + 1];
    size_t last[WORD_MAX + 1];
    size_t now[WORD_MAX + 1];
};

static void fill_row(struct rows *r, const char *a, size_t i, const char *b, size_t nb)
{
    r->now[0] = i;
    for (size_t j = 1; j <= nb; j++) {
        size_t replaced = r->last[j - 1] + (a[i - 1] != b[j - 1]);
        size_t edited = MIN(r->last[j], r->now[j - 1]) + 1;
        r->now[j] = MIN(replaced, edited);
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
            r->now[j] = MIN(r->now[j], r->before[j - 2] + 1);
    }
}

static size_t distance(const char *a, const char *b)
{
    size_t na = strlen(a);
    size_t nb = strlen(b);
    if (na > WORD_MAX || nb > WORD_MAX)
        return SIZE_MAX;
    struct rows r = {0};
    for (size_t j = 0; j <= nb; j++)
        r.now[j] = j;
    for (size_t i = 1; i <= na; i++) {
        memcpy(r.before, r.last, sizeof(r.last));
        memcpy(r.last, r.now, sizeof(r.now));
        fill_row(&r, a, i, b, nb);
    }
    return r.now[nb];
}

struct nearest nearest_to(const char *word)
{
    return (struct nearest){.word = word, .distance = SIZE_MAX};
}

void nearest_offer(struct nearest *n, const char *candidate)
{
    size_t d = distance(n->word, candidate);
    /* One slip in a short word, one more for every four letters. */
    if (d < n->distance && d <= 1 + strlen(candidate) / 4 && d < strlen(candidate)) {
        n->best = candidate;
        n->distance = d;
    }
}
