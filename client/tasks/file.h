/* SPDX-License-Identifier: Apache-2.0 */
/* Whole data files in memory, plain or gzip, with a limit on what comes out. */
#pragma once

#include "common/buf.h"

/* Reads `path`, unpacking it if it is gzip. -ENOENT, -EFBIG (more than `limit` bytes), -EBADMSG
 * (broken gzip) or -EIO with a sentence that names the file. */
int file_read(struct buf *out, const char *path, size_t limit, struct err *e) must_check;

/* The first of <dir>/<name>, <dir>/<name>.gz, <dir>/<folder>/<name>, <dir>/<folder>/<name>.gz that
 * exists; -ENOENT with a sentence that says where it was looked for. */
int file_find(char *path, size_t size, const char *dir, const char *folder, const char *name,
    struct err *e) must_check;
