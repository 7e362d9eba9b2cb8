/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the journal: one row that is the current state, the high marks, the rounds.
 *
 * SQLite's own checks miss many single bit flips, so every row is bound to a hash: the state row to its
 * own, the marks to the sum (exclusive or) of theirs, the rounds to a chain; both of these stand in the
 * state row. What does not fit is damage and is refused, never repaired by guessing. A flip in the
 * write-ahead log makes SQLite drop the end of the log: that is an older, consistent state, which the
 * clients' attempts and cursors move forward again (server/hello.c).
 */
#pragma once

#include "server/sql.h"
#include "server/store.h"

#define JOURNAL_SCHEMA   1
#define JOURNAL_ID       0x51464c4a /* "QFLJ" */
#define JOURNAL_TEXT_MAX 120

/* The state row. */
struct journal {
    bool has_run;
    bool run_ended;
    uint8_t run[FED_RUN_BYTES];
    char task[JOURNAL_TEXT_MAX];
    uint64_t rounds_done;
    uint64_t round;
    uint64_t phase;
    uint32_t aborted; /* attempts of the round; no column, the rounds tell */
    uint64_t attempt;
    struct blob *view; /* owned */
    uint8_t previous[SHA256_BYTES];
    char checkpoint[JOURNAL_TEXT_MAX]; /* name of the file with the current model */
    uint8_t model_hash[SHA256_BYTES];
    uint64_t parameters;
    uint64_t seq;                 /* of the last row of rounds */
    uint8_t rounds[SHA256_BYTES]; /* end of their chain */
    uint8_t highs[SHA256_BYTES];  /* sum of their hashes */
};
void journal_deinit(struct journal *j);
/* `to` is overwritten; takes a reference on the view. */
void journal_copy(struct journal *to, const struct journal *from);

/* A row of rounds besides what struct store_round has. */
struct journal_row {
    uint64_t seq;
    uint64_t ended_at; /* seconds since 1970 */
    uint8_t run[FED_RUN_BYTES];
    uint8_t base_hash[SHA256_BYTES];  /* SUMMED; else zeros */
    uint8_t model_hash[SHA256_BYTES]; /* the same */
    uint8_t digest[SHA256_BYTES];     /* the same */
    uint8_t sum_hash[SHA256_BYTES];   /* the same */
    char checkpoint[JOURNAL_TEXT_MAX];
};

/* Makes the tables in an empty file; checks the version of others. */
int journal_prepare(sqlite3 *db, struct err *e) must_check;
/* Reads the state row and checks all that is bound to it. */
int journal_load(sqlite3 *db, struct journal *j, struct err *e) must_check;

/* Inside a transaction: */
int journal_save(sqlite3 *db, const struct journal *j) must_check;
int journal_put_highs(
    sqlite3 *db, struct journal *j, const struct store_high *highs, size_t n) must_check;
int journal_add_round(sqlite3 *db, struct journal *j, const struct store_round *round,
    struct journal_row *row) must_check;

/* Array owned by the caller. */
int journal_get_highs(sqlite3 *db, struct store_high **highs, size_t *n) must_check;
