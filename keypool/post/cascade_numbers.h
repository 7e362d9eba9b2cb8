/* SPDX-License-Identifier: Apache-2.0 */
/* A growing list of node numbers. Internal to keypool/post. */
#pragma once

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

struct numbers {
    uint32_t *items; /* owned */
    size_t n;
    size_t cap;
};

int numbers_reserve(struct numbers *a, size_t more) must_check;
/* Ascending, each once. */
int numbers_sort(struct numbers *a) must_check;
void numbers_deinit(struct numbers *a);

static inline int numbers_push(struct numbers *a, uint32_t v)
{
    if (a->n == a->cap) {
        int r = numbers_reserve(a, 1);
        if (r < 0)
            return r;
    }
    a->items[a->n++] = v;
    return 0;
}
