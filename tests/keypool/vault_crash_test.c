/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts and kills at every disk operation of a story of two key pools.
 *
 * duet checks after every step that no byte is handed out twice, that what was acknowledged as burnt
 * stays burnt and that accounts add up; at the end of each story both ends must agree and their
 * journals must show no byte in two attempts.
 *
 * VAULT_KILLS=1000000 makes the random stories as long as that many kills; the gate runs some thousand.
 */
#include "tests/keypool/duet.h"

#include "common/util.h"
#include "proto/vault.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BOTH (1u << ALICE | 1u << BOB)

/* Where the story is to be interrupted. */
struct plan {
    enum duet_end end;
    bool power_cut;
    uint64_t again; /* operations after the first cut to the second; 0: none */
};

/* Whoever is down comes back; the clients and KMEs connect again. */
static void mend(struct duet *d, struct plan *plan)
{
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        if (!duet_is_down(d, end))
            continue;
        duet_revive(d, end, plan->power_cut);
        if (plan->again > 0)
            duet_cut_at(d, end, plan->again);
        plan->again = 0;
    }
    duet_talk(d);
    if (duet_is_down(d, ALICE) || duet_is_down(d, BOB))
        mend(d, plan);
}

static void pair(struct duet *d, struct plan *plan, uint8_t number)
{
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        int r = duet_pair(d, end, number);
        while (r != 0 && r != -EEXIST) {
            assert_int_equal(r, -EIO);
            mend(d, plan);
            r = duet_pair(d, end, number);
        }
    }
}

/* One attempt as a client and a server make it: the start is above all that was ever proposed. */
static void attempt(struct duet *d, struct plan *plan, uint64_t len, uint64_t taken)
{
    uint64_t number = duet_next_attempt(d);
    uint64_t start =
        MAX(duet_account(d, ALICE, VAULT_MASK).cursor, duet_account(d, BOB, VAULT_MASK).cursor);
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        if (duet_reserve(d, end, number, start, len) != VAULT_OK)
            continue;
        for (uint64_t at = 0; at + 100 <= taken && !duet_is_down(d, end); at += 100)
            (void)duet_take(d, end, at, 100);
    }
    mend(d, plan);
}

static void block(struct duet *d, struct plan *plan, unsigned ends, size_t len)
{
    (void)duet_block(d, ends, len);
    duet_talk(d);
    mend(d, plan);
}

static void pass(struct duet *d, struct plan *plan, uint64_t ms)
{
    duet_pass(d, ms);
    mend(d, plan);
}

static void tell_story(struct duet *d, struct plan *plan)
{
    pair(d, plan, 1);
    duet_link(d, true);
    mend(d, plan);
    block(d, plan, BOTH, 3000);
    attempt(d, plan, 500, 300);
    block(d, plan, BOTH, 70000);
    block(d, plan, 1u << BOB, 100);
    pass(d, plan, 150);
    attempt(d, plan, 66000, 1000);
    duet_hang_up(d, ALICE);
    mend(d, plan);
    pass(d, plan, 1500);
    duet_restart(d, BOB);
    mend(d, plan);
    block(d, plan, BOTH, 900);
    attempt(d, plan, 3000, 3000);
    duet_link(d, false);
    block(d, plan, BOTH, 800);
    duet_link(d, true);
    mend(d, plan);
    pass(d, plan, 61 * 1000);
    duet_restart(d, ALICE);
    mend(d, plan);
    attempt(d, plan, 100, 100);
    pass(d, plan, 150);
}

/* A crash may cost what was reserved, never anything else. */
static void check_nothing_lost(const struct duet *d)
{
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        assert_false(duet_noted(d, end, "damaged or missing"));
        assert_false(duet_noted(d, end, "restored from a backup"));
        assert_false(duet_noted(d, end, "wrong tag"));
        assert_false(duet_noted(d, end, "contradict"));
    }
}

/* True if the cut fell into the story. */
static bool tell_cut_story(uint64_t seed, struct plan plan, uint64_t n)
{
    struct duet *d = duet_new_strangers(seed);
    duet_cut_at(d, plan.end, n);
    tell_story(d, &plan);
    duet_cut_at(d, ALICE, 0);
    duet_cut_at(d, BOB, 0);
    duet_settle(d);
    duet_audit(d);
    check_nothing_lost(d);
    bool was_cut = duet_cuts(d) > 0;
    duet_free(d);
    return was_cut;
}

static void sweep(enum duet_end end, bool power_cut)
{
    uint64_t n = 1;
    while (tell_cut_story(n, (struct plan){.end = end, .power_cut = power_cut}, n))
        n++;
    print_message("# %s: %d cuts of %s\n", end == ALICE ? "alice" : "bob", (int)n - 1,
        power_cut ? "power" : "the process");
    assert_true(n > 50);
}

static void the_deciding_end_survives_a_power_cut_at_any_operation(void **state)
{
    sweep(ALICE, true);
}

static void the_other_end_survives_a_power_cut_at_any_operation(void **state)
{
    sweep(BOB, true);
}

static void both_survive_a_kill_at_any_operation(void **state)
{
    sweep(ALICE, false);
    sweep(BOB, false);
}

