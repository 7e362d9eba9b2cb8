/* SPDX-License-Identifier: Apache-2.0 */
/* The store of the daemon: what it returns, killed at every write, damaged, locked, of another version. */
#include "server/store_sqlite.h"

#include "common/disk_posix.h"
#include "common/util.h"
#include "tests/common/scratch.h"
#include "tests/server/killer.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define PARAMETERS 3

/* A directory with its disk and store open. */
struct fixture {
    struct scratch scratch;
    struct disk *disk;
    struct store *store;
};

static struct store_sqlite_config config_for(const struct fixture *f)
{
    return (struct store_sqlite_config){
        .directory = f->scratch.path, .federation = "demo", .keep = 2};
}

static int open_store(struct fixture *f, struct err *e)
{
    int r;
    *e = (struct err){0};
    f->disk = disk_posix_new(f->scratch.path, &r, e);
    if (!f->disk)
        return r;
    struct store_sqlite_config config = config_for(f);
    r = store_sqlite_new(&f->store, &config, f->disk, e);
    if (r < 0) {
        disk_posix_free(f->disk);
        f->disk = NULL;
        f->store = NULL;
    }
    return r;
}

static void close_store(struct fixture *f)
{
    store_sqlite_free(f->store);
    disk_posix_free(f->disk);
    f->store = NULL;
    f->disk = NULL;
}

static void setup(struct fixture *f)
{
    struct err e;
    *f = (struct fixture){0};
    scratch_init(&f->scratch);
    assert_int_equal(open_store(f, &e), 0);
}

static void teardown(struct fixture *f)
{
    close_store(f);
    scratch_deinit(&f->scratch);
}

static void reopen(struct fixture *f)
{
    struct err e;
    close_store(f);
    int r = open_store(f, &e);
    if (r < 0)
        fail_msg("%s", e.text);
}

/* ---- a story of writes ----------------------------------------------------------------------- */

static struct blob *bytes_of(const char *text)
{
    struct blob *b = blob_new(strlen(text));
    memcpy(b->data, text, b->len);
    return b;
}

static int begin_run(struct store *s)
{
    static const uint8_t run[FED_RUN_BYTES] = {0xab, 1, 2, 3};
    static const double model[PARAMETERS] = {1, 2, 3};
    return s->ops->begin_run(s, run, "test", model, PARAMETERS);
}

static int commit(struct store *s, uint64_t attempt, uint64_t high)
{
    struct store_high highs[2] = {{.stream = {1}, .high = high, .burnt = high - 1},
        {.stream = {2}, .high = high + 1, .burnt = 7}};
    struct blob *view = bytes_of("a view");
    int r = s->ops->commit(s, attempt, view, highs, 2);
    blob_unref(view);
    return r;
}

static int close_attempt(struct store *s, uint64_t attempt, enum store_outcome outcome)
{
    const struct store_round row = {.round = attempt <= 2 ? 1 : 2,
        .attempt = attempt,
        .outcome = outcome,
        .participants = 3,
        .tolerance = 1,
        .key_bytes = 228,
        .reason = "because",
        .sites = "alice,bob,charlie"};
    return s->ops->close_attempt(s, &row);
}

static int publish(struct store *s, uint64_t round, uint64_t attempt)
{
    const struct store_round row = {.round = round,
        .attempt = attempt,
        .outcome = STORE_SUMMED,
        .participants = 3,
        .tolerance = 1,
        .upload_bytes = 24,
        .key_bytes = 228,
        .wall_ms = 12,
        .reason = "",
        .sites = "alice,bob,charlie"};
    const double model[PARAMETERS] = {(double)round + 1, 2, 3};
    const uint8_t digest[SHA256_BYTES] = {(uint8_t)round};
    struct blob *sum = bytes_of("the sum");
    sum->data[0] = (uint8_t)round;
    int r = s->ops->result(s, &row, model, PARAMETERS, digest, sum);
    blob_unref(sum);
    return r;
}

#define STORY 13

