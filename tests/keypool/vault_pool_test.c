/* SPDX-License-Identifier: Apache-2.0 */
/* Two key pools agree: blocks, decisions, cursors, rollback, and what a liar in between can do. */
#include "tests/keypool/duet.h"

#include "common/util.h"
#include "proto/pool.pb-c.h"
#include "proto/vault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BOTH (1u << ALICE | 1u << BOB)

static void a_block_at_both_ends_becomes_key(void **state)
{
    struct duet *d = duet_new(1);
    size_t b = duet_block(d, BOTH, 10000);
    duet_talk(d);
    assert_int_equal(duet_decided(d, ALICE, b), 1);
    assert_int_equal(duet_decided(d, BOB, b), 1);
    /* The tag took k and a pad of the 4 KiB from bob to alice; they are filled up first. */
    assert_int_equal(duet_account(d, ALICE, VAULT_AUTH_RX).used, 32);
    assert_int_equal(duet_account(d, ALICE, VAULT_AUTH_RX).available, 4096);
    assert_int_equal(duet_account(d, BOB, VAULT_MASK).available, 10000 - 32);
    duet_settle(d);
    duet_free(d);
}

static void both_ends_hand_out_the_blocks_bytes(void **state)
{
    struct duet *d = duet_new(2);
    size_t b = duet_block(d, BOTH, 200000);
    duet_talk(d);
    uint64_t attempt = duet_next_attempt(d);
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        assert_int_equal(duet_reserve(d, end, attempt, 0, 150000), VAULT_OK);
        for (uint32_t at = 0; at < 150000; at += 50000) {
            const uint8_t *pad = duet_take(d, end, at, 50000);
            assert_non_null(pad);
            assert_memory_equal(pad, duet_block_bytes(d, b) + 32 + at, 50000);
        }
    }
    duet_settle(d);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).used, 150000);
    duet_audit(d);
    duet_free(d);
}

static void the_order_of_ingest_does_not_matter(void **state)
{
    struct duet *d = duet_new(3);
    size_t first = duet_block(d, 1u << BOB, 1000);
    duet_talk(d);
    size_t second = duet_block(d, 1u << ALICE, 2000);
    duet_talk(d);
    assert_int_equal(duet_ingest(d, BOB, second, false), VAULT_OK);
    duet_talk(d);
    assert_int_equal(duet_ingest(d, ALICE, first, false), VAULT_OK);
    duet_talk(d);
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        assert_int_equal(duet_decided(d, end, first), 1);
        assert_int_equal(duet_decided(d, end, second), 1);
    }
    duet_settle(d);
    duet_free(d);
}

static void a_block_of_one_end_only_is_voided_in_time(void **state)
{
    struct duet *d = duet_new(4);
    size_t of_alice = duet_block(d, 1u << ALICE, 1000);
    size_t of_bob = duet_block(d, 1u << BOB, 1000);
    duet_talk(d);
    duet_pass(d, 59 * 1000);
    assert_int_equal(duet_decided(d, ALICE, of_alice), 0);
    duet_pass(d, 2 * 1000);
    assert_int_equal(duet_decided(d, ALICE, of_alice), -1);
    assert_int_equal(duet_decided(d, BOB, of_bob), -1);
    duet_restart(d, BOB);
    duet_restart(d, BOB);
    assert_int_equal(duet_ingest(d, BOB, of_alice, false), VAULT_DUPLICATE);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).ingested, 0);
    duet_settle(d);
    duet_free(d);
}

static void a_block_that_differs_is_void_with_an_alarm(void **state)
{
    struct duet *d = duet_new(5);
    size_t b = duet_block(d, 1u << ALICE, 1000);
    assert_int_equal(duet_ingest(d, BOB, b, true), VAULT_OK);
    duet_talk(d);
    assert_int_equal(duet_decided(d, ALICE, b), -1);
    assert_int_equal(duet_decided(d, BOB, b), -1);
    assert_true(duet_noted(d, ALICE, "wrong tag"));
    duet_settle(d);
    duet_free(d);
}

/* Flips one bit of every tag. */
static bool spoil_tags(void *arg, enum duet_end from, uint8_t *data, size_t *len)
{
    if ((data[0] | data[1] << 8) == POOL_STAGED)
        data[*len - 1] ^= 0x80;
    return true;
}

