/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store_sqlite.h"

#include "common/checkpoint.h"
#include "common/util.h"
#include "server/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS_LISTED      20000
#define EVALUATIONS_LISTED 512
#define CHECKPOINT_EVERY   10 /* of the old ones, this many-th is kept */

struct store_sqlite {
    struct store store; /* first: the interface is cast back */
    sqlite3 *db;
    struct disk *disk;
    char *directory;
    char *federation;
    uint32_t keep;
    struct journal journal; /* what is durable */
    char *checkpoint;       /* path of the current model's file */
};

static struct store_sqlite *of(struct store *s)
{
    return (struct store_sqlite *)s;
}

/* ---- models ---------------------------------------------------------------------------------- */

static void name_checkpoint(
    char out[JOURNAL_TEXT_MAX], const uint8_t run[FED_RUN_BYTES], uint64_t round)
{
    snprintf(out, JOURNAL_TEXT_MAX, "checkpoints/%02x%02x%02x%02x-%08" PRIu64 ".qflm", run[0],
        run[1], run[2], run[3], round);
}

/* Writes the model of `next` durably, before the row that names it. */
static int write_model(struct store_sqlite *s, struct journal *next, uint64_t round,
    uint64_t attempt, const double *model)
{
    struct checkpoint c = {.round = round,
        .attempt = attempt,
        .parameters = (uint32_t)next->parameters,
        .model = (double *)model};
    snprintf(c.federation, sizeof(c.federation), "%s", s->federation);
    snprintf(c.task, sizeof(c.task), "%.*s", CHECKPOINT_TASK_MAX, next->task);
    memcpy(c.run, next->run, sizeof(c.run));
    memcpy(c.digest, next->previous, sizeof(c.digest));
    struct blob *bytes = checkpoint_encode(&c);
    if (!bytes)
        return -ENOMEM;
    name_checkpoint(next->checkpoint, next->run, round);
    checkpoint_model_hash(next->model_hash, model, c.parameters);
    int r = disk_replace(s->disk, next->checkpoint, bytes->data, bytes->len);
    blob_unref(bytes);
    return r;
}

static int read_file(struct store_sqlite *s, const char *name, struct blob **out)
{
    int64_t size = disk_size(s->disk, name);
    if (size < 0)
        return (int)size;
    *out = blob_new((size_t)size);
    if (!*out)
        return -ENOMEM;
    int64_t n = disk_read(s->disk, name, 0, (*out)->data, (size_t)size);
    return n < 0 ? (int)n : n == size ? 0 : -EIO;
}

static int read_model(struct store_sqlite *s, struct checkpoint *c, struct err *e)
{
    const struct journal *j = &s->journal;
    struct blob *bytes = NULL;
    int r = read_file(s, j->checkpoint, &bytes);
    if (r == -ENOENT)
        r = err_set(e, -EBADMSG, "the model %s is missing", j->checkpoint);
    if (r == 0)
        r = checkpoint_decode(bytes->data, bytes->len, c, e);
    blob_unref(bytes);
    if (r > 0)
        return err_wrap(e, -EBADMSG, "the model %s", j->checkpoint);
    if (r < 0)
        return r;
    uint8_t hash[SHA256_BYTES];
    checkpoint_model_hash(hash, c->model, c->parameters);
    if (c->parameters == j->parameters && memcmp(hash, j->model_hash, SHA256_BYTES) == 0)
        return 0;
    checkpoint_deinit(c);
    return err_set(
        e, -EBADMSG, "the model %s is not the one that the journal names", j->checkpoint);
}

static int set_path(struct store_sqlite *s)
{
    char *path = NULL;
    if (s->journal.checkpoint[0] &&
        asprintf(&path, "%s/%s", s->directory, s->journal.checkpoint) < 0)
        return -ENOMEM;
    free(s->checkpoint);
    s->checkpoint = path;
    return 0;
}

/* ---- transactions ---------------------------------------------------------------------------- */

