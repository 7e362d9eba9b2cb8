/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/boot_seed.h"

#include "common/sha256.h"
#include "common/util.h"

#include <errno.h>

#define BOOTS_FILE  "boots"
#define BOOTS_BYTES (8 + SHA256_BYTES) /* count, its hash */

static void seal(uint8_t record[BOOTS_BYTES], uint64_t boots)
{
    put_u64le(record, boots);
    sha256(record + 8, record, 8);
}

static int read_boots(struct disk *disk, uint64_t *boots, struct err *e)
{
    uint8_t record[BOOTS_BYTES + 1];
    uint8_t expected[BOOTS_BYTES];
    *boots = 0;
    int64_t n = disk_read(disk, BOOTS_FILE, 0, record, sizeof(record));
    if (n == -ENOENT)
        return 0;
    if (n < 0)
        return err_set(e, (int)n, "the counter of starts cannot be read: %s", strerror((int)-n));
    *boots = n >= 8 ? get_u64le(record) : 0;
    seal(expected, *boots);
    if (n != BOOTS_BYTES || memcmp(record, expected, BOOTS_BYTES) != 0)
        return err_set(e, -EBADMSG,
            "the counter of starts is damaged: going on could repeat keys; configure a new seed "
            "and remove the file \"" BOOTS_FILE "\"");
    return 0;
}

int boot_seed_next(struct disk *disk, const uint8_t configured[RNG_SEED_BYTES],
    uint8_t out[RNG_SEED_BYTES], struct err *e)
{
    uint64_t boots;
    uint8_t record[BOOTS_BYTES];
    int r = read_boots(disk, &boots, e);
    if (r < 0)
        return r;
    seal(record, boots + 1);
    r = disk_replace(disk, BOOTS_FILE, record, sizeof(record));
    if (r < 0)
        return err_set(e, r, "the counter of starts cannot be written: %s", strerror(-r));
    rng_derive(out, configured, "qfl simulator boot", boots + 1, 0);
    return 0;
}
