/* SPDX-License-Identifier: Apache-2.0 */
/* The global model: its weights, its hash, and its chunks as messages, packed once for all clients. */
#pragma once

#include "common/machine.h"
#include "common/sha256.h"

#define MODEL_CHUNK_BYTES ((size_t)512 * 1024) /* of doubles, in one MODEL_CHUNK */

struct model {
    double *weights; /* owned */
    uint32_t parameters;
    uint8_t hash[SHA256_BYTES]; /* checkpoint_model_hash */
    struct blob **chunks;       /* owned; NULL until somebody asked for them */
    uint32_t n_chunks;
};

/* Takes the weights. */
void model_init(struct model *m, double *weights, uint32_t parameters);
void model_deinit(struct model *m);

/* Queues all chunks for one client. */
int model_send(struct model *m, uint32_t conn, struct update *u) must_check;
