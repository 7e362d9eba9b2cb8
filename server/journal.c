/* SPDX-License-Identifier: Apache-2.0 */
#include "server/journal.h"

#include "common/util.h"

#include <errno.h>
#include <stdio.h>

static const char schema[] =
    "CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), has_run INTEGER, run_ended INTEGER,"
    " run BLOB, task TEXT, rounds_done INTEGER, round INTEGER, phase INTEGER, attempt INTEGER,"
    " view BLOB, previous BLOB, checkpoint TEXT, model_hash BLOB, parameters INTEGER, seq INTEGER,"
    " rounds BLOB, highs BLOB, hash BLOB);"
    "CREATE TABLE highs (stream BLOB PRIMARY KEY, high INTEGER, burnt INTEGER) WITHOUT ROWID;"
    "CREATE TABLE rounds (seq INTEGER PRIMARY KEY, run BLOB, round INTEGER, attempt INTEGER,"
    " outcome INTEGER, participants INTEGER, tolerance INTEGER, upload_bytes INTEGER,"
    " key_bytes INTEGER, wall_ms INTEGER, ended_at INTEGER, reason TEXT, sites TEXT,"
    " base_hash BLOB, model_hash BLOB, digest BLOB, sum_hash BLOB, checkpoint TEXT);"
    "CREATE INDEX rounds_by_attempt ON rounds (attempt);"
    "CREATE TABLE sums (seq INTEGER PRIMARY KEY, round INTEGER, words BLOB);"
    "CREATE TABLE evaluations (run BLOB, round INTEGER, loss REAL, accuracy REAL,"
    " PRIMARY KEY (run, round)) WITHOUT ROWID;";

void journal_deinit(struct journal *j)
{
    blob_unref(j->view);
    *j = (struct journal){0};
}

void journal_copy(struct journal *to, const struct journal *from)
{
    struct blob *old = to->view;
    *to = *from;
    if (to->view)
        blob_ref(to->view);
    blob_unref(old);
}

/* ---- hashes ---------------------------------------------------------------------------------- */

#define PART(object)                                                                               \
    {                                                                                              \
        &(object), sizeof(object)                                                                  \
    }
#define TEXT(text)                                                                                 \
    {                                                                                              \
        (text), strlen(text)                                                                       \
    }

static void hash_state(uint8_t out[SHA256_BYTES], const struct journal *j)
{
    uint64_t numbers[] = {j->has_run, j->run_ended, j->rounds_done, j->round, j->phase, j->attempt,
        j->parameters, j->seq};
    const struct sha256_part parts[] = {
        PART(numbers),
        PART(j->run),
        TEXT(j->task),
        {j->view ? j->view->data : NULL, j->view ? j->view->len : 0},
        PART(j->previous),
        TEXT(j->checkpoint),
        PART(j->model_hash),
        PART(j->rounds),
        PART(j->highs),
    };
    sha256_parts(out, parts, ARRAY_SIZE(parts));
}

static void add_high(uint8_t sum[SHA256_BYTES], const struct store_high *high)
{
    uint8_t hash[SHA256_BYTES];
    const struct sha256_part parts[] = {PART(high->stream), PART(high->high), PART(high->burnt)};
    sha256_parts(hash, parts, ARRAY_SIZE(parts));
    for (size_t i = 0; i < SHA256_BYTES; i++)
        sum[i] ^= hash[i];
}

static void chain_round(
    uint8_t chain[SHA256_BYTES], const struct store_round *round, const struct journal_row *row)
{
    uint64_t numbers[] = {row->seq, round->round, round->attempt, (uint64_t)round->outcome,
        round->participants, round->tolerance, round->upload_bytes, round->key_bytes,
        round->wall_ms, row->ended_at};
    const struct sha256_part parts[] = {
        {chain, SHA256_BYTES},
        PART(numbers),
        PART(row->run),
        TEXT(round->reason),
        TEXT(round->sites),
        PART(row->base_hash),
        PART(row->model_hash),
        PART(row->digest),
        PART(row->sum_hash),
        TEXT(row->checkpoint),
    };
    uint8_t next[SHA256_BYTES];
    sha256_parts(next, parts, ARRAY_SIZE(parts));
    memcpy(chain, next, SHA256_BYTES);
}

/* ---- the file -------------------------------------------------------------------------------- */

static int create(sqlite3 *db)
{
    char text[sizeof(schema) + 256];
    snprintf(text, sizeof(text),
        "BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d;", schema,
        JOURNAL_ID, JOURNAL_SCHEMA);
    int r = sql_execute(db, text);
    if (r == 0)
        r = journal_save(db, &(struct journal){0});
    if (r == 0)
        r = sql_execute(db, "COMMIT");
    return r;
}

