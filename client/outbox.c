/* SPDX-License-Identifier: Apache-2.0 */
#include "client/outbox.h"

#include "common/util.h"
#include "common/words.h"

#include <assert.h>
#include <errno.h>

#define MAGIC "qfloutb1"

enum {
    AT_RUN = 8,
    AT_ROUND = 24,
    AT_ATTEMPT = 32,
    AT_TRAINING = 40,
    AT_VIEW = 48,
    AT_MEMBERS = 80,
    AT_Q = 112,
    AT_PARTICIPANTS = 116,
    AT_PARAMETERS = 120,
    AT_CHUNK_WORDS = 124,
    AT_HASH = 128, /* over the header before it and the vector after it */
    AT_VECTOR = AT_HASH + SHA256_BYTES,
};

static uint64_t vector_bytes(const struct quantiser *shape)
{
    return words_bytes(quantiser_words(shape), shape->q);
}

int client_outbox_init(
    struct outbox *o, const struct outbox_label *label, const struct quantiser *shape)
{
    assert(!o->file.data);
    int r = secret_init(&o->file, AT_VECTOR + vector_bytes(shape));
    if (r < 0)
        return r;
    o->label = *label;
    o->shape = *shape;
    o->sealed = false;
    return 0;
}

void client_outbox_deinit(struct outbox *o)
{
    secret_deinit(&o->file);
    *o = (struct outbox){0};
}

uint8_t *client_outbox_vector(struct outbox *o)
{
    return o->file.data + AT_VECTOR;
}

static void outbox_hash(const struct outbox *o, uint8_t out[SHA256_BYTES])
{
    const struct sha256_part parts[] = {
        {o->file.data, AT_HASH},
        {o->file.data + AT_VECTOR, o->file.len - AT_VECTOR},
    };
    sha256_parts(out, parts, ARRAY_SIZE(parts));
}

static void outbox_encode_header(struct outbox *o)
{
    uint8_t *out = o->file.data;
    memcpy(out, MAGIC, AT_RUN);
    memcpy(out + AT_RUN, o->label.run, FED_RUN_BYTES);
    put_u64le(out + AT_ROUND, o->label.round);
    put_u64le(out + AT_ATTEMPT, o->label.attempt);
    put_u64le(out + AT_TRAINING, o->label.training);
    memcpy(out + AT_VIEW, o->label.view, SHA256_BYTES);
    memcpy(out + AT_MEMBERS, o->label.members, SHA256_BYTES);
    put_u32le(out + AT_Q, o->shape.q);
    put_u32le(out + AT_PARTICIPANTS, o->shape.participants);
    put_u32le(out + AT_PARAMETERS, o->shape.parameters);
    put_u32le(out + AT_CHUNK_WORDS, o->shape.chunk_words);
    outbox_hash(o, out + AT_HASH);
}

int client_outbox_seal(struct outbox *o, struct disk *disk)
{
    assert(o->file.data && !o->sealed);
    outbox_encode_header(o);
    int r = disk_replace(disk, OUTBOX_FILE, o->file.data, o->file.len);
    if (r < 0)
        return r;
    o->sealed = true;
    return 0;
}

static void outbox_decode_header(struct outbox *o)
{
    const uint8_t *in = o->file.data;
    memcpy(o->label.run, in + AT_RUN, FED_RUN_BYTES);
    o->label.round = get_u64le(in + AT_ROUND);
    o->label.attempt = get_u64le(in + AT_ATTEMPT);
    o->label.training = get_u64le(in + AT_TRAINING);
    memcpy(o->label.view, in + AT_VIEW, SHA256_BYTES);
    memcpy(o->label.members, in + AT_MEMBERS, SHA256_BYTES);
    o->shape = (struct quantiser){
        .q = get_u32le(in + AT_Q),
        .participants = get_u32le(in + AT_PARTICIPANTS),
        .parameters = get_u32le(in + AT_PARAMETERS),
        .chunk_words = get_u32le(in + AT_CHUNK_WORDS),
        .clip = 1,
    };
}

static bool outbox_is_whole(struct outbox *o)
{
    uint8_t hash[SHA256_BYTES];
    outbox_hash(o, hash);
    if (memcmp(o->file.data, MAGIC, AT_RUN) != 0 ||
        memcmp(hash, o->file.data + AT_HASH, SHA256_BYTES) != 0)
        return false;
    outbox_decode_header(o);
    return quantiser_check(&o->shape, NULL) == 0 &&
           o->file.len == AT_VECTOR + vector_bytes(&o->shape);
}

int client_outbox_load(struct outbox *o, struct disk *disk)
{
    assert(!o->file.data);
    int64_t size = disk_size(disk, OUTBOX_FILE);
    if (size == -ENOENT)
        return OUTBOX_E_NONE;
    if (size < 0)
        return (int)size;
    if (size < AT_VECTOR ||
        size > AT_VECTOR + (int64_t)words_bytes(2 * (uint64_t)FED_PARAMETERS_MAX, WORDS_Q_MAX))
        return OUTBOX_E_DAMAGED;
    int r = secret_init(&o->file, (size_t)size);
    if (r < 0)
        return r;
    int64_t n = disk_read(disk, OUTBOX_FILE, 0, o->file.data, o->file.len);
    if (n == size && outbox_is_whole(o)) {
        o->sealed = true;
        return 0;
    }
    client_outbox_deinit(o);
    return n < 0 ? (int)n : OUTBOX_E_DAMAGED;
}

int client_outbox_erase(struct outbox *o, struct disk *disk)
{
    int r = disk_erase(disk, OUTBOX_FILE);
    if (r < 0)
        return r;
    client_outbox_deinit(o);
    return 0;
}

const uint8_t *client_outbox_chunk(const struct outbox *o, uint32_t index, size_t *len)
{
    assert(o->sealed);
    *len = quantiser_chunk_bytes(&o->shape, index);
    return o->file.data + AT_VECTOR + quantiser_chunk_offset(&o->shape, index);
}
