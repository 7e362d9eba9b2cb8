/* SPDX-License-Identifier: Apache-2.0 */
/* The sum of an attempt: masked vectors are added mod 2^q chunk by chunk as they arrive, in packed
 * form. Memory is one vector, however many clients upload.
 *
 * Each client's chunks are added in order, each once. Nothing of a chunk that does not fit is added.
 * Volatile: after a restart every upload starts again at chunk 0, so nothing counts twice.
 */
#pragma once

#include "common/buf.h"
#include "common/quantiser.h"

#include <stdbool.h>

struct accumulator {
    struct quantiser z;
    uint32_t chunks;      /* of one vector */
    uint32_t clients;     /* that upload */
    uint32_t complete;    /* of them have uploaded everything */
    uint32_t *next;       /* owned: by client, the chunk that comes next */
    uint32_t *duplicates; /* owned: by client, chunks received again */
    struct blob *sum;     /* owned */
};

int accumulator_init(struct accumulator *a, const struct quantiser *z, uint32_t clients) must_check;
void accumulator_deinit(struct accumulator *a);

enum accumulator_condition {
    ACCUMULATOR_E_DUPLICATE = 1, /* added before: ignored */
    ACCUMULATOR_E_FLOOD,         /* more duplicates than a resent upload has */
    ACCUMULATOR_E_GAP,           /* not the chunk that comes next */
    ACCUMULATOR_E_LENGTH,        /* not as long as this chunk is */
};

/* Adds chunk `index` of `client`. Anything but 0 added nothing. */
int accumulator_add(struct accumulator *a, uint32_t client, uint32_t index, const uint8_t *data,
    size_t len) must_check;

uint32_t accumulator_next(const struct accumulator *a, uint32_t client);
bool accumulator_is_complete(const struct accumulator *a);