static void a_spoilt_tag_voids_the_block(void **state)
{
    struct duet *d = duet_new(6);
    duet_set_tamper(d, spoil_tags, NULL);
    size_t b = duet_block(d, BOTH, 1000);
    duet_talk(d);
    assert_int_equal(duet_decided(d, ALICE, b), -1);
    assert_int_equal(duet_decided(d, BOB, b), -1);
    assert_true(duet_noted(d, ALICE, "wrong tag"));
    duet_free(d);
}

/* Keeps copies of what goes by. */
struct recorder {
    uint8_t data[64][2048];
    size_t len[64];
    enum duet_end from[64];
    size_t n;
};

static bool record(void *arg, enum duet_end from, uint8_t *data, size_t *len)
{
    struct recorder *r = arg;
    if (r->n < 64 && *len <= sizeof(r->data[0])) {
        memcpy(r->data[r->n], data, *len);
        r->len[r->n] = *len;
        r->from[r->n++] = from;
    }
    return true;
}

static void replayed_and_reordered_messages_change_nothing(void **state)
{
    struct duet *d = duet_new(7);
    static struct recorder r;
    r.n = 0;
    duet_set_tamper(d, record, &r);
    for (int i = 0; i < 5; i++) {
        (void)duet_block(d, BOTH, 1000);
        duet_talk(d);
    }
    uint64_t attempt = duet_next_attempt(d);
    assert_int_equal(duet_reserve(d, ALICE, attempt, 0, 500), VAULT_OK);
    assert_int_equal(duet_reserve(d, BOB, attempt, 0, 500), VAULT_OK);
    duet_talk(d);
    struct vault_account before[2] = {
        duet_account(d, ALICE, VAULT_MASK), duet_account(d, BOB, VAULT_MASK)};
    duet_set_tamper(d, NULL, NULL);
    assert_true(r.n > 10);
    for (size_t i = r.n; i-- > 0;)
        duet_inject(d, !r.from[i], r.data[i], r.len[i]);
    for (size_t i = 0; i < r.n; i++)
        duet_inject(d, !r.from[i], r.data[i], r.len[i]);
    duet_talk(d);
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        struct vault_account after = duet_account(d, end, VAULT_MASK);
        assert_int_equal(after.ingested, before[end].ingested);
        assert_int_equal(after.cursor, before[end].cursor);
        assert_false(duet_noted(d, end, "wrong tag"));
    }
    duet_settle(d);
    duet_free(d);
}

/* Loses every message of the kind in *arg, once. */
static bool lose_one(void *arg, enum duet_end from, uint8_t *data, size_t *len)
{
    int *type = arg;
    if ((data[0] | data[1] << 8) != *type)
        return true;
    *type = 0;
    return false;
}

static void a_lost_message_is_made_up_for_when_the_link_is_new(void **state)
{
    static const int types[] = {POOL_STAGED, POOL_DECISION, POOL_CURSORS};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        struct duet *d = duet_new(8 + i);
        int type = types[i];
        duet_set_tamper(d, lose_one, &type);
        size_t b = duet_block(d, BOTH, 1000);
        duet_talk(d);
        assert_int_equal(type, 0);
        duet_link(d, false);
        duet_link(d, true);
        duet_talk(d);
        assert_int_equal(duet_decided(d, ALICE, b), 1);
        assert_int_equal(duet_decided(d, BOB, b), 1);
        size_t next = duet_block(d, BOTH, 1000);
        duet_talk(d);
        assert_int_equal(duet_decided(d, BOB, next), 1);
        duet_settle(d);
        duet_free(d);
    }
}

static void a_lost_tag_costs_its_own_block_only(void **state)
{
    struct duet *d = duet_new(15);
    (void)duet_block(d, BOTH, 1000);
    duet_talk(d);
    int type = POOL_STAGED;
    duet_set_tamper(d, lose_one, &type);
    size_t lost = duet_block(d, BOTH, 1000);
    duet_talk(d);
    size_t next = duet_block(d, BOTH, 1000);
    duet_talk(d);
    assert_int_equal(duet_decided(d, ALICE, lost), 0);
    assert_int_equal(duet_decided(d, BOB, next), 1);
    duet_pass(d, 61 * 1000);
    assert_int_equal(duet_decided(d, BOB, lost), -1);
    duet_settle(d);
    duet_free(d);
}

