/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of real files: contents, names, locks, and every system call failing once. The calls
 * are wrapped by the linker (--wrap). */
#include "common/disk_posix.h"
#include "common/util.h"
#include "tests/common/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the wrapped system calls ---- */

enum call { CALL_PWRITE, CALL_FSYNC, CALL_FDATASYNC, CALL_RENAME, CALL_UNLINK, CALLS };

struct plan {
    unsigned calls[CALLS];
    unsigned total;
    unsigned fail_at; /* the n-th call of all fails; 0: none */
    int error;
    bool stutter; /* writes are short and interrupted */
    bool stutter_turn;
};
static struct plan plan;

static bool fails(enum call call)
{
    plan.calls[call]++;
    if (++plan.total != plan.fail_at)
        return false;
    errno = plan.error;
    return true;
}

ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
    if (fails(CALL_PWRITE))
        return -1;
    if (plan.stutter && (plan.stutter_turn = !plan.stutter_turn)) {
        errno = EINTR;
        return -1;
    }
    return __real_pwrite64(fd, data, plan.stutter ? MIN(len, (size_t)3) : len, offset);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return fails(CALL_FSYNC) ? -1 : __real_fsync(fd);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    return fails(CALL_FDATASYNC) ? -1 : __real_fdatasync(fd);
}

int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails(CALL_RENAME) ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags)
{
    return fails(CALL_UNLINK) ? -1 : __real_unlinkat(dir, name, flags);
}

/* ---- a disk in a scratch folder ---- */

struct fixture {
    struct scratch scratch;
    struct disk *disk;
};

