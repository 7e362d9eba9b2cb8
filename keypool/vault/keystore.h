/* SPDX-License-Identifier: Apache-2.0 */
/* The vault's storage engine: ledger, journal, sealed blocks and pads as one thing.
 *
 * Whatever changes the ledger goes through keystore_commit, which makes it durable before it returns.
 * Opening replays the journal, burns what was reserved and not accounted for, completes what a crash
 * cut short, erases what nobody knows of, and compacts. Knows no consumer and no peer link.
 */
#pragma once

#include "keypool/vault/blockfile.h"
#include "keypool/vault/journal.h"
#include "keypool/vault/ledger.h"
#include "keypool/vault/pads.h"

struct keystore {
    struct disk *disk; /* kept */
    struct seal *seal;
    struct journal *journal;
    struct ledger ledger;
    struct buf record; /* scratch of commit */
};

/* 0, > 0 enum vault_open_condition, -errno; with a sentence. Notes for the log go into `u`. */
int keystore_open(struct keystore *k, const struct vault_config *config, struct disk *disk,
    struct update *u, struct err *e) must_check;
void keystore_close(struct keystore *k);

/* The entries become true together: durable when it returns 0. With none, saves what is unsaved. */
int keystore_commit(struct keystore *k, const struct entry *entries, size_t n) must_check;
/* Every record kept (journal_walk). */
int keystore_walk(struct keystore *k, journal_each each, void *arg) must_check;
/* Number of the last commit: grows for ever. */
uint64_t keystore_epoch(const struct keystore *k);

/* -EEXIST or -EINVAL with a sentence if the pairing cannot be taken. */
int keystore_check_pairing(
    const struct keystore *k, const struct vault_pairing *pairing, struct err *e) must_check;
/* Enrols a peer by a pairing that was checked; its earlier streams end. */
int keystore_pair(
    struct keystore *k, const struct vault_pairing *pairing, struct err *e) must_check;

/* Writes the block's bytes, durably; they count once an ENTRY_STAGED is committed. */
int keystore_store_block(struct keystore *k, const struct ledger_peer *p, const uint8_t *id,
    const uint8_t *key, uint64_t len) must_check;
/* After an ENTRY_DECISION: moves the pads' shares out of a confirmed block, erases a void one. */
int keystore_finish_block(
    struct keystore *k, struct ledger_peer *p, const uint8_t *id, struct update *u) must_check;
/* Bytes of an undecided block. SEAL_E_BROKEN if they were altered on the disk. */
int keystore_read_block(struct keystore *k, const struct ledger_peer *p,
    const struct ledger_block *b, uint64_t offset, uint8_t *out, size_t len) must_check;

/* Everything left in the pair's streams is burnt, its undecided blocks are dropped. */
int keystore_burn_pair(struct keystore *k, struct ledger_peer *p) must_check;

/* Bytes of a stream. SEAL_E_BROKEN if they were altered or are missing. */
int keystore_read(struct keystore *k, const struct ledger_stream *s, uint64_t offset, uint8_t *out,
    size_t len) must_check;

/* Destroys what is wanted no more: bytes below wanted(stream). */
typedef uint64_t (*keystore_wanted)(void *arg, const struct ledger_stream *s);
int keystore_sweep(struct keystore *k, keystore_wanted wanted, void *arg) must_check;
/* Erases the files that no entry speaks of. */
int keystore_erase_strays(struct keystore *k) must_check;

/* The entry by which a range is burnt; helper for all who commit one. */
struct entry keystore_burn(
    const struct ledger_stream *s, enum burn_use use, uint64_t start, uint64_t end);
struct entry keystore_entry(enum entry_kind kind, const uint8_t *stream);
