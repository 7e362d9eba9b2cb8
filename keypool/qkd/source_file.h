/* SPDX-License-Identifier: Apache-2.0 */
/* The key source `file`: recorded keys, the same file (key_file.h) in both sites' state folders.
 *
 * Consumed in order, each block once: the position is durable before a block is offered and the block
 * is overwritten before it leaves, so that no restart, whenever it comes, offers it again; what a
 * crash falls upon is lost. A position is kept per file id for ever, so that a copy of a file used
 * before goes on where it was. Before each block the two ends tell each other their positions (READY)
 * and both jump to the larger one; what is jumped over is burnt.
 *
 * Each block costs some durable writes here and in the vault (tens of milliseconds together): record large
 * ones, 64 KiB or more.
 *
 * READY, between the ends: u8 1, file id (16), u64 position, little-endian.
 */
#pragma once

#include "common/disk.h"
#include "keypool/qkd/source.h"

struct source_file_config {
    const char *site;
    const char *peer;
    const char *name;  /* of the file, on the disk */
    struct disk *disk; /* kept until free */
};

/* -EBADMSG, -EINVAL (of other sites), -ENOENT, ... with a sentence. */
int source_file_new(
    struct source **out, const struct source_file_config *config, struct err *e) must_check;