static struct disk *open_disk(const struct scratch *s)
{
    struct err e = {""};
    int r = 1;
    struct disk *d = disk_posix_new(scratch_path(s, "state"), &r, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
    assert_non_null(d);
    return d;
}

static int setup(void **state)
{
    plan = (struct plan){0};
    struct fixture *f = malloc(sizeof(*f));
    scratch_init(&f->scratch);
    f->disk = open_disk(&f->scratch);
    plan = (struct plan){0};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    plan = (struct plan){0};
    disk_posix_free(f->disk);
    scratch_deinit(&f->scratch);
    free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    disk_posix_free(f->disk);
    f->disk = open_disk(&f->scratch);
}

static void expect_contents(struct disk *d, const char *name, const char *text)
{
    char data[100] = "";
    assert_int_equal(disk_read(d, name, 0, data, sizeof(data)), (int)strlen(text));
    assert_memory_equal(data, text, strlen(text));
    assert_int_equal(disk_size(d, name), (int)strlen(text));
}

/* ---- what it does ---- */

static void test_write_read_size(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    char data[10];
    assert_int_equal(disk_read(d, "journal", 0, data, 10), -ENOENT);
    assert_int_equal(disk_size(d, "journal"), -ENOENT);
    assert_int_equal(disk_sync(d, "journal"), -ENOENT);
    assert_int_equal(disk_write(d, "journal", 0, "hello", 5), 0);
    assert_int_equal(disk_write(d, "journal", 5, " world", 6), 0);
    assert_int_equal(disk_sync(d, "journal"), 0);
    expect_contents(d, "journal", "hello world");
    assert_int_equal(disk_read(d, "journal", 9, data, 10), 2);
    assert_int_equal(disk_read(d, "journal", 50, data, 10), 0);
    reopen(*state);
    expect_contents(((struct fixture *)*state)->disk, "journal", "hello world");
}

static void test_files_and_folders_are_private(void **state)
{
    struct fixture *f = *state;
    mode_t mask = umask(0);
    assert_int_equal(disk_write(f->disk, "segments/one", 0, "x", 1), 0);
    assert_int_equal(disk_replace(f->disk, "table", "x", 1), 0);
    umask(mask);
    static const struct {
        const char *name;
        unsigned mode;
    } rows[] = {{"state", 0700}, {"state/segments", 0700}, {"state/segments/one", 0600},
        {"state/table", 0600}, {"state/.lock", 0600}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct stat st;
        assert_int_equal(stat(scratch_path(&f->scratch, rows[i].name), &st), 0);
        assert_int_equal(st.st_mode & 0777, rows[i].mode);
    }
    auto_free char *tag = scratch_read(&f->scratch, "state/CACHEDIR.TAG");
    assert_int_equal(strncmp(tag, "Signature: 8a477f597d28d172789f06886806bc55\n", 44), 0);
}

static void test_a_directory_for_backups_has_no_tag(void **state)
{
    struct fixture *f = *state;
    struct err e = {""};
    int r;
    disk_posix_free(steal(&f->disk));
    struct disk *d = disk_posix_new_for_backup(scratch_path(&f->scratch, "state"), &r, &e);
    assert_non_null(d);
    assert_int_equal(access(scratch_path(&f->scratch, "state/CACHEDIR.TAG"), F_OK), -1);
    disk_posix_free(d);
}

static void test_first_sync_also_syncs_the_entry(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    assert_int_equal(disk_write(d, "segments/one", 0, "x", 1), 0);
    assert_int_equal(plan.calls[CALL_FSYNC], 0);
    assert_int_equal(disk_sync(d, "segments/one"), 0);
    assert_int_equal(plan.calls[CALL_FDATASYNC], 1);
    assert_int_equal(plan.calls[CALL_FSYNC], 2); /* the folder and the top */
    assert_int_equal(disk_write(d, "segments/one", 1, "y", 1), 0);
    assert_int_equal(disk_sync(d, "segments/one"), 0);
    assert_int_equal(plan.calls[CALL_FDATASYNC], 2);
    assert_int_equal(plan.calls[CALL_FSYNC], 2); /* an append costs one fdatasync */
}

static void test_entry_is_synced_even_after_other_files_took_the_descriptor(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    assert_int_equal(disk_write(d, "first", 0, "x", 1), 0);
    for (int i = 0; i < 100; i++) {
        char name[20];
        snprintf(name, sizeof(name), "other%d", i);
        assert_int_equal(disk_write(d, name, 0, "x", 1), 0);
    }
    assert_int_equal(disk_sync(d, "first"), 0);
    assert_int_equal(plan.calls[CALL_FSYNC], 1);
    expect_contents(d, "first", "x");
}

/* The process that wrote them may have been killed before its sync. */
static void test_what_an_earlier_process_wrote_is_made_durable(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(disk_write(f->disk, "journal", 0, "x", 1), 0);
    assert_int_equal(disk_write(f->disk, "segments/one", 0, "x", 1), 0);
    reopen(f);
    assert_int_equal(plan.calls[CALL_FDATASYNC], 3); /* and CACHEDIR.TAG */
    assert_int_equal(plan.calls[CALL_FSYNC], 2);     /* the folder and the top */
    disk_posix_free(f->disk);
    plan = (struct plan){.fail_at = 1, .error = EIO};
    struct err e = {""};
    int r = 0;
    f->disk = disk_posix_new(scratch_path(&f->scratch, "state"), &r, &e);
    assert_null(f->disk);
    assert_int_equal(r, -EIO);
}

static void test_replace_is_the_whole_file(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    assert_int_equal(disk_write(d, "table", 0, "a long first version", 20), 0);
    assert_int_equal(disk_replace(d, "table", "short", 5), 0);
    expect_contents(d, "table", "short"); /* not the descriptor of the old file */
    assert_int_equal(disk_write(d, "table", 5, "er", 2), 0);
    expect_contents(d, "table", "shorter");
    assert_int_equal(disk_replace(d, "folder/table", "", 0), 0);
    expect_contents(d, "folder/table", "");
}

static void test_erase_overwrites_first(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(disk_write(f->disk, "pad", 0, "secret", 6), 0);
    assert_int_equal(
        link(scratch_path(&f->scratch, "state/pad"), scratch_path(&f->scratch, "kept")), 0);
    assert_int_equal(disk_erase(f->disk, "pad"), 0);
    assert_int_equal(disk_size(f->disk, "pad"), -ENOENT);
    char data[6];
    int fd = open(scratch_path(&f->scratch, "kept"), O_RDONLY);
    assert_int_equal(read(fd, data, 6), 6);
    close(fd);
    assert_memory_equal(data, "\0\0\0\0\0\0", 6);
    assert_int_equal(disk_erase(f->disk, "pad"), 0); /* not there: done */
    assert_int_equal(disk_erase(f->disk, "nofolder/pad"), 0);
}

struct seen {
    struct disk *disk;
    size_t n;
    char names[512];
};

static int see(void *arg, const char *name)
{
    struct seen *seen = arg;
    seen->n++;
    strcat(seen->names, name);
    strcat(seen->names, " ");
    return seen->disk ? disk_erase(seen->disk, name) : 0;
}

static int stop(void *arg, const char *name)
{
    return 7;
}

static void test_list(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    static const char *const names[] = {"journal", "segments/a", "segments/b", "segtable", "tmp/x"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(disk_replace(d, names[i], "x", 1), 0);
    struct seen all = {0};
    assert_int_equal(disk_list(d, "", see, &all), 0);
    assert_int_equal(all.n, 5); /* neither .lock nor CACHEDIR.TAG */
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_non_null(strstr(all.names, names[i]));
    assert_int_equal(disk_list(d, "segments/", stop, NULL), 7);
    struct seen segments = {.disk = d}; /* erases while it walks */
    assert_int_equal(disk_list(d, "segments/", see, &segments), 0);
    assert_int_equal(segments.n, 2);
    struct seen none = {0};
    assert_int_equal(disk_list(d, "segments/", see, &none), 0);
    assert_int_equal(none.n, 0);
    assert_int_equal(disk_list(d, "nothere/", see, &none), 0);
}

static void test_bad_names_are_refused(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    char longer[DISK_NAME_MAX + 2];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    const char *const names[] = {"", "/etc/passwd", "..", "../x", "a/../b", "a/b/c", "a/", "a//b",
        ".lock", "a/.x", ".new-x", "CACHEDIR.TAG", longer};
    char data[4];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_int_equal(disk_write(d, names[i], 0, "x", 1), -EINVAL);
        assert_int_equal(disk_read(d, names[i], 0, data, 4), -EINVAL);
        assert_int_equal(disk_replace(d, names[i], "x", 1), -EINVAL);
        assert_int_equal(disk_erase(d, names[i]), -EINVAL);
        assert_int_equal(disk_size(d, names[i]), -EINVAL);
        assert_int_equal(disk_sync(d, names[i]), -EINVAL);
    }
}

static void test_longest_name_works(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    char name[DISK_NAME_MAX + 1];
    memset(name, 'a', DISK_NAME_MAX);
    name[DISK_NAME_MAX] = '\0';
    name[3] = '/';
    assert_int_equal(disk_replace(d, name, "x", 1), 0);
    struct seen seen = {0};
    assert_int_equal(disk_list(d, "aaa/", see, &seen), 0);
    assert_int_equal(seen.n, 1);
    assert_int_equal(disk_erase(d, name), 0);
}

static void test_symbolic_links_are_not_followed(void **state)
{
    struct fixture *f = *state;
    scratch_write(&f->scratch, "elsewhere", "mine", 0600);
    assert_int_equal(symlink("../elsewhere", scratch_path(&f->scratch, "state/table")), 0);
    assert_int_equal(disk_write(f->disk, "table", 0, "yours", 5), -ELOOP);
    auto_free char *text = scratch_read(&f->scratch, "elsewhere");
    assert_string_equal(text, "mine");
}

static void test_second_process_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e = {""};
    int r = 0;
    assert_null(disk_posix_new(scratch_path(&f->scratch, "state"), &r, &e));
    assert_int_equal(r, -EBUSY);
    char expected[200];
    snprintf(expected, sizeof(expected), "%s/state: in use by process %d; stop that one first",
        f->scratch.path, (int)getpid());
    assert_string_equal(e.text, expected);
    reopen(f); /* the lock goes with the first one */
}

