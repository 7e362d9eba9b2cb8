/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which an attempt's masks are fetched from the vault and added.
 *
 * The vector is cut into blocks of at most VAULT_TAKE_MAX bytes that hold whole groups of eight
 * words; block b is fetched from every edge before block b + 1 of any, so that the block stays in the
 * cache while its pads come in. Up to PADS_WINDOW requests are on their way. A pad is added where it
 * lies and wiped there (fetch, add, wipe); this module never holds one.
 */
#pragma once

#include "client/edges.h"
#include "proto/vault.pb-c.h"

#include <stdbool.h>

#define PADS_WINDOW 8

struct pads {
    unsigned q;
    uint64_t words;       /* of the vector */
    uint64_t bytes;       /* of the packed vector */
    uint32_t edges;       /* ranges */
    uint32_t block_bytes; /* a multiple of q: whole groups of eight words */
    uint64_t asked;       /* requests made, block by block, edge by edge */
    uint64_t added;       /* pads added, in the same order */
};

void pads_init(struct pads *s, uint64_t words, unsigned q, uint32_t edges);

/* One request: `offset` is from the start of the edge's range, head included. */
struct pads_request {
    uint32_t range;
    uint64_t offset;
    uint32_t length;
};
/* False while the window is full or when everything has been asked for. */
bool pads_ask(struct pads *s, struct pads_request *out);

/* Adds a pad to the vector and wipes it; false if it is not the next one expected (wiped too). */
bool pads_add(
    struct pads *s, const struct edges *edges, Vault__Pad *pad, uint8_t *vector) must_check;
bool pads_is_complete(const struct pads *s);