static void both_survive_a_second_cut_while_they_recover(void **state)
{
    for (uint64_t n = 1; n < 400; n++) {
        struct plan plan = {.end = n & 1, .power_cut = true, .again = 1 + n * 7 % 23};
        (void)tell_cut_story(10000 + n, plan, 1 + n / 2);
    }
}

/* Alice's process is killed at a sync; the next one reads what was written, and the power goes at its
 * n-th operation. True if it came that far. */
static bool lose_what_was_read(uint64_t seed, uint64_t n)
{
    struct duet *d = duet_new(seed);
    struct plan plan = {0};
    block(d, &plan, BOTH, 3000);
    duet_cut_at(d, ALICE, 2); /* the write, the sync */
    (void)duet_reserve(d, ALICE, duet_next_attempt(d), 0, 500);
    assert_true(duet_is_down(d, ALICE));
    disk_sim_kill(duet_disk(d, ALICE));
    disk_sim_cut_at(duet_disk(d, ALICE), n);
    struct err e = {{0}};
    int r = duet_start(d, ALICE, &(struct duet_start){0}, &e);
    assert_true(r == 0 || r == -EIO);
    duet_revive(d, ALICE, true);
    duet_settle(d);
    duet_audit(d);
    duet_free(d);
    return r == -EIO;
}

static void what_was_read_may_still_be_lost(void **state)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t n = 1;
        while (lose_what_was_read(seed, n))
            n++;
        assert_true(n > 3);
    }
}

/* ---- random stories -------------------------------------------------------------------------- */

/* Many restarts cost many pads: when they have run out the operators pair the sites again. */
static void random_block(struct duet *d, struct rnd *r, struct plan *plan, uint8_t *pairing)
{
    unsigned ends = rnd_chance(r, 0.7) ? BOTH : 1u << rnd_below(r, 2);
    size_t b = duet_block(d, 0, rnd_between(r, 1, 3000));
    bool is_empty = false;
    for (enum duet_end end = ALICE; end <= BOB; end++)
        if (ends & 1u << end)
            is_empty = duet_ingest(d, end, b, false) == VAULT_NO_KEY || is_empty;
    duet_talk(d);
    mend(d, plan);
    if (is_empty) {
        pair(d, plan, ++*pairing);
        duet_link(d, true);
        mend(d, plan);
    }
}

static void random_action(struct duet *d, struct rnd *r, struct plan *plan, uint8_t *pairing)
{
    switch (rnd_below(r, 10)) {
    case 0:
    case 1:
    case 2:
        random_block(d, r, plan, pairing);
        return;
    case 3:
    case 4:
    case 5:
        attempt(d, plan, rnd_between(r, 1, 800), rnd_below(r, 800));
        return;
    case 6:
        pass(d, plan, rnd_between(r, 1, 2000));
        return;
    case 7:
        pass(d, plan, rnd_between(r, 1, 70 * 1000));
        return;
    case 8:
        duet_link(d, rnd_chance(r, 0.7));
        break;
    default:
        duet_hang_up(d, rnd_below(r, 2));
        break;
    }
    mend(d, plan);
}

/* A life of two pools with a kill every few operations. Returns the kills. */
static uint64_t random_life(uint64_t seed, uint64_t kills)
{
    struct rnd r;
    rnd_init(&r, seed);
    struct plan plan = {0};
    uint8_t pairing = 1;
    struct duet *d = duet_new(seed);
    while (duet_cuts(d) < kills) {
        enum duet_end end = (enum duet_end)rnd_below(&r, 2);
        plan.power_cut = rnd_chance(&r, 0.8);
        duet_cut_at(d, end, rnd_between(&r, 1, 40));
        uint64_t before = duet_cuts(d);
        for (int i = 0; i < 30 && duet_cuts(d) == before; i++)
            random_action(d, &r, &plan, &pairing);
        duet_cut_at(d, end, 0);
    }
    duet_settle(d);
    duet_audit(d);
    check_nothing_lost(d);
    uint64_t cuts = duet_cuts(d);
    duet_free(d);
    return cuts;
}

static void random_stories_of_many_kills_hold(void **state)
{
    const char *wanted = getenv("VAULT_KILLS");
    uint64_t goal = wanted ? strtoull(wanted, NULL, 10) : 3000;
    uint64_t first = getenv("VAULT_SEED") ? strtoull(getenv("VAULT_SEED"), NULL, 10) : 1;
    uint64_t done = 0;
    for (uint64_t seed = first; done < goal; seed++) {
        if (wanted)
            fprintf(stderr, "# seed %llu, %llu kills\n", (unsigned long long)seed,
                (unsigned long long)done);
        done += random_life(seed, MIN(goal - done, (uint64_t)300));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_deciding_end_survives_a_power_cut_at_any_operation),
        cmocka_unit_test(the_other_end_survives_a_power_cut_at_any_operation),
        cmocka_unit_test(both_survive_a_kill_at_any_operation),
        cmocka_unit_test(both_survive_a_second_cut_while_they_recover),
        cmocka_unit_test(what_was_read_may_still_be_lost),
        cmocka_unit_test(random_stories_of_many_kills_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