/* The tag that brings the new hash key is for a block that is decided already. */
static void a_tag_for_a_decided_block_still_brings_its_hash_key(void **state)
{
    struct duet *d = duet_new(11);
    int type = POOL_DECISION;
    duet_set_tamper(d, lose_one, &type);
    size_t b = duet_block(d, BOTH, 1000);
    duet_talk(d);
    duet_relink_one(d, ALICE);
    duet_talk(d);
    assert_int_equal(duet_decided(d, BOB, b), 1);
    size_t next = duet_block(d, BOTH, 1000);
    duet_talk(d);
    assert_int_equal(duet_decided(d, BOB, next), 1);
    duet_settle(d);
    duet_free(d);
}

static void a_missing_decision_is_asked_for(void **state)
{
    struct duet *d = duet_new(12);
    int type = POOL_DECISION;
    duet_set_tamper(d, lose_one, &type);
    size_t first = duet_block(d, BOTH, 1000);
    duet_talk(d);
    size_t second = duet_block(d, BOTH, 1000);
    duet_talk(d);
    assert_int_equal(duet_decided(d, BOB, first), 1);
    assert_int_equal(duet_decided(d, BOB, second), 1);
    duet_settle(d);
    duet_free(d);
}

static void nothing_is_reserved_before_the_ends_have_compared_cursors(void **state)
{
    struct duet *d = duet_new(13);
    (void)duet_block(d, BOTH, 1000);
    duet_talk(d);
    duet_link(d, false);
    duet_restart(d, ALICE);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 100), VAULT_OUT_OF_STEP);
    assert_int_equal(duet_reserve(d, BOB, duet_next_attempt(d), 0, 100), VAULT_OK);
    duet_link(d, true);
    duet_talk(d);
    /* Bob went on alone: what he has reserved is burnt at alice's. */
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).cursor, 100);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).skipped, 100);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 100, 100), VAULT_OK);
    duet_settle(d);
    duet_free(d);
}

static void at_rest_the_end_behind_burns_the_gap(void **state)
{
    struct duet *d = duet_new(14);
    (void)duet_block(d, BOTH, 1000);
    duet_talk(d);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 100), VAULT_OK);
    duet_talk(d);
    duet_pass(d, 100);
    duet_pass(d, 29 * 1000);
    assert_int_equal(duet_account(d, BOB, VAULT_MASK).cursor, 0);
    duet_pass(d, 2 * 1000);
    assert_int_equal(duet_account(d, BOB, VAULT_MASK).cursor, 100);
    duet_settle(d);
    duet_free(d);
}

/* Uses some key at both ends. */
static void use(struct duet *d, uint64_t len)
{
    uint64_t attempt = duet_next_attempt(d);
    uint64_t start = duet_account(d, ALICE, VAULT_MASK).cursor;
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        assert_int_equal(duet_reserve(d, end, attempt, start, len), VAULT_OK);
        assert_non_null(duet_take(d, end, 0, (uint32_t)len));
        duet_release(d, end);
    }
    duet_talk(d);
}

/* The witness file was restored too, as with the snapshot of a whole machine: the peer knows. */
static void a_rolled_back_pool_is_found_out_by_its_peer(void **state)
{
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        struct duet *d = duet_new(20 + end);
        (void)duet_block(d, BOTH, 2000);
        duet_talk(d);
        use(d, 100);
        duet_pass(d, 2000);
        struct disk_image *backup = disk_sim_snapshot(duet_disk(d, end));
        use(d, 100);
        duet_pass(d, 2000);
        uint64_t attempt = duet_next_attempt(d);
        duet_stop(d, end);
        disk_sim_restore(duet_disk(d, end), backup);
        struct err err;
        const struct duet_start how = {.no_witness = true, .rolled_back = true};
        assert_int_equal(duet_start(d, end, &how, &err), 0);
        assert_int_equal(duet_reserve(d, end, attempt, 100, 100), VAULT_OUT_OF_STEP);
        duet_link(d, false);
        duet_link(d, true);
        duet_talk(d);
        assert_true(duet_noted(d, end, "restored from a backup"));
        assert_int_equal(duet_account(d, end, VAULT_MASK).available, 0);
        assert_int_not_equal(duet_reserve(d, end, attempt, 100, 100), VAULT_OK);
        assert_int_not_equal(duet_reserve(d, end, attempt, 200, 100), VAULT_OK);
        disk_image_free(backup);
        duet_free(d);
    }
}

