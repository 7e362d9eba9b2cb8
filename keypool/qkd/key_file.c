/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/key_file.h"

#include "common/sha256.h"
#include "common/util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define AT_FLAGS  8
#define AT_BLOCK  12
#define AT_BLOCKS 16
#define AT_ID     24
#define AT_SITES  40
#define AT_ZEROS  168
#define AT_HASH   224

#define SIMULATED  1
#define BLOCKS_MAX ((uint64_t)1 << 32)
#define ERASE_STEP ((size_t)64 * 1024)

static const uint8_t magic[8] = {'Q', 'F', 'L', 'K', 'E', 'Y', 'S', '1'};

/* ---- header ------------------------------------------------------------------------------- */

static void encode(uint8_t out[KEY_FILE_HEADER], const struct key_file *f)
{
    memset(out, 0, KEY_FILE_HEADER);
    memcpy(out, magic, sizeof(magic));
    put_u32le(out + AT_FLAGS, f->simulated ? SIMULATED : 0);
    put_u32le(out + AT_BLOCK, f->block_bytes);
    put_u64le(out + AT_BLOCKS, f->blocks);
    memcpy(out + AT_ID, f->id, KEY_FILE_ID_BYTES);
    for (size_t i = 0; i < 2; i++)
        snprintf(
            (char *)out + AT_SITES + i * sizeof(f->site[i]), sizeof(f->site[i]), "%s", f->site[i]);
    sha256(out + AT_HASH, out, AT_HASH);
}

static int decode(const uint8_t in[KEY_FILE_HEADER], struct key_file *f, struct err *e)
{
    uint8_t again[KEY_FILE_HEADER];
    if (memcmp(in, magic, sizeof(magic)) != 0)
        return err_set(e, -EBADMSG, "it is no file of recorded keys");
    f->simulated = get_u32le(in + AT_FLAGS) & SIMULATED;
    f->block_bytes = get_u32le(in + AT_BLOCK);
    f->blocks = get_u64le(in + AT_BLOCKS);
    memcpy(f->id, in + AT_ID, KEY_FILE_ID_BYTES);
    memcpy(f->site, in + AT_SITES, sizeof(f->site));
    f->site[0][SITE_NAME_MAX] = f->site[1][SITE_NAME_MAX] = 0;
    encode(again, f);
    if (memcmp(in, again, KEY_FILE_HEADER) != 0)
        return err_set(e, -EBADMSG, "its header is damaged or of another version");
    return 0;
}

static int check(const struct key_file *f, struct err *e)
{
    if (f->block_bytes == 0 || f->block_bytes > KEY_FILE_BLOCK_MAX)
        return err_set(e, -EBADMSG, "blocks of %u bytes; 1 to %u are allowed", f->block_bytes,
            KEY_FILE_BLOCK_MAX);
    if (f->blocks == 0 || f->blocks > BLOCKS_MAX)
        return err_set(
            e, -EBADMSG, "%" PRIu64 " blocks; 1 to %" PRIu64 " are allowed", f->blocks, BLOCKS_MAX);
    if (!f->site[0][0] || strcmp(f->site[0], f->site[1]) >= 0)
        return err_set(e, -EBADMSG, "the sites are not two names in order");
    return 0;
}

static uint64_t offset(const struct key_file *f, uint64_t index)
{
    return KEY_FILE_HEADER + index * f->block_bytes;
}

int key_file_open(struct disk *disk, const char *name, struct key_file *out, struct err *e)
{
    uint8_t header[KEY_FILE_HEADER];
    *out = (struct key_file){0};
    int64_t n = disk_read(disk, name, 0, header, sizeof(header));
    if (n < 0)
        return err_set(e, (int)n, "%s: %s", name, strerror((int)-n));
    int r = n == KEY_FILE_HEADER ? decode(header, out, e)
                                 : err_set(e, -EBADMSG, "it is no file of recorded keys");
    if (r == 0)
        r = check(out, e);
    if (r == 0 && disk_size(disk, name) != (int64_t)offset(out, out->blocks))
        r = err_set(e, -EBADMSG, "it is not %" PRIu64 " blocks long", out->blocks);
    return r < 0 ? err_wrap(e, r, "%s", name) : 0;
}

/* ---- blocks ------------------------------------------------------------------------------- */

int key_file_put(struct disk *disk, const char *name, const struct key_file *f, uint64_t index,
    const uint8_t *block)
{
    return disk_write(disk, name, offset(f, index), block, f->block_bytes);
}

int key_file_seal(struct disk *disk, const char *name, const struct key_file *f, struct err *e)
{
    uint8_t header[KEY_FILE_HEADER];
    int r = check(f, e);
    if (r < 0)
        return err_wrap(e, r, "%s", name);
    encode(header, f);
    r = disk_write(disk, name, 0, header, sizeof(header));
    if (r == 0)
        r = disk_sync(disk, name);
    return r < 0 ? err_set(e, r, "%s: %s", name, strerror(-r)) : 0;
}

int key_file_read(
    struct disk *disk, const char *name, const struct key_file *f, uint64_t index, uint8_t *out)
{
    int64_t n = disk_read(disk, name, offset(f, index), out, f->block_bytes);
    if (n < 0)
        return (int)n;
    return n == f->block_bytes ? 0 : -EBADMSG;
}

int key_file_erase(
    struct disk *disk, const char *name, const struct key_file *f, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[ERASE_STEP];
    uint64_t end = offset(f, to);
    for (uint64_t at = offset(f, from); at < end; at += ERASE_STEP) {
        int r = disk_write(disk, name, at, zeros, MIN(ERASE_STEP, end - at));
        if (r < 0)
            return r;
    }
    return disk_sync(disk, name);
}

void key_file_block_id(const struct key_file *f, uint64_t index, uint8_t out[SOURCE_BLOCK_ID_BYTES])
{
    static const char label[] = "qfl recorded block";
    uint8_t number[8];
    uint8_t hash[SHA256_BYTES];
    put_u64le(number, index);
    const struct sha256_part parts[] = {
        {label, sizeof(label) - 1}, {f->id, sizeof(f->id)}, {number, sizeof(number)}};
    sha256_parts(hash, parts, ARRAY_SIZE(parts));
    memcpy(out, hash, SOURCE_BLOCK_ID_BYTES);
}
