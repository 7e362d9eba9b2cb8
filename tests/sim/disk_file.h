/* SPDX-License-Identifier: Apache-2.0 */
/* One file of the simulated disk: what readers see, what is durable, and the writes in between. */
#pragma once

#include "common/buf.h"
#include "common/disk.h"
#include "tests/sim/rnd.h"

#define DISK_SIM_SECTOR 512

/* The part of one write that falls into one sector, not yet durable. */
struct disk_piece {
    uint64_t offset;
    uint32_t len;
    bool doomed; /* its sync failed: no later sync will make it durable */
    uint8_t data[DISK_SIM_SECTOR];
};

struct disk_file {
    char name[DISK_NAME_MAX + 1];
    bool seen;    /* exists for readers */
    bool on_disk; /* its directory entry is durable */
    struct buf now;
    struct buf durable;
    struct disk_piece *pieces; /* owned, oldest first */
    size_t n_pieces;
    size_t cap_pieces;
};

void disk_file_deinit(struct disk_file *f);
/* Written, not durable. */
void disk_file_write(struct disk_file *f, uint64_t offset, const void *data, size_t len);
/* The file as readers see it becomes durable, but for doomed pieces. */
void disk_file_sync(struct disk_file *f);
/* Exactly these bytes, durably; and gone, durably. */
void disk_file_become(struct disk_file *f, const void *data, size_t len);
void disk_file_vanish(struct disk_file *f);
/* A power cut: what is not durable is lost, kept or torn. Says how many pieces were lost. */
size_t disk_file_crash(struct disk_file *f, struct rnd *r);
/* One during its erase, which has zeroed none, some or all sectors and may have unlinked after that. */
void disk_file_crash_erase(struct disk_file *f, struct rnd *r);

void disk_bytes_set(struct buf *b, const void *data, size_t len);
