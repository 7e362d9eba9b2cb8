/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: what a flipped bit, a torn record and a lost file do, and what they never do. */
#include "keypool/vault/journal.h"
#include "tests/keypool/duet.h"

#include "common/buf.h"
#include "common/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BOTH (1u << ALICE | 1u << BOB)

static const uint8_t key[JOURNAL_KEY_BYTES] = "a key";

/* What a replay told: "S<snapshot>" or "<record>", one after the other. */
struct told {
    char text[16384];
};

static int tell(void *arg, enum journal_kind kind, uint64_t seq, const uint8_t *payload, size_t len)
{
    struct told *t = arg;
    size_t at = strlen(t->text);
    snprintf(t->text + at, sizeof(t->text) - at, "%s%.*s ", kind == JOURNAL_SNAPSHOT ? "S:" : "",
        (int)len, (const char *)payload);
    return 0;
}

static struct journal *open_told(struct disk_sim *s, struct told *t, int expected)
{
    struct journal *j = NULL;
    struct err e = {{0}};
    *t = (struct told){{0}};
    assert_int_equal(journal_open(&j, disk_sim_disk(s), key, tell, t, &e), expected);
    if (expected != 0)
        assert_true(strlen(e.text) > 20);
    return j;
}

static void append(struct journal *j, const char *text)
{
    assert_int_equal(journal_append(j, (const uint8_t *)text, strlen(text)), 0);
}

static void compact(struct journal *j, const char *text)
{
    assert_int_equal(journal_compact(j, (const uint8_t *)text, strlen(text)), 0);
}

/* A journal with a snapshot and the records one, two, three. */
static struct disk_sim *with_three(uint64_t seed)
{
    struct disk_sim *s = disk_sim_new(seed);
    struct told t;
    struct journal *j = open_told(s, &t, 0);
    compact(j, "zero");
    append(j, "one");
    append(j, "two");
    append(j, "three");
    journal_free(j);
    return s;
}

static void records_are_told_again_in_order(void **state)
{
    struct disk_sim *s = with_three(1);
    struct told t;
    struct journal *j = open_told(s, &t, 0);
    assert_string_equal(t.text, "S:zero one two three ");
    assert_int_equal(journal_seq(j), 3);
    assert_int_equal(journal_repairs(j), 0);
    compact(j, "all");
    append(j, "four");
    journal_free(j);
    j = open_told(s, &t, 0);
    assert_string_equal(t.text, "S:all four ");
    assert_int_equal(journal_seq(j), 4);
    t = (struct told){{0}};
    assert_int_equal(journal_walk(j, tell, &t), 0);
    assert_string_equal(t.text, "one two three four ");
    journal_free(j);
    disk_sim_free(s);
}

static void any_single_flipped_bit_is_harmless(void **state)
{
    struct disk_sim *s = with_three(2);
    int64_t size = disk_size(disk_sim_disk(s), "journal");
    assert_int_equal(size, 8 * JOURNAL_SECTOR);
    for (uint64_t byte = 0; byte < (uint64_t)size; byte++) {
        struct told t;
        uint64_t bit = 8 * byte + byte % 8;
        assert_int_equal(disk_sim_flip(s, "journal", bit), 0);
        struct journal *j = open_told(s, &t, 0);
        assert_string_equal(t.text, "S:zero one two three ");
        journal_free(j);
        assert_int_equal(disk_sim_flip(s, "journal", bit), 0);
    }
    disk_sim_free(s);
}

/* The end of the file did not come to the disk: nothing but zeros takes its place. */
static void a_last_copy_cut_short_is_filled_up(void **state)
{
    uint8_t whole[8 * JOURNAL_SECTOR];
    struct disk_sim *s = with_three(12);
    struct disk *disk = disk_sim_disk(s);
    assert_int_equal(disk_read(disk, "journal", 0, whole, sizeof(whole)), sizeof(whole));
    for (size_t cut = 6 * JOURNAL_SECTOR + 101; cut < sizeof(whole); cut += 41) {
        struct told t;
        uint8_t after[sizeof(whole)] = {0};
        assert_int_equal(disk_replace(disk, "journal", whole, cut), 0);
        journal_free(open_told(s, &t, 0));
        assert_string_equal(t.text, "S:zero one two three ");
        assert_int_equal(disk_size(disk, "journal"), sizeof(whole));
        assert_int_equal(disk_read(disk, "journal", 0, after, sizeof(after)), sizeof(after));
        assert_memory_equal(after, whole, cut);
        for (size_t i = cut; i < sizeof(after); i++)
            assert_int_equal(after[i], 0);
    }
    disk_sim_free(s);
}

/* Breaks both copies of the record in sectors 2 n and 2 n + 1. */
static void break_twins(struct disk_sim *s, uint64_t n)
{
    for (uint64_t copy = 0; copy < 2; copy++)
        assert_int_equal(
            disk_sim_flip(s, "journal", 8 * ((2 * n + copy) * JOURNAL_SECTOR + 70)), 0);
}

