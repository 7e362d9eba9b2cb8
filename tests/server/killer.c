/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/server/killer.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#define KINDS 4 /* of files: SQLite has a table of methods for each */

/* The layer keeps SQLite's own files and swaps their table of methods for one that counts. */
static struct {
    uint64_t left; /* 0: not armed */
    bool torn;
    sqlite3_vfs vfs;
    sqlite3_vfs *below;
    struct kind {
        const sqlite3_io_methods *below;
        sqlite3_io_methods counting;
    } kinds[KINDS];
    struct disk_ops ops;
    struct disk disk;
    struct disk *disk_below;
} killer;

static bool is_last(void)
{
    return killer.left > 0 && --killer.left == 0;
}

static void count(void)
{
    if (is_last())
        _exit(KILLER_STATUS);
}

void killer_arm(uint64_t n, bool torn)
{
    killer.left = n;
    killer.torn = torn;
}

/* ---- SQLite ---------------------------------------------------------------------------------- */

static const sqlite3_io_methods *below(const sqlite3_file *f)
{
    for (size_t i = 0; i < KINDS; i++)
        if (f->pMethods == &killer.kinds[i].counting)
            return killer.kinds[i].below;
    abort();
}

static int on_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
    if (!is_last())
        return below(f)->xWrite(f, data, len, at);
    if (killer.torn)
        (void)below(f)->xWrite(f, data, len / 2, at);
    _exit(KILLER_STATUS);
}

static int on_sync(sqlite3_file *f, int flags)
{
    count();
    return below(f)->xSync(f, flags);
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    count();
    return below(f)->xTruncate(f, size);
}

static const sqlite3_io_methods *counting(const sqlite3_io_methods *methods)
{
    size_t i = 0;
    while (i < KINDS && killer.kinds[i].below && killer.kinds[i].below != methods)
        i++;
    if (i == KINDS)
        abort();
    struct kind *kind = &killer.kinds[i];
    kind->below = methods;
    kind->counting = *methods;
    kind->counting.xWrite = on_write;
    kind->counting.xSync = on_sync;
    kind->counting.xTruncate = on_truncate;
    return &kind->counting;
}

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    int code = killer.below->xOpen(killer.below, name, f, flags, out);
    if (code == SQLITE_OK && f->pMethods)
        f->pMethods = counting(f->pMethods);
    return code;
}

void killer_register(void)
{
    killer.below = sqlite3_vfs_find(NULL);
    killer.vfs = *killer.below;
    killer.vfs.zName = "killer";
    killer.vfs.pNext = NULL;
    killer.vfs.xOpen = on_open;
    sqlite3_vfs_register(&killer.vfs, 1);
}

/* ---- disk ------------------------------------------------------------------------------------ */

static int on_replace(struct disk *d, const char *name, const void *data, size_t len)
{
    count();
    return disk_replace(killer.disk_below, name, data, len);
}

static int on_erase(struct disk *d, const char *name)
{
    count();
    return disk_erase(killer.disk_below, name);
}

static int64_t on_read(struct disk *d, const char *name, uint64_t offset, void *out, size_t len)
{
    return disk_read(killer.disk_below, name, offset, out, len);
}

static int64_t on_size(struct disk *d, const char *name)
{
    return disk_size(killer.disk_below, name);
}

struct disk *killer_disk(struct disk *below)
{
    killer.disk_below = below;
    killer.ops = (struct disk_ops){
        .read = on_read, .size = on_size, .replace = on_replace, .erase = on_erase};
    killer.disk.ops = &killer.ops;
    return &killer.disk;
}
