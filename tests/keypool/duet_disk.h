/* SPDX-License-Identifier: Apache-2.0 */
/* A struct disk that passes everything on, and says when it is at work: so that a test which lets the
 * pool's allocations fail leaves those of the simulated disk alone. */
#pragma once

#include "common/disk.h"

#include <stdbool.h>

struct duet_disk {
    struct disk base; /* first */
    struct disk *real;
    void (*leave)(void *arg, bool left); /* true before each operation, false after it */
    void *arg;
};

void duet_disk_init(
    struct duet_disk *d, struct disk *real, void (*leave)(void *arg, bool left), void *arg);