static void a_record_broken_in_both_copies_is_a_fault_unless_it_is_the_last(void **state)
{
    for (uint64_t n = 0; n < 3; n++) {
        struct disk_sim *s = with_three(3);
        struct told t;
        break_twins(s, n);
        (void)open_told(s, &t, JOURNAL_E_FAULT);
        disk_sim_free(s);
    }
    struct disk_sim *s = with_three(4);
    struct told t;
    break_twins(s, 3);
    struct journal *j = open_told(s, &t, 0);
    assert_string_equal(t.text, "S:zero one two ");
    append(j, "other three");
    journal_free(j);
    j = open_told(s, &t, 0);
    assert_string_equal(t.text, "S:zero one two other three ");
    journal_free(j);
    disk_sim_free(s);
}

static void another_key_is_told_apart_from_damage(void **state)
{
    struct disk_sim *s = with_three(5);
    struct journal *j = NULL;
    struct told t = {{0}};
    struct err e;
    static const uint8_t other[JOURNAL_KEY_BYTES] = "another key";
    assert_int_equal(journal_open(&j, disk_sim_disk(s), other, tell, &t, &e), JOURNAL_E_KEY);
    assert_non_null(strstr(e.text, "KEK"));
    disk_sim_free(s);
}

/* A record copied over a later one, or one left out, does not follow from the one before. */
static void records_cannot_be_moved(void **state)
{
    struct disk_sim *s = with_three(6);
    struct disk *d = disk_sim_disk(s);
    uint8_t twins[2 * JOURNAL_SECTOR];
    struct told t;
    assert_int_equal(
        disk_read(d, "journal", 6 * JOURNAL_SECTOR, twins, sizeof(twins)), sizeof(twins));
    assert_int_equal(disk_write(d, "journal", 4 * JOURNAL_SECTOR, twins, sizeof(twins)), 0);
    (void)open_told(s, &t, JOURNAL_E_FAULT);
    disk_sim_free(s);
}

static void an_acknowledged_record_survives_and_an_interrupted_one_is_whole_or_gone(void **state)
{
    static char big[10000];
    memset(big, 'b', sizeof(big) - 1);
    int kept = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct disk_sim *s = disk_sim_new(seed);
        struct told t;
        struct journal *j = open_told(s, &t, 0);
        compact(j, "zero");
        append(j, "one");
        disk_sim_cut_at(s, 1 + seed % 2);
        assert_int_equal(journal_append(j, (const uint8_t *)big, 3 * JOURNAL_SECTOR / 2), -EIO);
        disk_sim_crash(s);
        journal_free(j);
        j = open_told(s, &t, 0);
        assert_memory_equal(t.text, "S:zero one ", 11);
        kept += journal_seq(j) == 2;
        append(j, "after");
        journal_free(j);
        j = open_told(s, &t, 0);
        assert_non_null(strstr(t.text, "after "));
        journal_free(j);
        disk_sim_free(s);
    }
    assert_true(kept > 0 && kept < 300);
}

/* Compaction cut anywhere: the state is the old one or the new, the history has every record once. */
static void compaction_may_be_cut_anywhere(void **state)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct disk_sim *s = with_three(seed);
        struct told t;
        struct journal *j = open_told(s, &t, 0);
        disk_sim_cut_at(s, 1 + seed % 2);
        assert_int_equal(journal_compact(j, (const uint8_t *)"all", 3), -EIO);
        journal_free(j);
        disk_sim_crash(s);
        j = open_told(s, &t, 0);
        assert_int_equal(journal_seq(j), 3);
        append(j, "four");
        compact(j, "everything");
        append(j, "five");
        journal_free(j);
        j = open_told(s, &t, 0);
        assert_string_equal(t.text, "S:everything five ");
        t = (struct told){{0}};
        assert_int_equal(journal_walk(j, tell, &t), 0);
        assert_string_equal(t.text, "one two three four five ");
        journal_free(j);
        disk_sim_free(s);
    }
}

static void history_goes_on_in_the_next_file_and_may_be_put_away(void **state)
{
    struct disk_sim *s = disk_sim_new(7);
    struct disk *d = disk_sim_disk(s);
    struct told t;
    struct journal *j = open_told(s, &t, 0);
    static uint8_t big[300 * 1024];
    compact(j, "zero");
    for (int round = 0; round < 10; round++) {
        assert_int_equal(journal_append(j, big, sizeof(big)), 0);
        compact(j, "zero");
    }
    assert_int_equal(disk_size(d, "history/00000002") > 0, 1);
    t = (struct told){{0}};
    assert_int_equal(journal_walk(j, tell, &t), 0);
    assert_int_equal(disk_erase(d, "history/00000000"), 0);
    assert_int_equal(journal_walk(j, tell, &t), 0);
    assert_int_equal(disk_erase(d, "history/00000002"), 0); /* a hole is damage */
    assert_int_equal(journal_walk(j, tell, &t), JOURNAL_E_FAULT);
    journal_free(j);
    disk_sim_free(s);
}

