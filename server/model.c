/* SPDX-License-Identifier: Apache-2.0 */
#include "server/model.h"

#include "common/checkpoint.h"
#include "common/util.h"
#include "proto/fed.h"
#include "proto/fed.pb-c.h"

#include <errno.h>

/* Weights are sent as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "doubles must be little-endian");

void model_init(struct model *m, double *weights, uint32_t parameters)
{
    size_t bytes = parameters * sizeof(*weights);
    *m = (struct model){.weights = weights,
        .parameters = parameters,
        .n_chunks = (uint32_t)((bytes + MODEL_CHUNK_BYTES - 1) / MODEL_CHUNK_BYTES)};
    checkpoint_model_hash(m->hash, weights, parameters);
}

static void drop_chunks(struct model *m)
{
    for (uint32_t i = 0; m->chunks && i < m->n_chunks; i++)
        blob_unref(m->chunks[i]);
    free(m->chunks);
    m->chunks = NULL;
}

void model_deinit(struct model *m)
{
    drop_chunks(m);
    free(m->weights);
    *m = (struct model){0};
}

static struct blob *pack_chunk(struct model *m, uint32_t index)
{
    size_t bytes = m->parameters * sizeof(*m->weights);
    size_t offset = index * MODEL_CHUNK_BYTES;
    Fed__ModelChunk chunk = FED__MODEL_CHUNK__INIT;
    chunk.model_hash = (ProtobufCBinaryData){SHA256_BYTES, m->hash};
    chunk.index = index;
    chunk.count = m->n_chunks;
    chunk.data = (ProtobufCBinaryData){
        MIN(MODEL_CHUNK_BYTES, bytes - offset), (uint8_t *)m->weights + offset};
    return codec_pack(&chunk.base);
}

static int pack_chunks(struct model *m)
{
    m->chunks = calloc(m->n_chunks, sizeof(*m->chunks));
    if (!m->chunks)
        return -ENOMEM;
    for (uint32_t i = 0; i < m->n_chunks; i++) {
        m->chunks[i] = pack_chunk(m, i);
        if (!m->chunks[i]) {
            drop_chunks(m);
            return -ENOMEM;
        }
    }
    return 0;
}

int model_send(struct model *m, uint32_t conn, struct update *u)
{
    int r = m->chunks ? 0 : pack_chunks(m);
    for (uint32_t i = 0; r == 0 && i < m->n_chunks; i++)
        r = update_send(u, conn, FED_MODEL_CHUNK, blob_ref(m->chunks[i]));
    return r;
}