static int tell(struct store *s, int step)
{
    switch (step) {
    case 0:
        return begin_run(s);
    case 1:
        return s->ops->open_round(s, 1);
    case 2:
        return commit(s, 1, 100);
    case 3:
        return close_attempt(s, 1, STORE_ABORTED);
    case 4:
        return commit(s, 2, 200);
    case 5:
        return s->ops->go(s, 2);
    case 6:
        return publish(s, 1, 2);
    case 7:
        return s->ops->evaluation(s, 1, 0.5, 0.75);
    case 8:
        return s->ops->open_round(s, 2);
    case 9:
        return commit(s, 3, 300);
    case 10:
        return s->ops->go(s, 3);
    case 11:
        return close_attempt(s, 3, STORE_SKIPPED);
    default:
        return s->ops->end_run(s, "done");
    }
}

/* What load returns, as a text; to be freed. */
static char *sign(struct store *s)
{
    struct store_state st = {0};
    assert_int_equal(s->ops->load(s, &st), 0);
    char *text;
    char highs[200] = "";
    for (size_t i = 0; i < st.n_highs; i++)
        snprintf(highs + strlen(highs), sizeof(highs) - strlen(highs), " %u:%llu:%llu",
            st.highs[i].stream[0], (unsigned long long)st.highs[i].high,
            (unsigned long long)st.highs[i].burnt);
    assert_true(asprintf(&text,
                    "run %d%d done %llu round %llu phase %d attempt %llu view %zu "
                    "previous %d model %g highs%s, %u aborted",
                    st.has_run, st.run_ended, (unsigned long long)st.rounds_done,
                    (unsigned long long)st.round, (int)st.phase, (unsigned long long)st.attempt,
                    st.view ? st.view->len : 0, st.previous[0], st.model ? st.model[0] : 0, highs,
                    st.aborted) > 0);
    store_state_deinit(&st);
    return text;
}

static void tell_story(struct fixture *f)
{
    for (int i = 0; i < STORY; i++)
        assert_int_equal(tell(f->store, i), 0);
}

/* ---- what it returns ------------------------------------------------------------------------- */

static void load_returns_what_was_written(void **state)
{
    static const char *const expected[STORY] = {
        "run 10 done 0 round 0 phase 0 attempt 0 view 0 previous 0 model 1 highs, 0 aborted",
        "run 10 done 0 round 1 phase 1 attempt 0 view 0 previous 0 model 1 highs, 0 aborted",
        "run 10 done 0 round 1 phase 2 attempt 1 view 6 previous 0 model 1 highs 1:100:99 2:101:7, "
        "0 aborted",
        "run 10 done 0 round 1 phase 1 attempt 1 view 0 previous 0 model 1 highs 1:100:99 2:101:7, "
        "1 aborted",
        "run 10 done 0 round 1 phase 2 attempt 2 view 6 previous 0 model 1 highs 1:200:199 "
        "2:201:7, 1 aborted",
        "run 10 done 0 round 1 phase 3 attempt 2 view 6 previous 0 model 1 highs 1:200:199 "
        "2:201:7, 1 aborted",
        "run 10 done 1 round 1 phase 0 attempt 2 view 0 previous 1 model 2 highs 1:200:199 "
        "2:201:7, 1 aborted",
        "run 10 done 1 round 1 phase 0 attempt 2 view 0 previous 1 model 2 highs 1:200:199 "
        "2:201:7, 1 aborted",
        "run 10 done 1 round 2 phase 1 attempt 2 view 0 previous 1 model 2 highs 1:200:199 "
        "2:201:7, 0 aborted",
        "run 10 done 1 round 2 phase 2 attempt 3 view 6 previous 1 model 2 highs 1:300:299 "
        "2:301:7, 0 aborted",
        "run 10 done 1 round 2 phase 3 attempt 3 view 6 previous 1 model 2 highs 1:300:299 "
        "2:301:7, 0 aborted",
        "run 10 done 1 round 2 phase 0 attempt 3 view 0 previous 1 model 2 highs 1:300:299 "
        "2:301:7, 0 aborted",
        "run 11 done 1 round 2 phase 0 attempt 3 view 0 previous 1 model 2 highs 1:300:299 "
        "2:301:7, 0 aborted",
    };
    struct fixture f;
    setup(&f);
    for (int i = 0; i < STORY; i++) {
        assert_int_equal(tell(f.store, i), 0);
        auto_free char *now = sign(f.store);
        assert_string_equal(now, expected[i]);
        reopen(&f);
        auto_free char *after = sign(f.store);
        assert_string_equal(after, expected[i]);
    }
    teardown(&f);
}

