/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/blockfile.h"

#include "common/hex.h"
#include "common/secret.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>

#define FOLDER "blocks/"
#define SEALED (BLOCKFILE_CHUNK + SEAL_TAG_BYTES)
#define CHUNKS (BLOCKFILE_SEGMENT / BLOCKFILE_CHUNK)
#define HEAD   64 /* the wrapped key, padded */
#define STRIDE ((uint64_t)17 * 4096)

_Static_assert(HEAD >= SEAL_WRAPPED_BYTES, "the wrapped key fits");
_Static_assert(HEAD + CHUNKS * SEALED <= STRIDE, "a segment fits");
_Static_assert(BLOCKFILE_CHUNK <= SEAL_SCRATCH, "a chunk can be opened");

void blockfile_name(const struct blockfile *b, char name[DISK_NAME_MAX])
{
    char stream[2 * ENTRY_ID_BYTES + 1];
    char id[2 * ENTRY_ID_BYTES + 1];
    hex_encode(stream, b->mask_stream, ENTRY_ID_BYTES);
    hex_encode(id, b->id, ENTRY_ID_BYTES);
    snprintf(name, DISK_NAME_MAX, FOLDER "%s-%s", stream, id);
}

bool blockfile_parse_name(
    const char *name, uint8_t mask_stream[ENTRY_ID_BYTES], uint8_t id[ENTRY_ID_BYTES])
{
    const size_t digits = 2 * (size_t)ENTRY_ID_BYTES;
    const char *p = name + strlen(FOLDER);
    if (strncmp(name, FOLDER, strlen(FOLDER)) != 0 || strlen(p) != 2 * digits + 1 ||
        p[digits] != '-')
        return false;
    return hex_decode(mask_stream, ENTRY_ID_BYTES, p, digits) &&
           hex_decode(id, ENTRY_ID_BYTES, p + digits + 1, digits);
}

/* Additional data of a chunk: pair, block, offset in the block. */
struct place {
    uint8_t bytes[2 * ENTRY_ID_BYTES + 8];
    struct seal_place at;
};

static void place_of(const struct blockfile *b, uint64_t offset, struct place *p)
{
    memcpy(p->bytes, b->mask_stream, ENTRY_ID_BYTES);
    memcpy(p->bytes + ENTRY_ID_BYTES, b->id, ENTRY_ID_BYTES);
    put_u64le(p->bytes + 2 * ENTRY_ID_BYTES, offset);
    p->at = (struct seal_place){
        offset % BLOCKFILE_SEGMENT / BLOCKFILE_CHUNK, p->bytes, sizeof(p->bytes)};
}

static size_t chunk_len(const struct blockfile *b, uint64_t chunk_offset)
{
    return (size_t)MIN((uint64_t)BLOCKFILE_CHUNK, b->len - chunk_offset);
}

/* Where the chunk that begins at `offset` of the block lies in the file. */
static uint64_t chunk_position(uint64_t offset)
{
    uint64_t segment = offset / BLOCKFILE_SEGMENT;
    uint64_t chunk = offset % BLOCKFILE_SEGMENT / BLOCKFILE_CHUNK;
    return segment * STRIDE + HEAD + chunk * SEALED;
}

static int write_segment(struct disk *disk, struct seal *seal, const struct blockfile *b,
    const char *name, const uint8_t *key, uint64_t first)
{
    uint8_t sealed[STRIDE];
    memset(sealed, 0, HEAD);
    seal_begin(seal, sealed);
    uint64_t end = MIN(first + BLOCKFILE_SEGMENT, b->len);
    size_t used = HEAD;
    for (uint64_t offset = first; offset < end; offset += BLOCKFILE_CHUNK) {
        struct place p;
        place_of(b, offset, &p);
        seal_chunk(seal, &p.at, key + offset, chunk_len(b, offset), sealed + used);
        used += chunk_len(b, offset) + SEAL_TAG_BYTES;
    }
    return disk_write(disk, name, first / BLOCKFILE_SEGMENT * STRIDE, sealed, used);
}