static int begin(struct store_sqlite *s, struct journal *next)
{
    *next = (struct journal){0};
    journal_copy(next, &s->journal);
    return sql_execute(s->db, "BEGIN IMMEDIATE");
}

/* Commits if all went well so far; else nothing has happened. */
static int end(struct store_sqlite *s, struct journal *next, int r)
{
    if (r == 0)
        r = journal_save(s->db, next);
    if (r == 0)
        r = sql_execute(s->db, "COMMIT");
    if (r == 0) {
        journal_copy(&s->journal, next);
        r = set_path(s);
    } else if (sql_execute(s->db, "ROLLBACK") < 0) {
        /* rolled back already by the failure itself */
    }
    journal_deinit(next);
    return r;
}

static void set_view(struct journal *j, const struct blob *view)
{
    blob_unref(j->view);
    j->view = view ? blob_ref((struct blob *)view) : NULL;
}

/* ---- the operations of struct store ---------------------------------------------------------- */

static int do_load(struct store *store, struct store_state *out)
{
    struct store_sqlite *s = of(store);
    const struct journal *j = &s->journal;
    *out = (struct store_state){.has_run = j->has_run,
        .run_ended = j->run_ended,
        .rounds_done = j->rounds_done,
        .round = j->round,
        .phase = (enum store_phase)j->phase,
        .aborted = j->aborted,
        .attempt = j->attempt,
        .parameters = (uint32_t)j->parameters};
    memcpy(out->run, j->run, sizeof(out->run));
    memcpy(out->previous, j->previous, sizeof(out->previous));
    int r = journal_get_highs(s->db, &out->highs, &out->n_highs);
    struct checkpoint c = {0};
    if (r == 0 && j->has_run)
        r = read_model(s, &c, NULL);
    if (r < 0) {
        store_state_deinit(out);
        return r;
    }
    out->model = c.model;
    out->view = j->view ? blob_ref(j->view) : NULL;
    return 0;
}

static int do_begin_run(struct store *store, const uint8_t run[FED_RUN_BYTES], const char *task,
    const double *model, uint32_t parameters)
{
    struct store_sqlite *s = of(store);
    struct journal next;
    int r = begin(s, &next);
    next.has_run = true;
    next.run_ended = false;
    memcpy(next.run, run, sizeof(next.run));
    snprintf(next.task, sizeof(next.task), "%s", task);
    next.rounds_done = next.round = 0;
    next.aborted = 0;
    next.phase = STORE_IDLE;
    set_view(&next, NULL);
    memset(next.previous, 0, sizeof(next.previous));
    next.parameters = parameters;
    if (r == 0)
        r = write_model(s, &next, 0, 0, model);
    if (r == 0)
        r = sql_execute(s->db, "DELETE FROM sums");
    return end(s, &next, r);
}

static int do_open_round(struct store *store, uint64_t round)
{
    struct store_sqlite *s = of(store);
    struct journal next;
    int r = begin(s, &next);
    next.round = round;
    next.aborted = 0;
    next.phase = STORE_OPEN;
    set_view(&next, NULL);
    return end(s, &next, r);
}

static int do_commit(struct store *store, uint64_t attempt, const struct blob *view,
    const struct store_high *highs, size_t n)
{
    struct store_sqlite *s = of(store);
    struct journal next;
    int r = begin(s, &next);
    next.attempt = attempt;
    next.phase = STORE_COMMIT;
    set_view(&next, view);
    if (r == 0)
        r = journal_put_highs(s->db, &next, highs, n);
    return end(s, &next, r);
}

static int do_go(struct store *store, uint64_t attempt)
{
    struct store_sqlite *s = of(store);
    struct journal next;
    int r = begin(s, &next);
    next.phase = STORE_GO;
    return end(s, &next, r == 0 && attempt != next.attempt ? -EINVAL : r);
}

static struct journal_row new_row(void)
{
    return (struct journal_row){.ended_at = (uint64_t)time(NULL)};
}