static void a_mark_may_go_down(void **state)
{
    struct fixture f;
    setup(&f);
    assert_int_equal(begin_run(f.store), 0);
    assert_int_equal(f.store->ops->open_round(f.store, 1), 0);
    assert_int_equal(commit(f.store, 1, 500), 0);
    assert_int_equal(commit(f.store, 2, 400), 0);
    reopen(&f);
    auto_free char *text = sign(f.store);
    assert_non_null(strstr(text, "highs 1:400:399 2:401:7"));
    teardown(&f);
}

static void outcomes_are_known_by_attempt(void **state)
{
    struct fixture f;
    enum store_outcome outcome;
    setup(&f);
    tell_story(&f);
    struct store *s = f.store;
    assert_int_equal(s->ops->outcome(s, 1, &outcome), 0);
    assert_int_equal(outcome, STORE_ABORTED);
    assert_int_equal(s->ops->outcome(s, 2, &outcome), 0);
    assert_int_equal(outcome, STORE_SUMMED);
    assert_int_equal(s->ops->outcome(s, 3, &outcome), 0);
    assert_int_equal(outcome, STORE_SKIPPED);
    assert_int_equal(s->ops->outcome(s, 4, &outcome), -ENOENT);
    assert_int_equal(s->ops->outcome(s, 0, &outcome), -ENOENT);
    teardown(&f);
}

static void a_published_sum_can_be_had_again(void **state)
{
    struct fixture f;
    setup(&f);
    tell_story(&f);
    reopen(&f);
    struct store_published p;
    assert_int_equal(f.store->ops->published(f.store, 2, 0, &p), 0);
    assert_int_equal(p.round, 1);
    assert_int_equal(p.participants, 3);
    assert_int_equal(p.sum->len, 7);
    assert_int_equal(p.digest[0], 1);
    assert_string_equal(p.sites, "alice,bob,charlie");
    blob_unref(p.sum);
    free(p.sites);
    assert_int_equal(f.store->ops->published(f.store, 0, 1, &p), 0);
    assert_int_equal(p.attempt, 2);
    blob_unref(p.sum);
    free(p.sites);
    assert_int_equal(f.store->ops->published(f.store, 1, 0, &p), -ENOENT);
    assert_int_equal(f.store->ops->published(f.store, 0, 0, &p), -ENOENT);
    teardown(&f);
}

static void lists_are_json(void **state)
{
    struct fixture f;
    setup(&f);
    tell_story(&f);
    auto_free char *rounds = f.store->ops->rounds_json(f.store, 1);
    assert_non_null(strstr(rounds, "{\"round\":1,\"attempt\":2,\"outcome\":\"summed\","
                                   "\"participants\":3,\"T\":1,\"upload_bytes\":24,"
                                   "\"key_bits\":1824,\"wall_ms\":12,"));
    assert_non_null(strstr(rounds, "\"loss\":0.5,\"accuracy\":0.75}"));
    assert_non_null(strstr(rounds, "\"outcome\":\"skipped\""));
    auto_free char *later = f.store->ops->rounds_json(f.store, 2);
    assert_null(strstr(later, "\"round\":1,"));
    auto_free char *evaluations = f.store->ops->evaluations_json(f.store);
    assert_string_equal(evaluations, "[{\"round\":1,\"loss\":0.5,\"accuracy\":0.75}]");
    teardown(&f);
}

static bool exists(const struct fixture *f, const char *name)
{
    struct stat st;
    return stat(scratch_path(&f->scratch, name), &st) == 0;
}

/* keep is 2: of rounds 1 to 13 the newest two and every tenth stay, and the first model. */
static void old_checkpoints_are_thinned_out(void **state)
{
    struct fixture f;
    setup(&f);
    assert_int_equal(begin_run(f.store), 0);
    for (uint64_t r = 1; r <= 13; r++) {
        assert_int_equal(f.store->ops->open_round(f.store, r), 0);
        assert_int_equal(publish(f.store, r, r), 0);
    }
    static const bool kept[14] = {[0] = true, [10] = true, [12] = true, [13] = true};
    for (int r = 0; r <= 13; r++) {
        char name[64];
        snprintf(name, sizeof(name), "checkpoints/ab010203-%08d.qflm", r);
        assert_int_equal(exists(&f, name), kept[r]);
    }
    struct store_published p;
    assert_int_equal(f.store->ops->published(f.store, 11, 0, &p), -ENOENT);
    assert_int_equal(f.store->ops->published(f.store, 12, 0, &p), 0);
    blob_unref(p.sum);
    free(p.sites);
    assert_non_null(strstr(f.store->ops->checkpoint(f.store), "ab010203-00000013.qflm"));
    teardown(&f);
}

