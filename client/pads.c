/* SPDX-License-Identifier: Apache-2.0 */
#include "client/pads.h"

#include "common/util.h"
#include "common/words.h"
#include "proto/vault.h"

void pads_init(struct pads *s, uint64_t words, unsigned q, uint32_t edges)
{
    *s = (struct pads){
        .q = q,
        .words = words,
        .bytes = words_bytes(words, q),
        .edges = edges,
        .block_bytes = VAULT_TAKE_MAX / q * q,
    };
}

static uint64_t total(const struct pads *s)
{
    return (s->bytes + s->block_bytes - 1) / s->block_bytes * s->edges;
}

/* Byte offset in the vector of the n-th request's block. */
static uint64_t block_offset(const struct pads *s, uint64_t n)
{
    return n / s->edges * s->block_bytes;
}

static struct pads_request request(const struct pads *s, uint64_t n)
{
    uint64_t offset = block_offset(s, n);
    return (struct pads_request){
        .range = (uint32_t)(n % s->edges),
        .offset = VIEW_HEAD_BYTES + offset,
        .length = (uint32_t)MIN(s->bytes - offset, (uint64_t)s->block_bytes),
    };
}

bool pads_ask(struct pads *s, struct pads_request *out)
{
    if (s->asked == total(s) || s->asked - s->added == PADS_WINDOW)
        return false;
    *out = request(s, s->asked++);
    return true;
}

static bool is_expected(const struct pads *s, const Vault__Pad *pad)
{
    if (s->added == s->asked)
        return false;
    struct pads_request expected = request(s, s->added);
    return pad->range == expected.range && pad->offset == expected.offset &&
           pad->data.len == expected.length;
}

bool pads_add(struct pads *s, const struct edges *edges, Vault__Pad *pad, uint8_t *vector)
{
    if (!is_expected(s, pad)) {
        secret_wipe(pad->data.data, pad->data.len);
        return false;
    }
    uint64_t offset = block_offset(s, s->added++);
    uint64_t words = MIN((uint64_t)s->block_bytes / s->q * 8, s->words - offset / s->q * 8);
    words_add_wipe(vector + offset, pad->data.data, words, s->q, !edges_adds(edges, pad->range));
    return true;
}

bool pads_is_complete(const struct pads *s)
{
    return s->added == total(s);
}
