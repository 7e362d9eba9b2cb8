/* SPDX-License-Identifier: Apache-2.0 */
/* The disk that forgets: what survives a power cut, and what must not. */
#include "tests/sim/disk_sim.h"

#include "common/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SEEDS 200

static int64_t slurp(struct disk_sim *s, const char *name, uint8_t *out, size_t max)
{
    return disk_read(disk_sim_disk(s), name, 0, out, max);
}

static void fill(uint8_t *out, size_t len, uint8_t value)
{
    memset(out, value, len);
}

static void synced_writes_survive_every_crash(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *s = disk_sim_new(seed);
        struct disk *d = disk_sim_disk(s);
        assert_int_equal(disk_write(d, "journal", 0, "kept", 4), 0);
        assert_int_equal(disk_sync(d, "journal"), 0);
        disk_sim_crash(s);
        uint8_t got[8];
        assert_int_equal(slurp(s, "journal", got, sizeof(got)), 4);
        assert_memory_equal(got, "kept", 4);
        disk_sim_free(s);
    }
}

/* Counts over all seeds how an unsynced overwrite of two sectors ends. */
static void unsynced_writes_are_lost_kept_or_torn(void **state)
{
    int lost = 0, kept = 0, torn = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *s = disk_sim_new(seed);
        struct disk *d = disk_sim_disk(s);
        uint8_t old[2 * DISK_SIM_SECTOR], new[2 * DISK_SIM_SECTOR], got[2 * DISK_SIM_SECTOR];
        fill(old, sizeof(old), 'o');
        fill(new, sizeof(new), 'n');
        assert_int_equal(disk_write(d, "f", 0, old, sizeof(old)), 0);
        assert_int_equal(disk_sync(d, "f"), 0);
        assert_int_equal(disk_write(d, "f", 0, new, sizeof(new)), 0);
        disk_sim_crash(s);
        assert_int_equal(slurp(s, "f", got, sizeof(got)), sizeof(got));
        for (size_t i = 1; i < DISK_SIM_SECTOR; i++) { /* a sector is old or new, never a mix */
            assert_int_equal(got[i], got[0]);
            assert_int_equal(got[DISK_SIM_SECTOR + i], got[DISK_SIM_SECTOR]);
        }
        if (got[0] == got[DISK_SIM_SECTOR])
            *(got[0] == 'o' ? &lost : &kept) += 1;
        else
            torn++;
        disk_sim_free(s);
    }
    assert_true(lost > 0 && kept > 0 && torn > 0);
}

static void a_file_never_synced_may_vanish(void **state)
{
    int gone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *s = disk_sim_new(seed);
        assert_int_equal(disk_write(disk_sim_disk(s), "f", 0, "x", 1), 0);
        disk_sim_crash(s);
        gone += disk_size(disk_sim_disk(s), "f") == -ENOENT;
        disk_sim_free(s);
    }
    assert_true(gone > 0 && gone < SEEDS);
}

static void a_killed_process_loses_nothing_it_wrote(void **state)
{
    struct disk_sim *s = disk_sim_new(1);
    assert_int_equal(disk_write(disk_sim_disk(s), "f", 0, "x", 1), 0);
    disk_sim_kill(s);
    assert_int_equal(disk_size(disk_sim_disk(s), "f"), 1);
    disk_sim_free(s);
}

static void a_replace_is_old_or_new(void **state)
{
    int old = 0, new = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *s = disk_sim_new(seed);
        struct disk *d = disk_sim_disk(s);
        uint8_t got[4];
        assert_int_equal(disk_replace(d, "f", "old", 3), 0);
        disk_sim_cut_at(s, 1);
        assert_int_equal(disk_replace(d, "f", "new", 3), -EIO);
        assert_int_equal(slurp(s, "f", got, sizeof(got)), -EIO); /* no power: nothing answers */
        assert_true(disk_sim_is_cut(s));
        disk_sim_crash(s);
        assert_int_equal(slurp(s, "f", got, sizeof(got)), 3);
        *(memcmp(got, "old", 3) == 0 ? &old : &new) += 1;
        disk_sim_free(s);
    }
    assert_true(old > 0 && new > 0);
}