/* ---- killed at every write ------------------------------------------------------------------- */

/* Tells the story from the start and reports every acknowledged step; dies in the n-th write. */
static _Noreturn void die_in_write(const char *directory, uint64_t n, bool torn, int to)
{
    struct fixture f = {0};
    struct err e;
    snprintf(f.scratch.path, sizeof(f.scratch.path), "%s", directory);
    killer_arm(n, torn);
    if (open_store(&f, &e) < 0)
        _exit(3);
    f.disk = killer_disk(f.disk);
    store_sqlite_free(f.store);
    struct store_sqlite_config config = config_for(&f);
    if (store_sqlite_new(&f.store, &config, f.disk, &e) < 0)
        _exit(3);
    for (int i = 0; i < STORY; i++) {
        if (tell(f.store, i) != 0 || write(to, "x", 1) != 1)
            _exit(3);
    }
    _exit(0);
}

/* Steps that were acknowledged before the child died; false if it lived. */
static bool run_child(const char *directory, uint64_t n, bool torn, size_t *acknowledged)
{
    int ends[2];
    char buffer[STORY];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        die_in_write(directory, n, torn, ends[1]);
    close(ends[1]);
    *acknowledged = 0;
    ssize_t got;
    while ((got = read(ends[0], buffer, sizeof(buffer))) > 0)
        *acknowledged += (size_t)got;
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == KILLER_STATUS);
    return WEXITSTATUS(status) == KILLER_STATUS;
}

static void reference(char *signs[STORY + 1])
{
    struct fixture f;
    setup(&f);
    signs[0] = sign(f.store);
    for (int i = 0; i < STORY; i++) {
        assert_int_equal(tell(f.store, i), 0);
        signs[i + 1] = sign(f.store);
    }
    teardown(&f);
}

static bool kill_once(char *const signs[STORY + 1], uint64_t n, bool torn)
{
    struct fixture f = {0};
    struct err e;
    size_t done;
    scratch_init(&f.scratch);
    bool died = run_child(f.scratch.path, n, torn, &done);
    int r = open_store(&f, &e);
    if (r < 0)
        fail_msg("write %llu: %s", (unsigned long long)n, e.text);
    auto_free char *text = sign(f.store);
    bool is_before = strcmp(text, signs[done]) == 0;
    bool is_after = done < STORY && strcmp(text, signs[done + 1]) == 0;
    if (!is_before && !is_after)
        fail_msg("write %llu, after %zu steps: %s", (unsigned long long)n, done, text);
    teardown(&f);
    return died;
}

static void killed_at_every_write(void **state)
{
    char *signs[STORY + 1];
    reference(signs);
    uint64_t n = 1;
    while (kill_once(signs, n, false) && kill_once(signs, n, true))
        n++;
    assert_true(n > 50);
    for (int i = 0; i <= STORY; i++)
        free(signs[i]);
}

/* ---- damage, locks, versions ----------------------------------------------------------------- */

