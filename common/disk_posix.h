/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of real files behind struct disk (see common/disk.h).
 *
 * Files 0600, folders 0700, everything relative to the directory's descriptor, symbolic links never
 * followed. Names whose parts start with '.' and CACHEDIR.TAG (the directory is no matter for
 * backups: a restored one reuses pads) are its own. A failed sync is final: every later call returns
 * the same error.
 */
#pragma once

#include "common/disk.h"

/* Opens (and creates, mode 0700) the directory and takes an exclusive lock on it, so that a second
 * process is refused with -EBUSY and a sentence. Removes what a crash left of a replace, and makes
 * durable what was written and not synced: what can be read afterwards stays. NULL on error, with
 * `*result` and `e` set. */
struct disk *disk_posix_new(const char *path, int *result, struct err *e) must_check;
/* The same for a directory that backups should hold: without the CACHEDIR.TAG. */
struct disk *disk_posix_new_for_backup(const char *path, int *result, struct err *e) must_check;
/* Closes; unlocks. Safe on NULL. */
void disk_posix_free(struct disk *d);
