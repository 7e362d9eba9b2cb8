/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite with the project's errors: -ENOSPC full, -EBUSY locked, -EBADMSG damaged, -ENOMEM, else -EIO. */
#pragma once

#include "common/err.h"
#include "common/util.h"

#include <sqlite3.h>
#include <stdint.h>

/* The error for a result code of SQLite. */
int sql_error(int code);

/* Opens the file (made if missing) for one process only: write-ahead log, every commit synced. */
int sql_open(sqlite3 **out, const char *path, struct err *e) must_check;
/* Runs statements without results. */
int sql_execute(sqlite3 *db, const char *text) must_check;
/* The number that a pragma answers. */
int sql_pragma(sqlite3 *db, const char *name, int64_t *out) must_check;

/* A prepared statement for the length of a scope: `sql_statement s = ...`. */
#define sql_statement cleanup(sql_finalizep) sqlite3_stmt *
void sql_finalizep(sqlite3_stmt **s);

/* Prepares and binds: one letter of `types` per argument: i (uint64_t), t (const char *),
 * b (const void *, size_t), d (double). Pointers are borrowed until the statement is done. */
int sql_prepare(
    sqlite3 *db, sqlite3_stmt **out, const char *text, const char *types, ...) must_check;
/* Binds a prepared statement anew. */
int sql_bind(sqlite3_stmt *s, const char *types, ...) must_check;
/* 1 for a row, 0 at the end. */
int sql_step(sqlite3_stmt *s) must_check;
/* Prepares, binds, runs to the end. */
int sql_run(sqlite3 *db, const char *text, const char *types, ...) must_check;

/* Columns of the current row. A blob of another length than `len` is damage. */
uint64_t sql_u64(sqlite3_stmt *s, int column);
const char *sql_text(sqlite3_stmt *s, int column);
int sql_bytes(sqlite3_stmt *s, int column, void *out, size_t len) must_check;