static void flip(const char *path, off_t at, uint8_t bit)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (uint8_t)(1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* One flipped bit, at many places of the file: refused with a sentence, or without effect. */
static void flip_everywhere(const char *name, off_t stride)
{
    struct fixture f;
    struct stat st;
    setup(&f);
    for (int i = 0; i < 10; i++)
        assert_int_equal(tell(f.store, i), 0);
    auto_free char *good = sign(f.store);
    close_store(&f);
    const char *path = scratch_path(&f.scratch, name);
    auto_free char *kept = strdup(path);
    assert_int_equal(stat(kept, &st), 0);
    size_t refused = 0;
    for (off_t at = 0; at < st.st_size; at += stride) {
        struct err e;
        flip(kept, at, (uint8_t)(at % 8));
        int r = open_store(&f, &e);
        if (r < 0) {
            refused++;
            assert_true(e.text[0]);
        } else {
            auto_free char *text = sign(f.store);
            assert_string_equal(text, good);
            close_store(&f);
        }
        flip(kept, at, (uint8_t)(at % 8));
    }
    assert_true(refused > 0);
    reopen(&f);
    auto_free char *text = sign(f.store);
    assert_string_equal(text, good);
    teardown(&f);
}

static void flipped_bits_of_the_journal_are_refused(void **state)
{
    flip_everywhere("journal.db", 37);
}

static void flipped_bits_of_the_model_are_refused(void **state)
{
    flip_everywhere("checkpoints/ab010203-00000001.qflm", 3);
}

static void a_missing_model_is_named(void **state)
{
    struct fixture f;
    struct err e;
    setup(&f);
    tell_story(&f);
    close_store(&f);
    assert_int_equal(unlink(scratch_path(&f.scratch, "checkpoints/ab010203-00000001.qflm")), 0);
    assert_int_equal(open_store(&f, &e), -EBADMSG);
    assert_string_equal(e.text, "the model checkpoints/ab010203-00000001.qflm is missing");
    scratch_deinit(&f.scratch);
}

static void change(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    close_store(f);
    assert_int_equal(sqlite3_open(scratch_path(&f->scratch, "journal.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void expect_refused(const char *sql, int error, const char *sentence)
{
    struct fixture f;
    struct err e;
    setup(&f);
    tell_story(&f);
    change(&f, sql);
    assert_int_equal(open_store(&f, &e), error);
    const char *told = strstr(e.text, "journal.db: ");
    assert_non_null(told);
    assert_string_equal(told + strlen("journal.db: "), sentence);
    scratch_deinit(&f.scratch);
}

static void changed_rows_are_refused(void **state)
{
    expect_refused(
        "UPDATE state SET attempt = 2", -EBADMSG, "damaged: its state does not fit its hash");
    expect_refused("DELETE FROM state", -EBADMSG, "damaged: its state does not fit its hash");
    expect_refused("UPDATE highs SET high = high - 1 WHERE burnt = 7", -EBADMSG,
        "damaged: the high marks of key do not fit their hash");
    expect_refused("DELETE FROM highs WHERE burnt = 7", -EBADMSG,
        "damaged: the high marks of key do not fit their hash");
    expect_refused("UPDATE rounds SET outcome = 1 WHERE attempt = 2", -EBADMSG,
        "damaged: the rounds do not fit their hash");
    expect_refused("DELETE FROM rounds WHERE attempt = 3", -EBADMSG,
        "damaged: the rounds do not fit their hash");
}

static void other_versions_are_refused(void **state)
{
    expect_refused("PRAGMA user_version = 2", -EPROTO,
        "written by a newer qfl-server (schema 2, this one knows 1): install that version");
    expect_refused("PRAGMA application_id = 5", -EBADMSG, "not a journal of qfl-server");
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct fixture f = {0};
    struct err e;
    scratch_init(&f.scratch);
    scratch_write(&f.scratch, "journal.db",
        "This is a text, and long enough to be one of those "
        "that sqlite takes for a file of its own.\n",
        0600);
    assert_int_equal(open_store(&f, &e), -EBADMSG);
    assert_non_null(strstr(e.text, "is damaged: file is not a database"));
    scratch_deinit(&f.scratch);
}

static void a_second_process_is_refused(void **state)
{
    struct fixture f;
    setup(&f);
    pid_t pid = fork();
    if (pid == 0) {
        struct err e;
        struct store_sqlite_config config = config_for(&f);
        struct store *second;
        int r = store_sqlite_new(&second, &config, f.disk, &e);
        _exit(r == -EBUSY && strstr(e.text, "is in use by another process") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    teardown(&f);
}

int main(void)
{
    killer_register();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_returns_what_was_written),
        cmocka_unit_test(a_mark_may_go_down),
        cmocka_unit_test(outcomes_are_known_by_attempt),
        cmocka_unit_test(a_published_sum_can_be_had_again),
        cmocka_unit_test(lists_are_json),
        cmocka_unit_test(old_checkpoints_are_thinned_out),
        cmocka_unit_test(killed_at_every_write),
        cmocka_unit_test(flipped_bits_of_the_journal_are_refused),
        cmocka_unit_test(flipped_bits_of_the_model_are_refused),
        cmocka_unit_test(a_missing_model_is_named),
        cmocka_unit_test(changed_rows_are_refused),
        cmocka_unit_test(other_versions_are_refused),
        cmocka_unit_test(a_file_that_is_no_database_is_refused),
        cmocka_unit_test(a_second_process_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