static void an_interrupted_erase_leaves_old_zeros_or_nothing(void **state)
{
    int gone = 0, old = 0, zeroed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *s = disk_sim_new(seed);
        struct disk *d = disk_sim_disk(s);
        assert_int_equal(disk_replace(d, "f", "old", 3), 0);
        disk_sim_cut_at(s, 1);
        assert_int_equal(disk_erase(d, "f"), -EIO);
        disk_sim_crash(s);
        uint8_t got[4] = {0};
        if (slurp(s, "f", got, sizeof(got)) == -ENOENT)
            gone++;
        else
            *(got[0] == 'o' ? &old : &zeroed) += 1;
        disk_sim_free(s);
    }
    assert_true(gone > 0 && old > 0 && zeroed > 0);
}

/* A core that ignores a failed sync and syncs again must lose its write in some seed. */
static void a_failed_sync_is_not_repaired_by_the_next(void **state)
{
    int lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_sim *s = disk_sim_new(seed);
        struct disk *d = disk_sim_disk(s);
        assert_int_equal(disk_write(d, "f", 0, "o", 1), 0);
        assert_int_equal(disk_sync(d, "f"), 0);
        assert_int_equal(disk_write(d, "f", 0, "n", 1), 0);
        disk_sim_fail_at(s, 1, -EIO);
        assert_int_equal(disk_sync(d, "f"), -EIO);
        assert_int_equal(disk_sync(d, "f"), 0);
        disk_sim_crash(s);
        uint8_t got;
        assert_int_equal(slurp(s, "f", &got, 1), 1);
        lost += got == 'o';
        disk_sim_free(s);
    }
    assert_true(lost > 0);
}

static int count_name(void *arg, const char *name)
{
    ++*(int *)arg;
    return 0;
}

static void a_backup_brings_the_past_back(void **state)
{
    struct disk_sim *s = disk_sim_new(7);
    struct disk *d = disk_sim_disk(s);
    assert_int_equal(disk_replace(d, "segments/a", "1", 1), 0);
    struct disk_image *image = disk_sim_snapshot(s);
    assert_int_equal(disk_replace(d, "segments/a", "2", 1), 0);
    assert_int_equal(disk_replace(d, "segments/b", "3", 1), 0);
    int names = 0;
    assert_int_equal(disk_list(d, "segments/", count_name, &names), 0);
    assert_int_equal(names, 2);
    disk_sim_restore(s, image);
    disk_image_free(image);
    names = 0;
    assert_int_equal(disk_list(d, "", count_name, &names), 0);
    assert_int_equal(names, 1);
    uint8_t got;
    assert_int_equal(slurp(s, "segments/a", &got, 1), 1);
    assert_int_equal(got, '1');
    disk_sim_free(s);
}

static void a_marker_is_found_in_all_that_was_ever_written(void **state)
{
    struct disk_sim *s = disk_sim_new(7);
    struct disk *d = disk_sim_disk(s);
    disk_sim_record(s);
    assert_int_equal(disk_write(d, "f", 0, "a marker of key", 15), 0);
    assert_int_equal(disk_sync(d, "f"), 0);
    assert_true(disk_sim_holds(s, "marker", 6));
    assert_int_equal(disk_erase(d, "f"), 0);
    assert_false(disk_sim_holds(s, "marker", 6));
    assert_true(disk_sim_has_written(s, "marker", 6));
    assert_false(disk_sim_has_written(s, "marked", 6));
    disk_sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_writes_survive_every_crash),
        cmocka_unit_test(unsynced_writes_are_lost_kept_or_torn),
        cmocka_unit_test(a_file_never_synced_may_vanish),
        cmocka_unit_test(a_killed_process_loses_nothing_it_wrote),
        cmocka_unit_test(a_replace_is_old_or_new),
        cmocka_unit_test(an_interrupted_erase_leaves_old_zeros_or_nothing),
        cmocka_unit_test(a_failed_sync_is_not_repaired_by_the_next),
        cmocka_unit_test(a_backup_brings_the_past_back),
        cmocka_unit_test(a_marker_is_found_in_all_that_was_ever_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