int journal_prepare(sqlite3 *db, struct err *e)
{
    int64_t id = 0;
    int64_t version = 0;
    int64_t pages = 0;
    int r = sql_pragma(db, "application_id", &id);
    if (r == 0)
        r = sql_pragma(db, "user_version", &version);
    if (r == 0)
        r = sql_pragma(db, "page_count", &pages);
    if (r < 0)
        return err_set(e, r, "damaged: %s", sqlite3_errmsg(db));
    if (pages <= 1 && id == 0 && version == 0)
        return create(db);
    if (id != JOURNAL_ID)
        return err_set(e, -EBADMSG, "not a journal of qfl-server");
    if (version > JOURNAL_SCHEMA)
        return err_set(e, -EPROTO,
            "written by a newer qfl-server (schema %lld, this one knows %d): install that version",
            (long long)version, JOURNAL_SCHEMA);
    return version == JOURNAL_SCHEMA ? 0 : err_set(e, -EBADMSG, "damaged: no schema version");
}

/* ---- the state row --------------------------------------------------------------------------- */

int journal_save(sqlite3 *db, const struct journal *j)
{
    uint8_t hash[SHA256_BYTES];
    hash_state(hash, j);
    return sql_run(db,
        "REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iibtiiiibbtbiibbb", (uint64_t)j->has_run, (uint64_t)j->run_ended, j->run, sizeof(j->run),
        j->task, j->rounds_done, j->round, j->phase, j->attempt, j->view ? j->view->data : NULL,
        j->view ? j->view->len : (size_t)0, j->previous, sizeof(j->previous), j->checkpoint,
        j->model_hash, sizeof(j->model_hash), j->parameters, j->seq, j->rounds, sizeof(j->rounds),
        j->highs, sizeof(j->highs), hash, sizeof(hash));
}

static int read_view(sqlite3_stmt *s, int column, struct journal *j)
{
    size_t len = (size_t)sqlite3_column_bytes(s, column);
    if (len == 0)
        return 0;
    j->view = blob_new(len);
    return j->view ? sql_bytes(s, column, j->view->data, len) : -ENOMEM;
}

static void read_text(sqlite3_stmt *s, int column, char out[JOURNAL_TEXT_MAX])
{
    snprintf(out, JOURNAL_TEXT_MAX, "%s", sql_text(s, column));
}

static int read_state(sqlite3_stmt *s, struct journal *j, uint8_t hash[SHA256_BYTES])
{
    *j = (struct journal){.has_run = sql_u64(s, 0) != 0,
        .run_ended = sql_u64(s, 1) != 0,
        .rounds_done = sql_u64(s, 4),
        .round = sql_u64(s, 5),
        .phase = sql_u64(s, 6),
        .attempt = sql_u64(s, 7),
        .parameters = sql_u64(s, 12),
        .seq = sql_u64(s, 13)};
    read_text(s, 3, j->task);
    read_text(s, 10, j->checkpoint);
    int r = sql_bytes(s, 2, j->run, sizeof(j->run));
    r = r ? r : read_view(s, 8, j);
    r = r ? r : sql_bytes(s, 9, j->previous, sizeof(j->previous));
    r = r ? r : sql_bytes(s, 11, j->model_hash, sizeof(j->model_hash));
    r = r ? r : sql_bytes(s, 14, j->rounds, sizeof(j->rounds));
    r = r ? r : sql_bytes(s, 15, j->highs, sizeof(j->highs));
    return r ? r : sql_bytes(s, 16, hash, SHA256_BYTES);
}

static int load_state(sqlite3 *db, struct journal *j)
{
    sql_statement s = NULL;
    int r = sql_prepare(db, &s,
        "SELECT has_run, run_ended, run, task, rounds_done, round, phase, attempt, view, previous,"
        " checkpoint, model_hash, parameters, seq, rounds, highs, hash FROM state WHERE id = 1",
        "");
    if (r == 0)
        r = sql_step(s);
    if (r <= 0)
        return r < 0 ? r : -EBADMSG;
    uint8_t stored[SHA256_BYTES];
    uint8_t hash[SHA256_BYTES];
    r = read_state(s, j, stored);
    if (r < 0)
        return r;
    hash_state(hash, j);
    return memcmp(hash, stored, SHA256_BYTES) == 0 && j->phase <= STORE_GO ? 0 : -EBADMSG;
}

/* ---- high marks ------------------------------------------------------------------------------ */

static int read_high(sqlite3_stmt *s, struct store_high *out)
{
    out->high = sql_u64(s, 1);
    out->burnt = sql_u64(s, 2);
    return sql_bytes(s, 0, out->stream, sizeof(out->stream));
}

int journal_get_highs(sqlite3 *db, struct store_high **highs, size_t *n)
{
    *highs = NULL;
    *n = 0;
    size_t cap = 0;
    sql_statement s = NULL;
    int r = sql_prepare(db, &s, "SELECT stream, high, burnt FROM highs ORDER BY stream", "");
    while (r == 0 && (r = sql_step(s)) > 0) {
        if (*n == cap) {
            cap = MAX(2 * cap, (size_t)16);
            struct store_high *more = reallocarray(*highs, cap, sizeof(*more));
            if (!more)
                return -ENOMEM;
            *highs = more;
        }
        r = read_high(s, &(*highs)[(*n)++]);
    }
    return r;
}

