/* SPDX-License-Identifier: Apache-2.0 */
/* A file of recorded keys, carried by hand to both ends of a link.
 *
 * Byte for byte, numbers little-endian:
 *
 *        0  8   "QFLKEYS1"
 *        8  4   flags: bit 0, the key is SIMULATED; others 0
 *       12  4   bytes per block, 1 to 4 MiB
 *       16  8   number of blocks, at least 1
 *       24  16  id of the file: random, the same at both ends
 *       40  64  site with the smaller name, padded with zeros
 *      104  64  site with the larger name
 *      168  56  zeros
 *      224  32  SHA-256 of bytes 0 to 223
 *      256      the blocks
 *
 * The name of a block is SHA-256 over the file's id and its index, cut to 16 bytes: never a function
 * of key bytes. Used blocks are overwritten with zeros (which does not erase flash: say so). Mode
 * 0600, as struct disk makes them.
 */
#pragma once

#include "common/disk.h"
#include "common/machine.h"
#include "keypool/qkd/source.h"

#define KEY_FILE_HEADER    256
#define KEY_FILE_ID_BYTES  16
#define KEY_FILE_BLOCK_MAX ((uint32_t)4 * 1024 * 1024)

struct key_file {
    uint8_t id[KEY_FILE_ID_BYTES];
    char site[2][SITE_NAME_MAX + 1]; /* in the order of their names */
    uint32_t block_bytes;
    uint64_t blocks;
    bool simulated;
};

/* Writing: all blocks first, then the header, which makes the file valid and durable. */
int key_file_put(struct disk *disk, const char *name, const struct key_file *f, uint64_t index,
    const uint8_t *block) must_check;
int key_file_seal(
    struct disk *disk, const char *name, const struct key_file *f, struct err *e) must_check;

/* -EBADMSG with a sentence if it is no such file, or cut off; other -errno with a sentence. */
int key_file_open(
    struct disk *disk, const char *name, struct key_file *out, struct err *e) must_check;
int key_file_read(struct disk *disk, const char *name, const struct key_file *f, uint64_t index,
    uint8_t *out) must_check;
/* Overwrites blocks [from, to) with zeros, durably. */
int key_file_erase(struct disk *disk, const char *name, const struct key_file *f, uint64_t from,
    uint64_t to) must_check;

void key_file_block_id(
    const struct key_file *f, uint64_t index, uint8_t out[SOURCE_BLOCK_ID_BYTES]);