static void test_open_directories_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkdir(scratch_path(&f->scratch, "shared"), 0700), 0);
    assert_int_equal(chmod(scratch_path(&f->scratch, "shared"), 0770), 0);
    struct err e = {""};
    int r = 0;
    assert_null(disk_posix_new(scratch_path(&f->scratch, "shared"), &r, &e));
    assert_int_equal(r, -EPERM);
    assert_non_null(strstr(e.text, "group or others may write to it; run chmod go-w on it"));
    assert_null(disk_posix_new(scratch_path(&f->scratch, "no/such"), &r, &e));
    assert_int_equal(r, -ENOENT);
    assert_non_null(strstr(e.text, "no/such: cannot be created: No such file or directory"));
}

static void test_leftovers_of_a_crash_are_removed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(disk_replace(f->disk, "segments/a", "x", 1), 0);
    scratch_write(&f->scratch, "state/.new-table", "half", 0600);
    scratch_write(&f->scratch, "state/segments/.new-a", "half", 0600);
    reopen(f);
    assert_int_equal(access(scratch_path(&f->scratch, "state/.new-table"), F_OK), -1);
    assert_int_equal(access(scratch_path(&f->scratch, "state/segments/.new-a"), F_OK), -1);
    expect_contents(f->disk, "segments/a", "x");
}

static void test_descriptors_do_not_leak(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    size_t before = scratch_count_fds();
    for (int i = 0; i < 200; i++) {
        char name[20];
        snprintf(name, sizeof(name), "%s%d", i % 2 ? "f/" : "", i % 50);
        assert_int_equal(disk_write(f->disk, name, 0, "x", 1), 0);
        assert_int_equal(disk_sync(f->disk, name), 0);
        assert_int_equal(disk_replace(f->disk, name, "y", 1), 0);
        assert_int_equal(disk_size(f->disk, name), 1);
        if (i % 3 == 0)
            assert_int_equal(disk_erase(f->disk, name), 0);
    }
    assert_true(scratch_count_fds() <= before + 16);
    reopen(f);
    assert_int_equal(scratch_count_fds(), before);
}

