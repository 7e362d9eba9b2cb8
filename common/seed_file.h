/* SPDX-License-Identifier: Apache-2.0 */
/* 32 secret bytes in a file of mode 0600: a client's seed, a vault's key-encryption key. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define SEED_FILE_BYTES 32

/* Reads the file; with `create`, makes it from the system's randomness if it is not there. -ENOENT;
 * -EACCES if others may read it, -EBADMSG if it is not 32 bytes long; all with a sentence. */
int seed_file_load(
    const char *path, bool create, uint8_t out[SEED_FILE_BYTES], struct err *e) must_check;
