/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the process in its n-th write: of SQLite (a layer over its file system) or of a struct disk. */
#pragma once

#include "common/disk.h"

#include <stdbool.h>

#define KILLER_STATUS 9 /* exit status of a process that was killed */

/* Puts the layer under every database opened from now on. Once, before the first. */
void killer_register(void);
/* From here on the n-th write ends the process: before it, or (torn) in its middle. */
void killer_arm(uint64_t n, bool torn);
/* The disk with its writes counted too; one per process. */
struct disk *killer_disk(struct disk *below);
