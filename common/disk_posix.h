/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of real files behind struct disk (see common/disk.h). */
#pragma once

#include "common/disk.h"

/* Opens (and creates, mode 0700) the directory and takes an exclusive lock on it, so that a second
 * process is refused with -EBUSY and a sentence. NULL on error, with `*result` and `e` set. */
struct disk *disk_posix_new(const char *path, int *result, struct err *e) must_check;
/* Closes; unlocks. Safe on NULL. */
void disk_posix_free(struct disk *d);