static int take_old_high(sqlite3_stmt *find, struct journal *j, const struct store_high *high)
{
    int r = sql_bind(find, "b", high->stream, sizeof(high->stream));
    if (r == 0)
        r = sql_step(find);
    if (r <= 0)
        return r;
    struct store_high old;
    r = read_high(find, &old);
    if (r == 0)
        add_high(j->highs, &old);
    return r;
}

int journal_put_highs(sqlite3 *db, struct journal *j, const struct store_high *highs, size_t n)
{
    sql_statement find = NULL;
    sql_statement put = NULL;
    int r = sql_prepare(db, &find, "SELECT stream, high, burnt FROM highs WHERE stream = ?", "");
    if (r == 0)
        r = sql_prepare(db, &put, "REPLACE INTO highs VALUES (?, ?, ?)", "");
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = take_old_high(find, j, &highs[i]);
        if (r == 0)
            r = sql_bind(put, "bii", highs[i].stream, sizeof(highs[i].stream), highs[i].high,
                highs[i].burnt);
        if (r == 0)
            r = sql_step(put);
        if (r == 0)
            add_high(j->highs, &highs[i]);
    }
    return r;
}

static int check_highs(sqlite3 *db, const struct journal *j)
{
    auto_free struct store_high *highs = NULL;
    size_t n;
    int r = journal_get_highs(db, &highs, &n);
    uint8_t sum[SHA256_BYTES] = {0};
    for (size_t i = 0; r == 0 && i < n; i++)
        add_high(sum, &highs[i]);
    return r != 0 || memcmp(sum, j->highs, SHA256_BYTES) == 0 ? r : -EBADMSG;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

int journal_add_round(
    sqlite3 *db, struct journal *j, const struct store_round *round, struct journal_row *row)
{
    row->seq = ++j->seq;
    memcpy(row->run, j->run, sizeof(row->run));
    chain_round(j->rounds, round, row);
    return sql_run(db,
        "INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "ibiiiiiiiiittbbbbt", row->seq, row->run, sizeof(row->run), round->round, round->attempt,
        (uint64_t)round->outcome, (uint64_t)round->participants, (uint64_t)round->tolerance,
        round->upload_bytes, round->key_bytes, round->wall_ms, row->ended_at, round->reason,
        round->sites, row->base_hash, sizeof(row->base_hash), row->model_hash,
        sizeof(row->model_hash), row->digest, sizeof(row->digest), row->sum_hash,
        sizeof(row->sum_hash), row->checkpoint);
}

static int read_round(sqlite3_stmt *s, struct store_round *round, struct journal_row *row)
{
    *round = (struct store_round){.round = sql_u64(s, 2),
        .attempt = sql_u64(s, 3),
        .outcome = (enum store_outcome)sql_u64(s, 4),
        .participants = (uint32_t)sql_u64(s, 5),
        .tolerance = (uint32_t)sql_u64(s, 6),
        .upload_bytes = sql_u64(s, 7),
        .key_bytes = sql_u64(s, 8),
        .wall_ms = sql_u64(s, 9),
        .reason = sql_text(s, 11),
        .sites = sql_text(s, 12)};
    *row = (struct journal_row){.seq = sql_u64(s, 0), .ended_at = sql_u64(s, 10)};
    read_text(s, 17, row->checkpoint);
    int r = sql_bytes(s, 1, row->run, sizeof(row->run));
    r = r ? r : sql_bytes(s, 13, row->base_hash, sizeof(row->base_hash));
    r = r ? r : sql_bytes(s, 14, row->model_hash, sizeof(row->model_hash));
    r = r ? r : sql_bytes(s, 15, row->digest, sizeof(row->digest));
    return r ? r : sql_bytes(s, 16, row->sum_hash, sizeof(row->sum_hash));
}

static bool is_aborted(
    const struct journal *j, const struct store_round *round, const struct journal_row *row)
{
    return round->outcome == STORE_ABORTED && round->round == j->round &&
           memcmp(row->run, j->run, FED_RUN_BYTES) == 0;
}

/* Counts the open round's attempts on the way. */
static int check_rounds(sqlite3 *db, struct journal *j)
{
    uint8_t chain[SHA256_BYTES] = {0};
    sql_statement s = NULL;
    int r = sql_prepare(db, &s, "SELECT * FROM rounds ORDER BY seq", "");
    while (r == 0 && (r = sql_step(s)) > 0) {
        struct store_round round;
        struct journal_row row;
        r = read_round(s, &round, &row);
        if (r != 0)
            break;
        chain_round(chain, &round, &row);
        j->aborted += is_aborted(j, &round, &row);
    }
    return r != 0 || memcmp(chain, j->rounds, SHA256_BYTES) == 0 ? r : -EBADMSG;
}

int journal_load(sqlite3 *db, struct journal *j, struct err *e)
{
    int r = load_state(db, j);
    if (r < 0)
        return err_set(e, r, "damaged: its state does not fit its hash");
    r = check_highs(db, j);
    if (r < 0)
        return err_set(e, r, "damaged: the high marks of key do not fit their hash");
    r = check_rounds(db, j);
    return r < 0 ? err_set(e, r, "damaged: the rounds do not fit their hash") : 0;
}
