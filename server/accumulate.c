/* SPDX-License-Identifier: Apache-2.0 */
#include "server/accumulate.h"

#include "common/util.h"
#include "common/words.h"

#include <assert.h>
#include <errno.h>

int accumulator_init(struct accumulator *a, const struct quantiser *z, uint32_t clients)
{
    uint64_t bytes = words_bytes(quantiser_words(z), z->q);
    *a = (struct accumulator){
        .z = *z,
        .chunks = quantiser_chunks(z),
        .clients = clients,
        .next = calloc(clients, sizeof(*a->next)),
        .duplicates = calloc(clients, sizeof(*a->duplicates)),
        .sum = blob_new(bytes),
    };
    if (!a->next || !a->duplicates || !a->sum) {
        accumulator_deinit(a);
        return -ENOMEM;
    }
    memset(a->sum->data, 0, bytes);
    return 0;
}

void accumulator_deinit(struct accumulator *a)
{
    free(a->next);
    free(a->duplicates);
    blob_unref(a->sum);
    *a = (struct accumulator){0};
}

int accumulator_add(
    struct accumulator *a, uint32_t client, uint32_t index, const uint8_t *data, size_t len)
{
    assert(client < a->clients);
    if (index < a->next[client])
        return a->duplicates[client]++ < a->chunks ? ACCUMULATOR_E_DUPLICATE : ACCUMULATOR_E_FLOOD;
    if (index > a->next[client] || index >= a->chunks)
        return ACCUMULATOR_E_GAP;
    if (len != quantiser_chunk_bytes(&a->z, index))
        return ACCUMULATOR_E_LENGTH;
    words_add(a->sum->data + quantiser_chunk_offset(&a->z, index), data,
        quantiser_chunk_words(&a->z, index), a->z.q, false);
    if (++a->next[client] == a->chunks)
        a->complete++;
    return 0;
}

uint32_t accumulator_next(const struct accumulator *a, uint32_t client)
{
    return a->next[client];
}

bool accumulator_is_complete(const struct accumulator *a)
{
    return a->complete == a->clients;
}
