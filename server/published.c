/* SPDX-License-Identifier: Apache-2.0 */
#include "server/published.h"

#include "common/util.h"
#include "common/words.h"
#include "proto/fed.pb-c.h"

#include <errno.h>

void store_published_deinit(struct store_published *p)
{
    blob_unref(p->sum);
    free(p->sites);
    *p = (struct store_published){0};
}

void published_deinit(struct published *p)
{
    for (uint32_t i = 0; p->chunks && i < p->n_chunks; i++)
        blob_unref(p->chunks[i]);
    free(p->chunks);
    blob_unref(p->head);
    store_published_deinit(&p->result);
    *p = (struct published){0};
}

static struct blob *pack_head(
    struct store_published *result, const uint8_t run[FED_RUN_BYTES], uint32_t chunks)
{
    Fed__Result head = FED__RESULT__INIT;
    head.run = (ProtobufCBinaryData){FED_RUN_BYTES, (uint8_t *)run};
    head.round = result->round;
    head.attempt = result->attempt;
    head.model_hash = (ProtobufCBinaryData){SHA256_BYTES, result->model_hash};
    head.base_hash = (ProtobufCBinaryData){SHA256_BYTES, result->base_hash};
    head.digest = (ProtobufCBinaryData){SHA256_BYTES, result->digest};
    head.participants = result->participants;
    head.chunks = chunks;
    return codec_pack(&head.base);
}

static struct blob *pack_chunk(
    const struct store_published *result, const struct quantiser *z, uint32_t index)
{
    Fed__ResultChunk chunk = FED__RESULT_CHUNK__INIT;
    chunk.attempt = result->attempt;
    chunk.index = index;
    chunk.data = (ProtobufCBinaryData){
        quantiser_chunk_bytes(z, index), result->sum->data + quantiser_chunk_offset(z, index)};
    return codec_pack(&chunk.base);
}

int published_init(struct published *p, const uint8_t run[FED_RUN_BYTES],
    struct store_published *result, const struct quantiser *z)
{
    *p = (struct published){.result = *result, .n_chunks = quantiser_chunks(z)};
    *result = (struct store_published){0};
    int r = -EINVAL;
    if (p->result.sum->len != words_bytes(quantiser_words(z), z->q))
        goto fail;
    r = -ENOMEM;
    p->head = pack_head(&p->result, run, p->n_chunks);
    p->chunks = calloc(p->n_chunks, sizeof(*p->chunks));
    if (!p->head || !p->chunks)
        goto fail;
    for (uint32_t i = 0; i < p->n_chunks; i++) {
        p->chunks[i] = pack_chunk(&p->result, z, i);
        if (!p->chunks[i])
            goto fail;
    }
    return 0;
fail:
    published_deinit(p);
    return r;
}

int published_send(const struct published *p, uint32_t conn, struct update *u)
{
    int r = update_send(u, conn, FED_RESULT, blob_ref(p->head));
    for (uint32_t i = 0; r == 0 && i < p->n_chunks; i++)
        r = update_send(u, conn, FED_RESULT_CHUNK, blob_ref(p->chunks[i]));
    return r;
}

void published_digest(uint8_t out[SHA256_BYTES], const uint8_t previous[SHA256_BYTES],
    const uint8_t run[FED_RUN_BYTES], const struct store_published *result)
{
    uint8_t round[8];
    uint8_t attempt[8];
    put_u64le(round, result->round);
    put_u64le(attempt, result->attempt);
    const struct sha256_part parts[] = {
        {previous, SHA256_BYTES},
        {run, FED_RUN_BYTES},
        {round, sizeof(round)},
        {attempt, sizeof(attempt)},
        {result->base_hash, SHA256_BYTES},
        {result->model_hash, SHA256_BYTES},
    };
    sha256_parts(out, parts, ARRAY_SIZE(parts));
}
