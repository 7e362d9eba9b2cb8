/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator's store for daemons: a journal in SQLite, models as checkpoint files.
 *
 *     <directory>/journal.db                     state, high marks, rounds, sums (server/journal.h)
 *     <directory>/checkpoints/<run>-<round>.qflm  models (docs/checkpoint.md)
 *
 * A model's file is durable before the row that names it. Kept are the newest `keep` checkpoints and
 * sums of a run, and every tenth of the older checkpoints.
 */
#pragma once

#include "common/disk.h"
#include "server/store.h"

#define STORE_KEEP_DEFAULT 100

struct store_sqlite_config {
    const char *directory; /* the one behind `disk` */
    const char *federation;
    uint32_t keep; /* 0: default */
};

/* Opens and checks everything. `disk` is kept until free. With a sentence: -EBUSY in use, -EBADMSG
 * damaged, -EPROTO of a newer version, -ENOSPC, -EACCES, -EIO. */
int store_sqlite_new(struct store **out, const struct store_sqlite_config *config,
    struct disk *disk, struct err *e) must_check;
/* Safe on NULL. */
void store_sqlite_free(struct store *s);