static int do_close_attempt(struct store *store, const struct store_round *round)
{
    struct store_sqlite *s = of(store);
    struct journal next;
    int r = begin(s, &next);
    struct journal_row row = new_row();
    next.phase = round->outcome == STORE_ABORTED ? STORE_OPEN : STORE_IDLE;
    next.aborted += round->outcome == STORE_ABORTED;
    set_view(&next, NULL);
    if (r == 0)
        r = journal_add_round(s->db, &next, round, &row);
    return end(s, &next, r);
}

static int prune(struct store_sqlite *s, uint64_t round)
{
    if (round <= s->keep)
        return 0;
    uint64_t old = round - s->keep;
    if (old % CHECKPOINT_EVERY == 0)
        return 0;
    char name[JOURNAL_TEXT_MAX];
    name_checkpoint(name, s->journal.run, old);
    return disk_erase(s->disk, name);
}

static int do_result(struct store *store, const struct store_round *round, const double *model,
    uint32_t parameters, const uint8_t previous[SHA256_BYTES], const struct blob *sum)
{
    struct store_sqlite *s = of(store);
    struct journal next;
    struct journal_row row = new_row();
    int r = begin(s, &next);
    memcpy(row.base_hash, next.model_hash, SHA256_BYTES);
    memcpy(row.digest, previous, SHA256_BYTES);
    sha256(row.sum_hash, sum->data, sum->len);
    next.phase = STORE_IDLE;
    next.rounds_done++;
    next.parameters = parameters;
    memcpy(next.previous, previous, SHA256_BYTES);
    set_view(&next, NULL);
    if (r == 0)
        r = write_model(s, &next, round->round, round->attempt, model);
    memcpy(row.model_hash, next.model_hash, SHA256_BYTES);
    memcpy(row.checkpoint, next.checkpoint, sizeof(row.checkpoint));
    if (r == 0)
        r = journal_add_round(s->db, &next, round, &row);
    if (r == 0)
        r = sql_run(s->db, "INSERT INTO sums VALUES (?, ?, ?)", "iib", row.seq, round->round,
            (const void *)sum->data, sum->len);
    if (r == 0)
        r = sql_run(
            s->db, "DELETE FROM sums WHERE round + ? <= ?", "ii", (uint64_t)s->keep, round->round);
    r = end(s, &next, r);
    return r == 0 ? prune(s, round->round) : r;
}

static int do_end_run(struct store *store, const char *reason)
{
    struct store_sqlite *s = of(store);
    struct journal next;
    int r = begin(s, &next);
    next.run_ended = true;
    return end(s, &next, r);
}

static int do_outcome(struct store *store, uint64_t attempt, enum store_outcome *outcome)
{
    sql_statement q = NULL;
    int r = sql_prepare(of(store)->db, &q,
        "SELECT outcome FROM rounds WHERE attempt = ? AND attempt > 0", "i", attempt);
    if (r == 0)
        r = sql_step(q);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    *outcome = (enum store_outcome)sql_u64(q, 0);
    return 0;
}

static int do_evaluation(struct store *store, uint64_t round, double loss, double accuracy)
{
    struct store_sqlite *s = of(store);
    return sql_run(s->db, "REPLACE INTO evaluations VALUES (?, ?, ?, ?)", "bidd", s->journal.run,
        sizeof(s->journal.run), round, loss, accuracy);
}

static const char *do_checkpoint(struct store *store)
{
    return of(store)->checkpoint;
}

/* ---- published sums -------------------------------------------------------------------------- */

static int take_sum(sqlite3_stmt *q, int column, struct store_published *out)
{
    size_t len = (size_t)sqlite3_column_bytes(q, column);
    uint8_t stored[SHA256_BYTES];
    uint8_t hash[SHA256_BYTES];
    out->sum = blob_new(len);
    if (!out->sum)
        return -ENOMEM;
    int r = sql_bytes(q, column, out->sum->data, len);
    r = r ? r : sql_bytes(q, column + 1, stored, SHA256_BYTES);
    sha256(hash, out->sum->data, len);
    return r || memcmp(hash, stored, SHA256_BYTES) == 0 ? r : -EBADMSG;
}

