/* SPDX-License-Identifier: Apache-2.0 */
/* What a core needs of a directory, as an interface: so that the simulator can lose, tear and crash
 * every write (tests/sim), and the daemons use files (common/disk_posix.c).
 *
 * Names are flat or have one folder level ("segments/0a1b...-12"), never start with '/' or hold
 * "..". A write is not durable until sync, replace or erase of that name returned 0. Every error is
 * a -errno and fatal: after a failed sync nothing may be acknowledged and the process ends; fsync
 * errors are never retried. All calls are synchronous.
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define DISK_NAME_MAX 120

struct disk;

struct disk_ops {
    /* Reads up to `len` bytes at `offset`; returns the bytes read (less at the end) or -errno;
     * -ENOENT if the name does not exist. */
    int64_t (*read)(struct disk *d, const char *name, uint64_t offset, void *out, size_t len);
    /* Size in bytes, or -ENOENT. */
    int64_t (*size)(struct disk *d, const char *name);
    /* Writes at `offset`, creating the file (mode 0600) if need be. Not durable. */
    int (*write)(struct disk *d, const char *name, uint64_t offset, const void *data, size_t len);
    /* Makes all earlier writes to `name`, and its existence, durable. */
    int (*sync)(struct disk *d, const char *name);
    /* The whole file becomes exactly these bytes, durably and atomically: old or new, never a mix. */
    int (*replace)(struct disk *d, const char *name, const void *data, size_t len);
    /* Overwrites with zeros, syncs, unlinks, syncs the directory. 0 also if it does not exist. */
    int (*erase)(struct disk *d, const char *name);
    /* Calls `each` for every name below `prefix` ("" for all, "segments/" for a folder), in no
     * particular order; a non-zero return of `each` ends the walk and is returned. */
    int (*list)(
        struct disk *d, const char *prefix, int (*each)(void *arg, const char *name), void *arg);
};

struct disk {
    const struct disk_ops *ops;
};

static inline int64_t must_check disk_read(
    struct disk *d, const char *name, uint64_t offset, void *out, size_t len)
{
    return d->ops->read(d, name, offset, out, len);
}
static inline int64_t must_check disk_size(struct disk *d, const char *name)
{
    return d->ops->size(d, name);
}
static inline int must_check disk_write(
    struct disk *d, const char *name, uint64_t offset, const void *data, size_t len)
{
    return d->ops->write(d, name, offset, data, len);
}
static inline int must_check disk_sync(struct disk *d, const char *name)
{
    return d->ops->sync(d, name);
}
static inline int must_check disk_replace(
    struct disk *d, const char *name, const void *data, size_t len)
{
    return d->ops->replace(d, name, data, len);
}
static inline int must_check disk_erase(struct disk *d, const char *name)
{
    return d->ops->erase(d, name);
}
static inline int must_check disk_list(
    struct disk *d, const char *prefix, int (*each)(void *arg, const char *name), void *arg)
{
    return d->ops->list(d, prefix, each, arg);
}
