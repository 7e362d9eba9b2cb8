/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/file.h"

#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#define FILE_PIECE 65536

/* gzread passes plain files through. */
static int read_all(struct buf *out, gzFile file, const char *path, size_t limit, struct err *e)
{
    for (;;) {
        if (buf_reserve(out, FILE_PIECE) < 0)
            return err_set(e, -ENOMEM, "%s: no memory", path);
        int n = gzread(file, out->data + out->len, FILE_PIECE);
        if (n < 0)
            return err_set(e, -EBADMSG, "%s: broken gzip file", path);
        if (n == 0)
            return 0;
        out->len += (size_t)n;
        if (out->len > limit)
            return err_set(e, -EFBIG, "%s: larger than %zu bytes", path, limit);
    }
}

int file_read(struct buf *out, const char *path, size_t limit, struct err *e)
{
    errno = 0;
    gzFile file = gzopen(path, "rbe");
    if (!file) {
        int code = errno ? -errno : -ENOMEM;
        return err_set(e, code, "%s: %s", path, strerror(-code));
    }
    *out = (struct buf){0};
    int r = read_all(out, file, path, limit, e);
    /* A truncated gzip file is only noticed when it is closed. */
    if (gzclose(file) != Z_OK && r == 0)
        r = err_set(e, -EBADMSG, "%s: truncated gzip file", path);
    if (r < 0)
        buf_deinit(out);
    return r;
}

int file_find(
    char *path, size_t size, const char *dir, const char *folder, const char *name, struct err *e)
{
    static const char *const endings[] = {"", ".gz"};
    if (!dir)
        return err_set(
            e, -ENOENT, "no data directory: name one with --data DIR or QFL_DATA (for %s)", name);
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, size, "%s/%s%s%s%s", dir, i < 2 ? "" : folder, i < 2 ? "" : "/", name,
            endings[i % 2]);
        if (access(path, R_OK) == 0)
            return 0;
    }
    return err_set(
        e, -ENOENT, "%s/%s: no such file, nor in %s/%s, plain or .gz", dir, name, dir, folder);
}
