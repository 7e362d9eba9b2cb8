/* SPDX-License-Identifier: Apache-2.0 */
/* The vault's journal: cursor table and audit log in one append-only file.
 *
 * keypool.md section 1. Each record is written twice, in different 4 KiB sectors, with one sync; one
 * valid copy counts. Records carry a number, the code of the record before and an HMAC-SHA256 under
 * a key derived from the KEK, so that nothing can be left out, changed or forged by somebody without
 * the KEK. A last record without a valid copy was never acknowledged and is dropped; one further back
 * is a FAULT, never a guess. At each start the journal is compacted to a snapshot; the records go to
 * history/ as they are, for audits. What a record means is not known here (keypool/vault/ledger.h).
 */
#pragma once

#include "common/disk.h"

#include <stdbool.h>
#include <stdint.h>

#define JOURNAL_KEY_BYTES    32
#define JOURNAL_SECTOR       4096
#define JOURNAL_LONG         ((uint64_t)8 * 1024 * 1024) /* to be compacted */
#define JOURNAL_HISTORY_FULL ((uint64_t)1024 * 1024)     /* then the next file is begun */

enum journal_condition {
    JOURNAL_E_FAULT = 1, /* broken before its end */
    JOURNAL_E_KEY,       /* written under another key */
};

struct journal;

enum journal_kind { JOURNAL_SNAPSHOT, JOURNAL_RECORD };

/* 0, or anything else to end the walk with that result. */
typedef int (*journal_each)(
    void *arg, enum journal_kind kind, uint64_t seq, const uint8_t *payload, size_t len);

/* Opens and replays; what was read is durable then. Without a file the journal is new: journal_seq is 0 and it must be compacted
 * before the first append. `disk` is kept. 0, > 0 enum journal_condition or what `each` returned,
 * -errno; with a sentence. */
int journal_open(struct journal **out, struct disk *disk, const uint8_t key[JOURNAL_KEY_BYTES],
    journal_each each, void *arg, struct err *e) must_check;
/* Safe on NULL. */
void journal_free(struct journal *j);

/* Durable when it returns 0. */
int journal_append(struct journal *j, const uint8_t *payload, size_t len) must_check;
/* The journal becomes this snapshot; its records go to the history. Durable and atomic. */
int journal_compact(struct journal *j, const uint8_t *snapshot, size_t len) must_check;

/* Every record ever appended that is still kept, oldest first, each checked against the one before.
 * JOURNAL_E_FAULT if the history is damaged. */
int journal_walk(struct journal *j, journal_each each, void *arg) must_check;

/* Number of the last record; grows by one with each append, for ever. */
uint64_t journal_seq(const struct journal *j);
bool journal_is_long(const struct journal *j);
/* Copies found damaged while opening, made up for by their twins. */
uint64_t journal_repairs(const struct journal *j);