static void a_pool_older_than_its_witness_does_not_start(void **state)
{
    struct duet *d = duet_new(30);
    (void)duet_block(d, BOTH, 2000);
    duet_talk(d);
    struct disk_image *backup = disk_sim_snapshot(duet_disk(d, ALICE));
    use(d, 100);
    duet_stop(d, ALICE);
    disk_sim_restore(duet_disk(d, ALICE), backup);
    struct err err;
    assert_int_equal(duet_start(d, ALICE, &(struct duet_start){0}, &err), VAULT_OPEN_E_CLONED);
    assert_non_null(strstr(err.text, "adopt"));
    /* The operator vouches: it starts, empty. */
    assert_int_equal(duet_start(d, ALICE, &(struct duet_start){.adopt = true}, &err), 0);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).available, 0);
    assert_int_equal(duet_account(d, ALICE, VAULT_AUTH_TX).available, 0);
    disk_image_free(backup);
    duet_free(d);
}

static void a_pool_on_another_machine_starts_only_when_adopted(void **state)
{
    struct duet *d = duet_new(31);
    (void)duet_block(d, BOTH, 2000);
    duet_talk(d);
    duet_stop(d, BOB);
    struct err err;
    const struct duet_start moved = {.other_machine = true};
    assert_int_equal(duet_start(d, BOB, &moved, &err), VAULT_OPEN_E_CLONED);
    /* The witness came along and proves that nothing is newer: the key stays. */
    const struct duet_start adopted = {.other_machine = true, .adopt = true};
    assert_int_equal(duet_start(d, BOB, &adopted, &err), 0);
    assert_int_equal(duet_account(d, BOB, VAULT_MASK).available, 2000 - 32);
    duet_stop(d, BOB);
    assert_int_equal(duet_start(d, BOB, &moved, &err), 0);
    duet_stop(d, BOB);
    /* Without the witness nobody knows. */
    const struct duet_start blind = {.adopt = true, .no_witness = true};
    assert_int_equal(duet_start(d, BOB, &blind, &err), 0);
    assert_int_equal(duet_account(d, BOB, VAULT_MASK).available, 0);
    duet_free(d);
}

static void authentication_key_runs_out_and_comes_back_with_a_new_pairing(void **state)
{
    struct duet *d = duet_new(32);
    /* Void blocks cost a pad each and bring nothing. */
    uint32_t code = VAULT_OK;
    int blocks = 0;
    while (code == VAULT_OK) {
        size_t b = duet_block(d, 0, 100);
        code = duet_ingest(d, ALICE, b, false);
        if (code == VAULT_OK)
            (void)duet_ingest(d, BOB, b, true);
        duet_talk(d);
        assert_true(blocks++ < 300);
    }
    assert_int_equal(code, VAULT_NO_KEY); /* AUTH EMPTY */
    assert_true(blocks > 250);
    assert_int_equal(duet_pair(d, ALICE, 1), -EEXIST);
    assert_int_equal(duet_pair(d, ALICE, 2), 0);
    duet_pass(d, 1000);
    assert_true(duet_noted(d, BOB, "pairing"));
    assert_int_equal(duet_pair(d, BOB, 2), 0);
    duet_pass(d, 1); /* the links need not break for it */
    size_t b = duet_block(d, BOTH, 1000);
    duet_talk(d);
    assert_int_equal(duet_decided(d, BOB, b), 1);
    assert_int_equal(duet_pair(d, ALICE, 1), -EEXIST); /* never again */
    duet_settle(d);
    duet_free(d);
}