int blockfile_write(
    struct disk *disk, struct seal *seal, const struct blockfile *b, const uint8_t *key)
{
    char name[DISK_NAME_MAX];
    blockfile_name(b, name);
    for (uint64_t first = 0; first < b->len; first += BLOCKFILE_SEGMENT) {
        int r = write_segment(disk, seal, b, name, key, first);
        if (r < 0)
            return r;
    }
    return disk_sync(disk, name);
}

/* Reads exactly `len` bytes; SEAL_E_BROKEN if the file is shorter or gone. */
static int read_exactly(struct disk *disk, const char *name, uint64_t at, uint8_t *out, size_t len)
{
    int64_t got = disk_read(disk, name, at, out, len);
    if (got == -ENOENT)
        return SEAL_E_BROKEN;
    if (got < 0)
        return (int)got;
    return (size_t)got == len ? 0 : SEAL_E_BROKEN;
}

static int resume_segment(struct disk *disk, struct seal *seal, const char *name, uint64_t offset)
{
    uint8_t wrapped[SEAL_WRAPPED_BYTES];
    int r = read_exactly(disk, name, offset / BLOCKFILE_SEGMENT * STRIDE, wrapped, sizeof(wrapped));
    return r == 0 ? seal_resume(seal, wrapped) : r;
}

static int open_chunk(struct disk *disk, struct seal *seal, const struct blockfile *b,
    const char *name, uint64_t first, uint8_t *plain)
{
    uint8_t sealed[SEALED];
    size_t len = chunk_len(b, first);
    struct place p;
    place_of(b, first, &p);
    int r = read_exactly(disk, name, chunk_position(first), sealed, len + SEAL_TAG_BYTES);
    return r == 0 ? seal_open(seal, &p.at, sealed, len, plain) : r;
}

int blockfile_read(struct disk *disk, struct seal *seal, const struct blockfile *b, uint64_t offset,
    uint8_t *out, size_t len)
{
    char name[DISK_NAME_MAX];
    blockfile_name(b, name);
    uint8_t *chunk = seal_scratch(seal);
    int r = 0;
    uint64_t resumed = UINT64_MAX;
    while (r == 0 && len > 0) {
        uint64_t first = offset / BLOCKFILE_CHUNK * BLOCKFILE_CHUNK;
        if (offset / BLOCKFILE_SEGMENT != resumed)
            r = resume_segment(disk, seal, name, offset);
        resumed = offset / BLOCKFILE_SEGMENT;
        if (r == 0)
            r = open_chunk(disk, seal, b, name, first, chunk);
        if (r != 0)
            break;
        size_t n = MIN(len, chunk_len(b, first) - (size_t)(offset - first));
        memcpy(out, chunk + (offset - first), n);
        out += n;
        offset += n;
        len -= n;
    }
    secret_wipe(chunk, BLOCKFILE_CHUNK);
    return r;
}

int blockfile_wipe(struct disk *disk, const struct blockfile *b, uint64_t *wiped, uint64_t end)
{
    static const uint8_t zeros[STRIDE];
    char name[DISK_NAME_MAX];
    blockfile_name(b, name);
    uint64_t first = *wiped / BLOCKFILE_SEGMENT;
    uint64_t last = MIN(end, b->len) / BLOCKFILE_SEGMENT;
    if (last <= first)
        return 0;
    for (uint64_t i = first; i < last; i++) {
        int r = disk_write(disk, name, i * STRIDE, zeros, sizeof(zeros));
        if (r < 0)
            return r;
    }
    *wiped = last * BLOCKFILE_SEGMENT;
    return disk_sync(disk, name);
}

int blockfile_erase(struct disk *disk, const struct blockfile *b)
{
    char name[DISK_NAME_MAX];
    blockfile_name(b, name);
    return disk_erase(disk, name);
}
