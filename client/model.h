/* SPDX-License-Identifier: Apache-2.0 */
/* The model held, fetched in chunks when it is not, and moved on by the published sum of a round.
 *
 * A model is named by the SHA-256 of its little-endian doubles. `previous` is the digest of the result
 * that made it, when this client has seen that result itself.
 */
#pragma once

#include "common/quantiser.h"
#include "common/sha256.h"
#include "proto/fed.pb-c.h"

#include <stdbool.h>

enum model_condition {
    MODEL_E_MORE = 1, /* fetching: more chunks are to come */
    MODEL_E_SHAPE,    /* a chunk out of order, or of a wrong size */
    MODEL_E_HASH,     /* the bytes are not the model that was named */
    MODEL_E_CANARY,   /* canary words of the sum are wrong */
};

struct model {
    uint32_t parameters;
    double *values; /* owned */
    bool held;
    uint8_t hash[SHA256_BYTES];
    bool has_previous;
    uint8_t previous[SHA256_BYTES];
    double *incoming; /* owned: the model being fetched */
    uint64_t received;
    uint32_t next_chunk;
    uint8_t wanted[SHA256_BYTES];
};

int client_model_init(struct model *m, uint32_t parameters) must_check;
void client_model_deinit(struct model *m);

bool client_model_is(const struct model *m, const uint8_t hash[SHA256_BYTES]);

/* Starts a fetch, or starts it again. */
int client_model_begin_fetch(struct model *m, const uint8_t hash[SHA256_BYTES]) must_check;
/* One chunk of the fetch. 0: the model wanted is now held; > 0 enum model_condition with a sentence;
 * after _SHAPE and _HASH the fetch is over. */
int client_model_add_chunk(struct model *m, const Fed__ModelChunk *chunk, struct err *e) must_check;

/* Adds the packed integer sum. 0: the new model is held and has the hash `expected`; > 0 _CANARY or
 * _HASH with a sentence: the old model stays. -ENOMEM. */
int client_model_apply(struct model *m, const struct quantiser *z, const uint8_t *sum,
    const uint8_t expected[SHA256_BYTES], struct err *e) must_check;
