/* SPDX-License-Identifier: Apache-2.0 */
/* Pads that the two KMEs draw for their own tags, beside the tags of the vaults. */
#include "tests/keypool/duet.h"

#include "common/util.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BOTH (1u << ALICE | 1u << BOB)
#define PAD  16

static const Vault__Drawn *draw_at(
    struct duet *d, enum duet_end end, bool receive, uint64_t start, uint32_t length)
{
    Vault__Draw m = VAULT__DRAW__INIT;
    m.peer = (char *)(end == ALICE ? "bob" : "alice");
    m.receive = receive;
    m.start = start;
    m.length = length;
    m.ticket = start + 7;
    duet_say(d, end, duet_kme(d, end), VAULT_DRAW, &m.base);
    const Vault__Drawn *drawn = duet_heard(d, duet_kme(d, end), VAULT_DRAWN);
    assert_non_null(drawn);
    assert_int_equal(drawn->ticket, start + 7);
    return drawn;
}

/* A pad from `end` to the other, drawn there and then here; they are the same bytes. Its place. */
static uint64_t pass_pad(struct duet *d, enum duet_end end)
{
    uint8_t pad[PAD];
    const Vault__Drawn *drawn = draw_at(d, end, false, 0, PAD);
    assert_int_equal(drawn->code, 0);
    assert_int_equal(drawn->data.len, PAD);
    memcpy(pad, drawn->data.data, PAD);
    uint64_t at = drawn->start;
    drawn = draw_at(d, !end, true, at, PAD);
    assert_int_equal(drawn->code, 0);
    assert_int_equal(drawn->start, at);
    assert_memory_equal(drawn->data.data, pad, PAD);
    return at;
}

static void both_ends_draw_the_same_pads_in_order(void **state)
{
    struct duet *d = duet_new(1);
    struct vault_account before = duet_account(d, ALICE, VAULT_AUTH_TX);
    uint64_t first = pass_pad(d, ALICE);
    assert_int_equal(pass_pad(d, ALICE), first + PAD);
    (void)pass_pad(d, BOB);
    struct vault_account after = duet_account(d, ALICE, VAULT_AUTH_TX);
    assert_int_equal(after.used, before.used + 2 * PAD);
    assert_int_equal(after.available, before.available - 2 * PAD);
    duet_settle(d);
    duet_free(d);
}

/* Bob's vault tags its blocks from the stream that his KME draws from. */
static void the_vaults_own_tags_go_on_beside_them(void **state)
{
    struct duet *d = duet_new(2);
    for (size_t i = 0; i < 5; i++) {
        (void)pass_pad(d, BOB);
        size_t block = duet_block(d, BOTH, 20000);
        duet_talk(d);
        assert_int_equal(duet_decided(d, ALICE, block), 1);
    }
    assert_int_equal(duet_account(d, ALICE, VAULT_AUTH_RX).skipped, 0);
    duet_settle(d);
    duet_free(d);
}

static void a_place_is_never_accepted_twice(void **state)
{
    struct duet *d = duet_new(3);
    uint64_t at = pass_pad(d, ALICE);
    const Vault__Drawn *again = draw_at(d, BOB, true, at, PAD);
    assert_int_equal(again->code, VAULT_REUSE);
    assert_int_equal(again->data.len, 0);
    assert_true(duet_noted(d, BOB, "is burnt"));
    /* Not half of one either, and not after a restart. */
    assert_int_equal(draw_at(d, BOB, true, at + PAD - 1, PAD)->code, VAULT_REUSE);
    duet_restart(d, BOB);
    duet_talk(d);
    assert_int_equal(draw_at(d, BOB, true, at, PAD)->code, VAULT_REUSE);
    duet_settle(d);
    duet_free(d);
}

static void what_lies_before_a_place_is_burnt(void **state)
{
    struct duet *d = duet_new(4);
    (void)draw_at(d, ALICE, false, 0, PAD); /* lost on its way */
    uint64_t at = draw_at(d, ALICE, false, 0, PAD)->start;
    assert_int_equal(draw_at(d, BOB, true, at, PAD)->code, 0);
    assert_int_equal(duet_account(d, BOB, VAULT_AUTH_RX).skipped, at);
    assert_int_equal(duet_account(d, BOB, VAULT_AUTH_RX).used, PAD);
    duet_settle(d);
    duet_free(d);
}

static void pads_that_cannot_be_are_refused_and_nothing_is_consumed(void **state)
{
    struct duet *d = duet_new(5);
    struct vault_account before = duet_account(d, ALICE, VAULT_AUTH_RX);
    assert_int_equal(draw_at(d, ALICE, true, before.cursor, 0)->code, VAULT_BAD_REQUEST);
    assert_int_equal(draw_at(d, ALICE, true, 0, VAULT_DRAW_MAX + 1)->code, VAULT_BAD_REQUEST);
    assert_int_equal(draw_at(d, ALICE, true, UINT64_MAX - 7, PAD)->code, VAULT_NO_KEY);
    assert_int_equal(draw_at(d, ALICE, true, before.cursor + before.available - PAD + 1, PAD)->code,
        VAULT_NO_KEY);
    struct vault_account after = duet_account(d, ALICE, VAULT_AUTH_RX);
    assert_int_equal(after.cursor, before.cursor);
    duet_restart(d, ALICE);
    duet_link(d, false);
    assert_int_equal(draw_at(d, ALICE, true, before.cursor, PAD)->code, VAULT_OUT_OF_STEP);
    duet_free(d);
}

/* Until nothing is left; the next confirmed block fills the stream again. */
static void the_last_pad_is_followed_by_a_sentence(void **state)
{
    struct duet *d = duet_new(6);
    const Vault__Drawn *drawn;
    while ((drawn = draw_at(d, ALICE, false, 0, PAD))->code == 0)
        ;
    assert_int_equal(drawn->code, VAULT_NO_KEY);
    assert_non_null(strstr(drawn->reason, "AUTH EMPTY"));
    assert_non_null(strstr(drawn->reason, "qflctl site pair"));
    const Vault__Room *room = duet_heard(d, duet_kme(d, ALICE), VAULT_ROOM);
    assert_non_null(room);
    assert_true(room->auth_tx < PAD);
    assert_true(room->auth_rx >= PAD);
    (void)duet_block(d, BOTH, 20000);
    duet_talk(d);
    room = duet_heard(d, duet_kme(d, ALICE), VAULT_ROOM);
    assert_non_null(room);
    assert_int_equal(room->auth_tx, 4096);
    assert_false(room->low);
    assert_true(room->in_step);
    assert_int_equal(draw_at(d, ALICE, false, 0, PAD)->code, 0);
    duet_settle(d);
    duet_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_draw_the_same_pads_in_order),
        cmocka_unit_test(the_vaults_own_tags_go_on_beside_them),
        cmocka_unit_test(a_place_is_never_accepted_twice),
        cmocka_unit_test(what_lies_before_a_place_is_burnt),
        cmocka_unit_test(pads_that_cannot_be_are_refused_and_nothing_is_consumed),
        cmocka_unit_test(the_last_pad_is_followed_by_a_sentence),
    };
    return cmocka_run_group_tests_name("vault_draw", tests, NULL, NULL);
}