/* ---- faults ---- */

static void test_short_and_interrupted_writes_go_on(void **state)
{
    struct fixture *f = *state;
    plan.stutter = true;
    assert_int_equal(disk_write(f->disk, "journal", 0, "0123456789", 10), 0);
    assert_int_equal(disk_replace(f->disk, "table", "abcdefghij", 10), 0);
    plan.stutter = false;
    expect_contents(f->disk, "journal", "0123456789");
    expect_contents(f->disk, "table", "abcdefghij");
}

static void test_failed_sync_is_final(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    assert_int_equal(disk_write(d, "journal", 0, "x", 1), 0);
    plan = (struct plan){.fail_at = 1, .error = EIO};
    assert_int_equal(disk_sync(d, "journal"), -EIO);
    char data[4];
    assert_int_equal(disk_sync(d, "journal"), -EIO);
    assert_int_equal(disk_write(d, "other", 0, "x", 1), -EIO);
    assert_int_equal(disk_read(d, "journal", 0, data, 4), -EIO);
    assert_int_equal(disk_replace(d, "other", "x", 1), -EIO);
    assert_int_equal(disk_erase(d, "journal"), -EIO);
    assert_int_equal(disk_list(d, "", stop, NULL), -EIO);
}

static void test_full_disk_is_reported_and_may_pass(void **state)
{
    struct disk *d = ((struct fixture *)*state)->disk;
    plan = (struct plan){.fail_at = 1, .error = ENOSPC};
    assert_int_equal(disk_write(d, "journal", 0, "x", 1), -ENOSPC);
    plan = (struct plan){.fail_at = 1, .error = ENOSPC};
    assert_int_equal(disk_replace(d, "table", "x", 1), -ENOSPC);
    assert_int_equal(disk_replace(d, "table", "x", 1), 0);
}

/* Whatever call fails, a replaced file is old or new, and after a reopen as well. */
static void test_replace_is_atomic_at_every_call(void **state)
{
    struct fixture *f = *state;
    unsigned failures = 0;
    int r = -EIO;
    for (unsigned n = 1; r < 0; n++) {
        plan = (struct plan){0};
        reopen(f);
        assert_int_equal(disk_replace(f->disk, "table", "old", 3), 0);
        plan = (struct plan){.fail_at = n, .error = EIO};
        r = disk_replace(f->disk, "table", "newer", 5);
        failures += r == -EIO;
        plan = (struct plan){0};
        reopen(f);
        auto_free char *text = scratch_read(&f->scratch, "state/table");
        assert_true(strcmp(text, "newer") == 0 || (r < 0 && strcmp(text, "old") == 0));
        assert_int_equal(access(scratch_path(&f->scratch, "state/.new-table"), F_OK), -1);
    }
    assert_int_equal(failures, 4); /* pwrite, fsync, rename, fsync of the directory */
}

/* Whatever call fails, erase says so. */
static void test_erase_fails_at_every_call(void **state)
{
    struct fixture *f = *state;
    unsigned failures = 0;
    int r = -EIO;
    for (unsigned n = 1; r < 0; n++) {
        plan = (struct plan){0};
        reopen(f);
        assert_int_equal(disk_replace(f->disk, "pad", "secret", 6), 0);
        plan = (struct plan){.fail_at = n, .error = EIO};
        r = disk_erase(f->disk, "pad");
        failures += r == -EIO;
    }
    assert_int_equal(failures, 4); /* pwrite, fdatasync, unlink, fsync of the directory */
    plan = (struct plan){0};
    assert_int_equal(disk_size(f->disk, "pad"), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_read_size),
        TEST(test_files_and_folders_are_private),
        TEST(test_a_directory_for_backups_has_no_tag),
        TEST(test_first_sync_also_syncs_the_entry),
        TEST(test_entry_is_synced_even_after_other_files_took_the_descriptor),
        TEST(test_what_an_earlier_process_wrote_is_made_durable),
        TEST(test_replace_is_the_whole_file),
        TEST(test_erase_overwrites_first),
        TEST(test_list),
        TEST(test_bad_names_are_refused),
        TEST(test_longest_name_works),
        TEST(test_symbolic_links_are_not_followed),
        TEST(test_second_process_is_refused),
        TEST(test_open_directories_are_refused),
        TEST(test_leftovers_of_a_crash_are_removed),
        TEST(test_descriptors_do_not_leak),
        TEST(test_short_and_interrupted_writes_go_on),
        TEST(test_failed_sync_is_final),
        TEST(test_full_disk_is_reported_and_may_pass),
        TEST(test_replace_is_atomic_at_every_call),
        TEST(test_erase_fails_at_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
