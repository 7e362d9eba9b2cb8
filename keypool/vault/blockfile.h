/* SPDX-License-Identifier: Apache-2.0 */
/* A block of key on the disk: segments of 64 KiB, each sealed under its own data key.
 *
 * File `blocks/<mask stream>-<block id>`. Segment i holds bytes [i 64 KiB, (i + 1) 64 KiB) of the
 * block in 17 sectors of 4 KiB: the wrapped data key, then chunks of 4 KiB with their tags. The file
 * is written once, when the block is ingested, and stays where it is when the block is confirmed: the
 * journal says which bytes of it belong to which stream. Segments are overwritten with zeros in order
 * as the cursor passes; the file goes with the last.
 */
#pragma once

#include "common/disk.h"
#include "keypool/vault/ledger.h"
#include "keypool/vault/seal.h"

#define BLOCKFILE_SEGMENT ((uint64_t)64 * 1024)
#define BLOCKFILE_CHUNK   4096

/* Which block of which pair. */
struct blockfile {
    const uint8_t *mask_stream;
    const uint8_t *id;
    uint64_t len;
};

void blockfile_name(const struct blockfile *b, char name[DISK_NAME_MAX]);
/* The ids in a file's name; false if it is no block's. */
bool blockfile_parse_name(
    const char *name, uint8_t mask_stream[ENTRY_ID_BYTES], uint8_t id[ENTRY_ID_BYTES]);

/* Durable when it returns 0. `key` holds b->len bytes. */
int blockfile_write(
    struct disk *disk, struct seal *seal, const struct blockfile *b, const uint8_t *key) must_check;

/* `out` (len bytes) is inside a struct secret or a frame. SEAL_E_BROKEN if a chunk was altered. */
int blockfile_read(struct disk *disk, struct seal *seal, const struct blockfile *b, uint64_t offset,
    uint8_t *out, size_t len) must_check;

/* Destroys the segments that lie wholly in bytes [*wiped, end), durably, and moves *wiped on. */
int blockfile_wipe(
    struct disk *disk, const struct blockfile *b, uint64_t *wiped, uint64_t end) must_check;
int blockfile_erase(struct disk *disk, const struct blockfile *b) must_check;
