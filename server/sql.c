/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sql.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int sql_error(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
        return -EBADMSG;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return -EACCES;
    default:
        return -EIO;
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

int sql_execute(sqlite3 *db, const char *text)
{
    return sql_error(sqlite3_exec(db, text, NULL, NULL, NULL));
}

int sql_pragma(sqlite3 *db, const char *name, int64_t *out)
{
    char text[64];
    snprintf(text, sizeof(text), "PRAGMA %s", name);
    sql_statement s = NULL;
    int r = sql_prepare(db, &s, text, "");
    if (r == 0)
        r = sql_step(s);
    if (r > 0)
        *out = sqlite3_column_int64(s, 0);
    return r > 0 ? 0 : r < 0 ? r : -EBADMSG;
}

static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;"
                               "PRAGMA secure_delete = OFF;"
                               "PRAGMA mmap_size = 0;";

int sql_open(sqlite3 **out, const char *path, struct err *e)
{
    *out = NULL;
    int code = sqlite3_open_v2(
        path, out, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    int r = sql_error(code);
    if (r == 0)
        r = sql_execute(*out, settings);
    if (r == 0) /* takes the lock, which stays */
        r = sql_execute(*out, "BEGIN IMMEDIATE; COMMIT;");
    if (r == 0)
        return 0;
    const char *why = *out ? sqlite3_errmsg(*out) : "out of memory";
    if (r == -EBUSY)
        err_set(e, r, "the journal %s is in use by another process", path);
    else if (r == -EBADMSG)
        err_set(e, r, "the journal %s is damaged: %s", path, why);
    else
        err_set(e, r, "the journal %s cannot be opened: %s", path, why);
    sqlite3_close(*out);
    *out = NULL;
    return r;
}

/* ---- statements ------------------------------------------------------------------------------ */

void sql_finalizep(sqlite3_stmt **s)
{
    sqlite3_finalize(*s);
}

static int bind(sqlite3_stmt *s, int at, char type, va_list *args)
{
    if (type == 'i') {
        uint64_t value = va_arg(*args, uint64_t);
        if (value > INT64_MAX)
            return SQLITE_MISMATCH;
        return sqlite3_bind_int64(s, at, (int64_t)value);
    }
    if (type == 'd')
        return sqlite3_bind_double(s, at, va_arg(*args, double));
    if (type == 't')
        return sqlite3_bind_text(s, at, va_arg(*args, const char *), -1, SQLITE_STATIC);
    const void *data = va_arg(*args, const void *);
    size_t len = va_arg(*args, size_t);
    return sqlite3_bind_blob64(s, at, data ? data : "", len, SQLITE_STATIC);
}

static int bind_all(sqlite3_stmt *s, const char *types, va_list *args)
{
    int code = SQLITE_OK;
    for (int i = 0; code == SQLITE_OK && types[i]; i++)
        code = bind(s, i + 1, types[i], args);
    return sql_error(code);
}

static int prepare(
    sqlite3 *db, sqlite3_stmt **out, const char *text, const char *types, va_list *args)
{
    int r = sql_error(sqlite3_prepare_v2(db, text, -1, out, NULL));
    return r == 0 ? bind_all(*out, types, args) : r;
}

int sql_bind(sqlite3_stmt *s, const char *types, ...)
{
    va_list args;
    sqlite3_reset(s);
    va_start(args, types);
    int r = bind_all(s, types, &args);
    va_end(args);
    return r;
}

int sql_prepare(sqlite3 *db, sqlite3_stmt **out, const char *text, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    int r = prepare(db, out, text, types, &args);
    va_end(args);
    return r;
}

int sql_step(sqlite3_stmt *s)
{
    int code = sqlite3_step(s);
    return code == SQLITE_ROW ? 1 : sql_error(code);
}

int sql_run(sqlite3 *db, const char *text, const char *types, ...)
{
    sql_statement s = NULL;
    va_list args;
    va_start(args, types);
    int r = prepare(db, &s, text, types, &args);
    va_end(args);
    while (r == 0 && (r = sql_step(s)) > 0)
        r = 0;
    return r;
}

uint64_t sql_u64(sqlite3_stmt *s, int column)
{
    return (uint64_t)sqlite3_column_int64(s, column);
}

const char *sql_text(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text ? text : "";
}

int sql_bytes(sqlite3_stmt *s, int column, void *out, size_t len)
{
    const void *data = sqlite3_column_blob(s, column);
    if ((size_t)sqlite3_column_bytes(s, column) != len || (len > 0 && !data))
        return -EBADMSG;
    memcpy(out, data, len);
    return 0;
}