static void a_flipped_bit_in_the_history_is_found(void **state)
{
    struct disk_sim *s = with_three(8);
    struct told t;
    struct journal *j = open_told(s, &t, 0);
    compact(j, "all");
    int64_t size = disk_size(disk_sim_disk(s), "history/00000000");
    assert_true(size > 0);
    for (uint64_t byte = 0; byte < (uint64_t)size; byte += 3) {
        assert_int_equal(disk_sim_flip(s, "history/00000000", 8 * byte), 0);
        assert_int_equal(journal_walk(j, tell, &t), JOURNAL_E_FAULT);
        assert_int_equal(disk_sim_flip(s, "history/00000000", 8 * byte), 0);
    }
    journal_free(j);
    disk_sim_free(s);
}

/* ---- a whole key pool over a damaged journal ------------------------------------------------- */

/* Every byte of the journal of a pool in use, flipped: it starts with the same cursors. */
static void a_pool_over_a_flipped_bit_starts_where_it_was(void **state)
{
    struct duet *d = duet_new(60);
    (void)duet_block(d, BOTH, 2000);
    duet_talk(d);
    for (uint64_t at = 0; at < 300; at += 100)
        for (enum duet_end end = ALICE; end <= BOB; end++)
            assert_int_equal(duet_reserve(d, end, 1 + at / 100, at, 90), 0);
    struct vault_account before = duet_account(d, ALICE, VAULT_MASK);
    duet_stop(d, ALICE);
    struct disk_image *image = disk_sim_snapshot(duet_disk(d, ALICE));
    int64_t size = disk_size(disk_sim_disk(duet_disk(d, ALICE)), "journal");
    /* All of the records, and as much of the padding as time allows. */
    for (uint64_t byte = 0; byte < (uint64_t)size; byte += byte % 4096 < 700 ? 13 : 499) {
        struct err e;
        assert_int_equal(disk_sim_flip(duet_disk(d, ALICE), "journal", 8 * byte + byte % 8), 0);
        assert_int_equal(duet_start(d, ALICE, &(struct duet_start){0}, &e), 0);
        struct vault_account after = duet_account(d, ALICE, VAULT_MASK);
        assert_int_equal(after.cursor, before.cursor);
        assert_int_equal(after.end, before.end);
        assert_int_equal(after.skipped, before.skipped);
        duet_stop(d, ALICE);
        disk_sim_restore(duet_disk(d, ALICE), image);
        duet_forget_witness(d, ALICE);
    }
    disk_image_free(image);
    duet_free(d);
}

/* The last burn is lost in both copies: the journal alone cannot know, the witness does. */
static void a_lost_last_record_is_found_out_by_the_witness(void **state)
{
    struct duet *d = duet_new(61);
    (void)duet_block(d, BOTH, 2000);
    duet_talk(d);
    assert_int_equal(duet_reserve(d, ALICE, 1, 0, 90), 0);
    duet_stop(d, ALICE);
    struct disk_sim *s = duet_disk(d, ALICE);
    uint64_t sectors = (uint64_t)disk_size(disk_sim_disk(s), "journal") / JOURNAL_SECTOR;
    for (uint64_t copy = 1; copy <= 2; copy++)
        assert_int_equal(
            disk_sim_flip(s, "journal", 8 * ((sectors - copy) * JOURNAL_SECTOR + 70)), 0);
    struct err e;
    assert_int_equal(duet_start(d, ALICE, &(struct duet_start){0}, &e), VAULT_OPEN_E_CLONED);
    duet_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_told_again_in_order),
        cmocka_unit_test(a_last_copy_cut_short_is_filled_up),
        cmocka_unit_test(any_single_flipped_bit_is_harmless),
        cmocka_unit_test(a_record_broken_in_both_copies_is_a_fault_unless_it_is_the_last),
        cmocka_unit_test(another_key_is_told_apart_from_damage),
        cmocka_unit_test(records_cannot_be_moved),
        cmocka_unit_test(an_acknowledged_record_survives_and_an_interrupted_one_is_whole_or_gone),
        cmocka_unit_test(compaction_may_be_cut_anywhere),
        cmocka_unit_test(history_goes_on_in_the_next_file_and_may_be_put_away),
        cmocka_unit_test(a_flipped_bit_in_the_history_is_found),
        cmocka_unit_test(a_pool_over_a_flipped_bit_starts_where_it_was),
        cmocka_unit_test(a_lost_last_record_is_found_out_by_the_witness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