static int take_published(sqlite3_stmt *q, struct store_published *out)
{
    *out = (struct store_published){.round = sql_u64(q, 0),
        .attempt = sql_u64(q, 1),
        .participants = (uint32_t)sql_u64(q, 2),
        .sites = strdup(sql_text(q, 3))};
    int r = out->sites ? 0 : -ENOMEM;
    r = r ? r : sql_bytes(q, 4, out->base_hash, SHA256_BYTES);
    r = r ? r : sql_bytes(q, 5, out->model_hash, SHA256_BYTES);
    r = r ? r : sql_bytes(q, 6, out->digest, SHA256_BYTES);
    r = r ? r : take_sum(q, 7, out);
    if (r < 0)
        store_published_deinit(out);
    return r;
}

static int do_published(
    struct store *store, uint64_t attempt, uint64_t round, struct store_published *out)
{
    struct store_sqlite *s = of(store);
    sql_statement q = NULL;
    int r = sql_prepare(s->db, &q,
        "SELECT rounds.round, attempt, participants, sites, base_hash, model_hash, digest, words,"
        " sum_hash FROM rounds JOIN sums USING (seq) WHERE run = ? AND"
        " ((? > 0 AND attempt = ?) OR (? = 0 AND rounds.round = ?))",
        "biiii", s->journal.run, sizeof(s->journal.run), attempt, attempt, attempt, round);
    if (r == 0)
        r = sql_step(q);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return take_published(q, out);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static json_t *describe_round(sqlite3_stmt *q)
{
    static const char *const outcomes[] = {
        [STORE_ABORTED] = "aborted", [STORE_SKIPPED] = "skipped", [STORE_SUMMED] = "summed"};
    uint64_t outcome = MIN(sql_u64(q, 2), (uint64_t)STORE_SUMMED);
    json_t *row = json_pack("{s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s}", "round",
        (json_int_t)sql_u64(q, 0), "attempt", (json_int_t)sql_u64(q, 1), "outcome",
        outcomes[outcome], "participants", (json_int_t)sql_u64(q, 3), "T",
        (json_int_t)sql_u64(q, 4), "upload_bytes", (json_int_t)sql_u64(q, 5), "key_bits",
        (json_int_t)(sql_u64(q, 6) * 8), "wall_ms", (json_int_t)sql_u64(q, 7), "ended_at",
        (json_int_t)sql_u64(q, 8), "reason", sql_text(q, 9), "sites", sql_text(q, 10), "checkpoint",
        sql_text(q, 11));
    if (row && sqlite3_column_type(q, 12) != SQLITE_NULL) {
        json_object_set_new(row, "loss", json_real(sqlite3_column_double(q, 12)));
        json_object_set_new(row, "accuracy", json_real(sqlite3_column_double(q, 13)));
    }
    return row;
}

static json_t *describe_evaluation(sqlite3_stmt *q)
{
    return json_pack("{s:I, s:f, s:f}", "round", (json_int_t)sql_u64(q, 0), "loss",
        sqlite3_column_double(q, 1), "accuracy", sqlite3_column_double(q, 2));
}

/* JSON array of what `describe` makes of each row; NULL on any failure. */
static char *list(sqlite3_stmt *q, json_t *(*describe)(sqlite3_stmt *q))
{
    json_t *all = json_array();
    int r = all ? 0 : -ENOMEM;
    while (r == 0 && (r = sql_step(q)) > 0)
        r = json_array_append_new(all, describe(q));
    char *text = r == 0 ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}

static char *do_rounds_json(struct store *store, uint64_t first)
{
    struct store_sqlite *s = of(store);
    sql_statement q = NULL;
    int r = sql_prepare(s->db, &q,
        "SELECT rounds.round, attempt, outcome, participants, tolerance, upload_bytes, key_bytes,"
        " wall_ms, ended_at, reason, sites, checkpoint, loss, accuracy FROM rounds"
        " LEFT JOIN evaluations ON evaluations.run = rounds.run"
        " AND evaluations.round = rounds.round AND outcome = 2"
        " WHERE rounds.run = ? AND rounds.round >= ? ORDER BY seq LIMIT ?",
        "bii", s->journal.run, sizeof(s->journal.run), MIN(first, (uint64_t)INT64_MAX),
        (uint64_t)ROUNDS_LISTED);
    return r == 0 ? list(q, describe_round) : NULL;
}

static char *do_evaluations_json(struct store *store)
{
    struct store_sqlite *s = of(store);
    sql_statement q = NULL;
    int r = sql_prepare(s->db, &q,
        "SELECT * FROM (SELECT round, loss, accuracy FROM evaluations WHERE run = ?"
        " ORDER BY round DESC LIMIT ?) ORDER BY round",
        "bi", s->journal.run, sizeof(s->journal.run), (uint64_t)EVALUATIONS_LISTED);
    return r == 0 ? list(q, describe_evaluation) : NULL;
}

/* ---- new ------------------------------------------------------------------------------------- */

static const struct store_ops ops = {
    .load = do_load,
    .begin_run = do_begin_run,
    .open_round = do_open_round,
    .commit = do_commit,
    .go = do_go,
    .close_attempt = do_close_attempt,
    .result = do_result,
    .end_run = do_end_run,
    .outcome = do_outcome,
    .evaluation = do_evaluation,
    .rounds_json = do_rounds_json,
    .checkpoint = do_checkpoint,
    .published = do_published,
    .evaluations_json = do_evaluations_json,
};

/* The model of a round that did not end before a crash: its row was never written. */
static int drop_orphan(struct store_sqlite *s)
{
    if (!s->journal.has_run || s->journal.phase == STORE_IDLE)
        return 0;
    char name[JOURNAL_TEXT_MAX];
    name_checkpoint(name, s->journal.run, s->journal.round);
    return disk_erase(s->disk, name);
}

static int open_journal(struct store_sqlite *s, struct err *e)
{
    auto_free char *path = NULL;
    if (asprintf(&path, "%s/journal.db", s->directory) < 0)
        return -ENOMEM;
    int r = sql_open(&s->db, path, e);
    if (r < 0)
        return r;
    r = journal_prepare(s->db, e);
    if (r == 0)
        r = journal_load(s->db, &s->journal, e);
    return r < 0 ? err_wrap(e, r, "the journal %s", path) : 0;
}

static int open_all(struct store_sqlite *s, struct err *e)
{
    int r = open_journal(s, e);
    if (r < 0)
        return r;
    struct checkpoint c = {0};
    if (s->journal.has_run)
        r = read_model(s, &c, e);
    checkpoint_deinit(&c);
    if (r == 0)
        r = set_path(s);
    return r == 0 ? drop_orphan(s) : r;
}

int store_sqlite_new(
    struct store **out, const struct store_sqlite_config *config, struct disk *disk, struct err *e)
{
    struct store_sqlite *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->store.ops = &ops;
    s->disk = disk;
    s->directory = strdup(config->directory);
    s->federation = strdup(config->federation);
    s->keep = config->keep ? config->keep : STORE_KEEP_DEFAULT;
    int r = s->directory && s->federation ? open_all(s, e) : -ENOMEM;
    if (r < 0)
        store_sqlite_free(&s->store);
    else
        *out = &s->store;
    return r;
}

void store_sqlite_free(struct store *store)
{
    if (!store)
        return;
    struct store_sqlite *s = of(store);
    journal_deinit(&s->journal);
    sqlite3_close(s->db);
    free(s->checkpoint);
    free(s->directory);
    free(s->federation);
    free(s);
}
