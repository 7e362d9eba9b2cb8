/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes of file descriptors: short ones are continued, EINTR is retried. */
#pragma once

#include "common/err.h"

#include <stdint.h>

/* Bytes read (less than `len` only at the end of the file), or -errno. */
int64_t file_read_at(int fd, void *out, size_t len, uint64_t offset) must_check;
/* All `len` bytes, or -errno. */
int file_write_at(int fd, const void *data, size_t len, uint64_t offset) must_check;
/* Overwrites the first `len` bytes with zeros. */
int file_zero(int fd, uint64_t len) must_check;
