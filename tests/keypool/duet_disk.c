/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/duet_disk.h"

static struct duet_disk *of(struct disk *d)
{
    return (struct duet_disk *)d;
}

/* Calls the real operation outside of the pool's code. */
#define PASS_ON(d, call)                                                                           \
    ({                                                                                             \
        of(d)->leave(of(d)->arg, true);                                                            \
        __auto_type result_ = call;                                                                \
        of(d)->leave(of(d)->arg, false);                                                           \
        result_;                                                                                   \
    })

static int64_t pass_read(struct disk *d, const char *name, uint64_t offset, void *out, size_t len)
{
    return PASS_ON(d, disk_read(of(d)->real, name, offset, out, len));
}

static int64_t pass_size(struct disk *d, const char *name)
{
    return PASS_ON(d, disk_size(of(d)->real, name));
}

static int pass_write(
    struct disk *d, const char *name, uint64_t offset, const void *data, size_t len)
{
    return PASS_ON(d, disk_write(of(d)->real, name, offset, data, len));
}

static int pass_sync(struct disk *d, const char *name)
{
    return PASS_ON(d, disk_sync(of(d)->real, name));
}

static int pass_replace(struct disk *d, const char *name, const void *data, size_t len)
{
    return PASS_ON(d, disk_replace(of(d)->real, name, data, len));
}

static int pass_erase(struct disk *d, const char *name)
{
    return PASS_ON(d, disk_erase(of(d)->real, name));
}

static int pass_list(
    struct disk *d, const char *prefix, int (*each)(void *arg, const char *name), void *arg)
{
    return PASS_ON(d, disk_list(of(d)->real, prefix, each, arg));
}

static const struct disk_ops ops = {
    .read = pass_read,
    .size = pass_size,
    .write = pass_write,
    .sync = pass_sync,
    .replace = pass_replace,
    .erase = pass_erase,
    .list = pass_list,
};

void duet_disk_init(
    struct duet_disk *d, struct disk *real, void (*leave)(void *arg, bool left), void *arg)
{
    *d = (struct duet_disk){{&ops}, real, leave, arg};
}
