/* SPDX-License-Identifier: Apache-2.0 */
/* The witness of a vault, a file outside its folder: the number of the newest record. A folder that is
 * older than its witness has been restored from a backup, and is refused (vault.h).
 *
 * Written before every update is carried out; synced at the start and now and then only: a power cut can
 * only make it older than the journal, which is harmless, and a killed process loses nothing. Two slots
 * in different sectors, written in turn, each with a checksum, so that neither a torn write nor a flipped
 * bit makes it lie. `<path>.adopt` beside it is the operator's word (`qflctl keys adopt`).
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct witness {
    int fd;
    uint64_t epoch;    /* as written */
    uint64_t unsynced; /* changes since the last sync */
};

/* Opens or creates the file (mode 0600); `epoch` is 0 for a new one. -EBADMSG with a sentence if it is
 * no witness, or is damaged. */
int witness_open(struct witness *w, const char *path, struct err *e) must_check;
void witness_close(struct witness *w);
/* Nothing is written when it has not changed. It goes down only after an adoption. */
int witness_write(struct witness *w, uint64_t epoch) must_check;
int witness_sync(struct witness *w) must_check;

/* True once if `<path>.adopt` is there: the operator vouches for the folder. Removes it. */
bool witness_take_adoption(const char *path);
