/* SPDX-License-Identifier: Apache-2.0 */
/* The witness of a vault, a file outside its folder: the number of the newest record. A folder that is
 * older than its witness has been restored from a backup, and is refused (vault.h).
 *
 * Written before every update is carried out, without a sync: a power cut can only make it older than
 * the journal, which is harmless; a killed process loses nothing.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct witness {
    int fd;
    uint64_t epoch; /* as written */
};

/* Opens or creates the file (mode 0600); `epoch` is 0 for a new one. -EBADMSG with a sentence if it is
 * no witness. */
int witness_open(struct witness *w, const char *path, struct err *e) must_check;
void witness_close(struct witness *w);
int witness_write(struct witness *w, uint64_t epoch) must_check;

/* True once if `<path>.adopt` is there: the operator vouches for the folder. Removes it. */
bool witness_take_adoption(const char *path);
