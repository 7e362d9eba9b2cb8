/* SPDX-License-Identifier: Apache-2.0 */
#include "common/file_io.h"

#include "common/util.h"

#include <errno.h>
#include <unistd.h>

int64_t file_read_at(int fd, void *out, size_t len, uint64_t offset)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, (char *)out + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (int64_t)done;
}

int file_write_at(int fd, const void *data, size_t len, uint64_t offset)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pwrite(fd, (const char *)data + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO;
        done += (size_t)n;
    }
    return 0;
}

int file_zero(int fd, uint64_t len)
{
    static const uint8_t zeros[64 * 1024];
    for (uint64_t at = 0; at < len; at += sizeof(zeros)) {
        int r = file_write_at(fd, zeros, (size_t)MIN(len - at, sizeof(zeros)), at);
        if (r < 0)
            return r;
    }
    return 0;
}