static void undecided_blocks_are_bounded(void **state)
{
    struct duet *d = duet_new(33);
    duet_link(d, false);
    size_t accepted = 0;
    for (int i = 0; i < 100; i++) {
        size_t b = duet_block(d, 0, 100);
        accepted += duet_ingest(d, BOB, b, false) == VAULT_OK;
    }
    assert_int_equal(accepted, 64);
    /* The link comes: alice has none of them; they end, and their place is free. */
    duet_link(d, true);
    duet_talk(d);
    for (int i = 0; i < 8; i++)
        duet_pass(d, 10 * 1000);
    size_t b = duet_block(d, BOTH, 100);
    duet_talk(d);
    assert_int_equal(duet_decided(d, BOB, b), 1);
    duet_settle(d);
    duet_free(d);
}

static void a_full_pool_takes_no_more(void **state)
{
    struct duet *d = duet_new(34);
    size_t b = duet_block(d, 0, ((size_t)1 << 20) + 1);
    assert_int_equal(duet_ingest(d, ALICE, b, false), VAULT_FULL);
    b = duet_block(d, BOTH, (size_t)1 << 20);
    duet_talk(d);
    assert_int_equal(duet_decided(d, BOB, b), 1);
    b = duet_block(d, 0, 1000);
    assert_int_equal(duet_ingest(d, ALICE, b, false), VAULT_FULL);
    duet_free(d);
}

static void pools_paired_by_different_files_do_not_work_together(void **state)
{
    struct duet *d = duet_new_strangers(35);
    assert_int_equal(duet_pair(d, ALICE, 1), 0);
    assert_int_equal(duet_pair(d, BOB, 2), 0);
    duet_link(d, true);
    duet_talk(d);
    assert_true(duet_noted(d, ALICE, "pairing"));
    size_t b = duet_block(d, BOTH, 1000);
    duet_talk(d);
    assert_int_equal(duet_decided(d, ALICE, b), 0);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 1), VAULT_OUT_OF_STEP);
    duet_free(d);
}

static void noise_from_the_peer_is_ignored(void **state)
{
    struct duet *d = duet_new(36);
    struct rnd rnd;
    rnd_init(&rnd, 36);
    for (int i = 0; i < 2000; i++) {
        uint8_t noise[200];
        rnd_bytes(&rnd, noise, sizeof(noise));
        noise[0] = (uint8_t)(POOL_SYNC + i % 5);
        noise[1] = 0;
        duet_inject(d, (enum duet_end)(i & 1), noise, rnd_below(&rnd, sizeof(noise)));
    }
    size_t b = duet_block(d, BOTH, 1000);
    duet_talk(d);
    assert_int_equal(duet_decided(d, BOB, b), 1);
    duet_settle(d);
    duet_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_at_both_ends_becomes_key),
        cmocka_unit_test(both_ends_hand_out_the_blocks_bytes),
        cmocka_unit_test(the_order_of_ingest_does_not_matter),
        cmocka_unit_test(a_block_of_one_end_only_is_voided_in_time),
        cmocka_unit_test(a_block_that_differs_is_void_with_an_alarm),
        cmocka_unit_test(a_spoilt_tag_voids_the_block),
        cmocka_unit_test(replayed_and_reordered_messages_change_nothing),
        cmocka_unit_test(a_lost_message_is_made_up_for_when_the_link_is_new),
        cmocka_unit_test(a_lost_tag_costs_its_own_block_only),
        cmocka_unit_test(a_tag_for_a_decided_block_still_brings_its_hash_key),
        cmocka_unit_test(a_missing_decision_is_asked_for),
        cmocka_unit_test(nothing_is_reserved_before_the_ends_have_compared_cursors),
        cmocka_unit_test(at_rest_the_end_behind_burns_the_gap),
        cmocka_unit_test(a_rolled_back_pool_is_found_out_by_its_peer),
        cmocka_unit_test(a_pool_older_than_its_witness_does_not_start),
        cmocka_unit_test(a_pool_on_another_machine_starts_only_when_adopted),
        cmocka_unit_test(authentication_key_runs_out_and_comes_back_with_a_new_pairing),
        cmocka_unit_test(undecided_blocks_are_bounded),
        cmocka_unit_test(a_full_pool_takes_no_more),
        cmocka_unit_test(pools_paired_by_different_files_do_not_work_together),
        cmocka_unit_test(noise_from_the_peer_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
