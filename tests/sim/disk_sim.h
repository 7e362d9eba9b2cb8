/* SPDX-License-Identifier: Apache-2.0 */
/* A struct disk in memory that forgets like a real one.
 *
 * What was written and not yet synced is lost, kept or torn at a power cut: per sector of 512 bytes
 * any prefix of the writes that touched it survives, independently of other sectors; a file whose
 * existence was never synced may vanish; a file that grew may end anywhere between. replace() is old
 * or new if the cut falls inside it. erase() is old, gone, or a file of partly zeroed sectors (it
 * overwrites before it unlinks). All of it is drawn from the seed.
 *
 * After a failed sync (disk_sim_fail_at) the writes it should have kept are never made durable by a
 * later sync, as on Linux: a core that goes on after the error loses them.
 */
#pragma once

#include "tests/sim/disk_file.h"

#include <stdbool.h>

struct disk_sim;

/* Everything durable at one moment: a backup, a VM snapshot. */
struct disk_image;

/* Aborts if there is no memory, like all of tests/sim. */
struct disk_sim *disk_sim_new(uint64_t seed);
/* Safe on NULL. */
void disk_sim_free(struct disk_sim *s);
/* The interface for a core; lives as long as `s`. */
struct disk *disk_sim_disk(struct disk_sim *s);

/* ---- faults ---- */

/* The power goes in the n-th mutating operation (write, sync, replace, erase) from now on, 1 being
 * the next; 0 disarms. That one and all later operations, reads too, return -EIO until
 * disk_sim_crash or disk_sim_kill. */
void disk_sim_cut_at(struct disk_sim *s, uint64_t n);
/* True once that has happened. */
bool disk_sim_is_cut(const struct disk_sim *s);
/* The n-th mutating operation from now on returns `error` (-EIO, -ENOSPC), once. 0 disarms. */
void disk_sim_fail_at(struct disk_sim *s, uint64_t n, int error);
/* True once that has happened, until the next crash or kill: the core must be dying. */
bool disk_sim_has_failed(const struct disk_sim *s);

/* The machine has lost its power and is on again: draws what is left of unsynced writes. */
void disk_sim_crash(struct disk_sim *s);
/* Only the process died: the kernel keeps its writes, the operation it was in is done or not. */
void disk_sim_kill(struct disk_sim *s);

/* From now on the disk lies about files of this name: nothing of them survives a crash or a kill. For
 * mutants: what if this were not durable? The name is kept until free. */
void disk_sim_forget(struct disk_sim *s, const char *name);

/* A copy of what is seen now, as a backup program would take it; owned by the caller. */
struct disk_image *disk_sim_snapshot(const struct disk_sim *s);
/* The disk becomes that copy, durably: a restored backup. The image stays the caller's. */
void disk_sim_restore(struct disk_sim *s, const struct disk_image *image);
void disk_image_free(struct disk_image *image);

/* ---- queries ---- */

/* Mutating operations so far, over all crashes. */
uint64_t disk_sim_operations(const struct disk_sim *s);
/* Unsynced writes (per sector) that a crash has lost so far. */
uint64_t disk_sim_lost(const struct disk_sim *s);
/* Keeps a copy of every byte written from now on, for disk_sim_has_written. */
void disk_sim_record(struct disk_sim *s);
/* True if these bytes stood side by side in any single write or replace since disk_sim_record. */
bool disk_sim_has_written(const struct disk_sim *s, const void *bytes, size_t len);
/* True if any file holds these bytes now. */
bool disk_sim_holds(const struct disk_sim *s, const void *bytes, size_t len);
/* Flips one bit of a file, seen and durable, as decay does. -ENOENT, or -ERANGE past its end. */
int disk_sim_flip(struct disk_sim *s, const char *name, uint64_t bit) must_check;
