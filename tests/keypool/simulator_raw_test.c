/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator at levels event and pulse: what the two ends of a link hear, every seed fixed. */
#include "keypool/qkd/boot_seed.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"
#include "tests/keypool/chi_square.h"
#include "tests/keypool/raw_ears.h"
#include "tests/sim/disk_sim.h"

#include "common/util.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CLASSES (OPTICS_OUTCOMES + 1)

/* ---- what is told --------------------------------------------------------------------------- */

static void both_ends_hear_of_a_block_what_the_model_expects(void **unused)
{
    struct loop_plan plan = loop_short();
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    ears_take_block(&a, &b, &l);
    assert_true(a.pulses == 20000000 && a.seconds == 0.2 && a.mu == plan.params.mu);
    assert_true(a.share_xx == plan.params.share_xx && b.share_yy == plan.params.share_yy);
    assert_true(fabs(a.expected_e_y - 8263. / 2095785) < 1e-6);
    assert_true(a.said == a.n && b.said == b.n && a.repeats == 0);
    assert_true(a.events[a.n - 1].position < a.pulses);
    struct keyrate_counts c = ears_counts(&a, &b);
    assert_as_expected(&c, &plan.params, &(struct eve){0}, 2e7);
    /* The paper's numbers of this link, per pulse. */
    assert_5_deviations(c.n, 209641454. / 1000);
    assert_5_deviations(c.m_x, 1301843. / 1000);
    ear_free(&a);
    ear_free(&b);
    loop_end(&l);
}

/* All 32 outcomes and the pulses without one. */
static void take_bright_block(bool by_pulse, const char *eve, uint64_t counts[CLASSES])
{
    struct loop_plan plan = loop_bright(by_pulse);
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    if (eve)
        json_decref(loop_ask(&l, "set", eve, 0));
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    ears_take_block(&a, &b, &l);
    ears_count(&a, &b, counts);
    ear_free(&a);
    ear_free(&b);
    loop_end(&l);
}

static double misfit(const uint64_t counts[CLASSES], const struct eve *eve)
{
    const struct loop_plan plan = loop_bright(false);
    struct optics o;
    double expected[CLASSES], rest = 1;
    eve_optics(&o, &plan.params, eve);
    optics_probabilities(&o, expected);
    for (unsigned i = 0; i < OPTICS_OUTCOMES; i++) {
        rest -= expected[i];
        expected[i] *= 1e6;
    }
    expected[OPTICS_OUTCOMES] = rest * 1e6;
    return chi_square(counts, expected, CLASSES);
}

static void the_levels_agree_on_the_wire_and_with_the_model(void **unused)
{
    static const struct {
        const char *set;
        struct eve eve;
    } cases[] = {{NULL, {0}},
        {"{\"link\": \"alice-bob\", \"intercept\": 0.3, \"phase_noise\": 0.5}", {0.3, 0.5}}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t events[CLASSES], pulses[CLASSES];
        take_bright_block(false, cases[i].set, events);
        take_bright_block(true, cases[i].set, pulses);
        assert_memory_not_equal(events, pulses, sizeof(events));
        assert_true(chi_square_two(events, pulses, CLASSES) < chi_square_limit(CLASSES - 1));
        assert_true(misfit(events, &cases[i].eve) < chi_square_limit(CLASSES - 1));
        assert_true(misfit(pulses, &cases[i].eve) < chi_square_limit(CLASSES - 1));
        assert_true(misfit(pulses, &cases[!i].eve) > chi_square_limit(CLASSES - 1));
    }
}

static void an_end_is_not_told_what_the_other_chose(void **unused)
{
    struct loop_plan plan = loop_bright(false);
    plan.params.share_xx = plan.params.share_yy = 0.25; /* independent choices */
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    ears_take_block(&a, &b, &l);
    double same_basis = 0, same_bit = 0, mixed = 0;
    for (size_t i = 0; i < a.n; i++) {
        bool is_mixed = a.events[i].basis != b.events[i].basis;
        same_basis += !is_mixed;
        mixed += is_mixed;
        same_bit += is_mixed && a.events[i].bit == b.events[i].bit;
    }
    assert_5_deviations(same_bit, mixed / 2);
    assert_true(same_basis > 0.4 * (double)a.n && same_basis < 0.6 * (double)a.n);
    ear_free(&a);
    ear_free(&b);
    loop_end(&l);
}

static void rare_events_come_in_as_many_frames_as_it_takes(void **unused)
{
    struct loop_plan plan = loop_short();
    plan.params.eta = 3e-7;
    plan.params.dark = 0;
    plan.config.clock_hz = 1e12;
    plan.config.block_s = 7.5; /* gaps of four bytes */
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    ears_take_block(&a, &b, &l);
    struct keyrate_counts c = ears_counts(&a, &b);
    assert_as_expected(&c, &plan.params, &(struct eve){0}, 7.5e12);
    assert_true(a.n > QKD_EVENTS_MAX && a.frames > (a.n + QKD_EVENTS_MAX - 1) / QKD_EVENTS_MAX);
    ear_free(&a);
    ear_free(&b);
    loop_end(&l);
}

/* ---- time and credit ------------------------------------------------------------------------ */

static void events_come_as_their_light_does(void **unused)
{
    struct loop_plan plan = loop_short();
    plan.config.block_s = 2; /* 2.1 million events */
    plan.config.speedup = 1;
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    loop_grant(&l, ALICE, "bob");
    loop_grant(&l, BOB, "alice");
    for (int ms = 0; ms < 1900; ms += 100) {
        loop_run(&l);
        ear_listen(&a, &l);
        ear_listen(&b, &l);
        assert_true(a.is_open);
        if (a.n) /* not before it, and less than two chunks later */
            assert_true(a.events[a.n - 1].position <= (uint64_t)ms * 100000);
        assert_true((double)a.n >= (double)ms * 1048 * 0.98 - 2 * QKD_EVENTS_MAX);
        talk_tick(l.talk, 100);
    }
    talk_tick(l.talk, 101);
    loop_run(&l);
    ear_listen(&a, &l);
    ear_listen(&b, &l);
    assert_true(a.has_ended && b.has_ended);
    ear_free(&a);
    ear_free(&b);
    loop_end(&l);
}

static void the_first_blocks_come_at_full_speed(void **unused)
{
    struct loop_plan plan = loop_bright(false);
    plan.config.speedup = 1;
    plan.config.full_speed_blocks = 2;
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    struct ear c = ear_of(CHARLIE, "alice"), d = ear_of(ALICE, "charlie");
    ears_take_block(&a, &b, &l);
    ears_take_block(&a, &b, &l);
    ears_take_block(&d, &c, &l); /* each link has its own */
    loop_grant(&l, ALICE, "bob");
    loop_grant(&l, BOB, "alice");
    loop_run(&l);
    ear_listen(&a, &l);
    assert_true(a.is_open && a.n == 0);
    talk_tick(l.talk, 999);
    loop_run(&l);
    ear_listen(&a, &l);
    ear_listen(&b, &l);
    assert_true(a.is_open);
    talk_tick(l.talk, 1);
    loop_run(&l);
    ear_listen(&a, &l);
    assert_true(a.has_ended);
    ear_free(&a);
    ear_free(&b);
    ear_free(&c);
    ear_free(&d);
    loop_end(&l);
}

static void nobody_is_told_more_than_it_has_credit_for(void **unused)
{
    struct loop_plan plan = loop_short();
    plan.config.block_s = 2;
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    a.ack = false;
    loop_grant(&l, ALICE, "bob");
    loop_grant(&l, BOB, "alice");
    for (int i = 0; i < 3; i++) {
        loop_run(&l); /* ends: it does not spin while it waits */
        ear_listen(&a, &l);
        ear_listen(&b, &l);
    }
    size_t n = a.n;
    assert_true(n > QKD_EVENTS_AHEAD - 16384 && n <= QKD_EVENTS_AHEAD && b.n == n);
    ear_got(&a, &l, 1); /* hardly worth a frame */
    loop_run(&l);
    ear_listen(&a, &l);
    assert_int_equal(a.n, n);
    ear_got(&a, &l, 20000);
    loop_run(&l);
    ear_listen(&a, &l);
    ear_listen(&b, &l);
    assert_true(a.n >= n + 16384 && a.n <= QKD_EVENTS_AHEAD + 20000 && b.n == a.n);
    ear_got(&a, &l, a.n);
    n = a.n;
    loop_run(&l);
    ear_listen(&a, &l);
    assert_true(a.n > n + QKD_EVENTS_AHEAD - 16384 && a.n <= n + QKD_EVENTS_AHEAD);
    ear_free(&a);
    ear_free(&b);
    loop_end(&l);
}

static void an_end_that_has_taken_what_it_was_not_told_is_dropped(void **unused)
{
    const struct loop_plan plan = loop_bright(false);
    for (int less = 0; less < 2; less++) {
        struct loop l = loop_begin(&plan);
        loop_join_three(&l);
        struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
        a.ack = b.ack = false;
        loop_grant(&l, ALICE, "bob");
        loop_grant(&l, BOB, "alice");
        loop_run(&l);
        ear_listen(&a, &l);
        ear_listen(&b, &l);
        ear_got(&a, &l, 100);
        ear_got(&a, &l, less ? 99 : QKD_EVENTS_AHEAD + 101);
        assert_non_null(strstr(talk_close_reason(l.talk, ALICE), "another number of events"));
        ear_listen(&b, &l);
        assert_true(b.is_off);
        assert_null(talk_close_reason(l.talk, BOB));
        ear_free(&a);
        ear_free(&b);
        loop_end(&l);
    }
}

static void one_step_draws_little_more_than_a_chunk(void **unused)
{
    struct loop_plan plan = loop_short();
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    loop_grant(&l, ALICE, "bob");
    loop_grant(&l, BOB, "alice"); /* the step of this one tells the first chunk */
    loop_grant(&l, ALICE, "charlie");
    loop_grant(&l, CHARLIE, "alice");
    size_t frames = talk_waiting(l.talk, ALICE, QKD_EVENTS);
    size_t steps = 0;
    while (simulator_deadline_ms(l.sim) <= talk_now(l.talk)) {
        talk_tick(l.talk, 0);
        size_t now = talk_waiting(l.talk, ALICE, QKD_EVENTS);
        assert_in_range(now - frames, 0, 2); /* the rest of a block, and a chunk */
        frames = now;
        steps++;
    }
    assert_true(steps >= 4); /* and the links take turns */
    assert_in_range(talk_waiting(l.talk, BOB, QKD_EVENTS), 4, 5);
    assert_in_range(talk_waiting(l.talk, CHARLIE, QKD_EVENTS), 4, 5);
    loop_end(&l);
}

static void in_round_robin_the_next_link_begins_when_one_has_ended(void **unused)
{
    struct loop_plan plan = loop_bright(false);
    plan.config.schedule = SIM_ROUND_ROBIN;
    plan.config.speedup = 1;
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    struct ear c = ear_of(CHARLIE, "alice"), d = ear_of(ALICE, "charlie");
    loop_grant(&l, ALICE, "bob");
    loop_grant(&l, BOB, "alice");
    loop_grant(&l, ALICE, "charlie");
    loop_grant(&l, CHARLIE, "alice");
    ear_listen(&b, &l);
    ear_listen(&c, &l);
    assert_true(b.is_open && !c.is_open);
    ear_listen(&a, &l);
    for (int i = 0; i < 20 && !b.has_ended; i++) {
        talk_tick(l.talk, 100);
        loop_run(&l);
        ear_listen(&a, &l);
        ear_listen(&b, &l);
    }
    assert_true(b.has_ended && a.has_ended);
    ear_listen(&c, &l);
    assert_true(c.is_open);
    ear_stop(&c, &l, "enough"); /* gives the turn away */
    loop_grant(&l, ALICE, "bob");
    loop_grant(&l, BOB, "alice");
    ear_listen(&b, &l);
    assert_true(b.is_open);
    ear_listen(&d, &l);
    ear_free(&a);
    ear_free(&b);
    ear_free(&c);
    ear_free(&d);
    loop_end(&l);
}

static void in_round_robin_nothing_begins_with_a_user_who_is_leaving(void **unused)
{
    struct loop_plan plan = loop_bright(false);
    plan.config.schedule = SIM_ROUND_ROBIN;
    plan.config.speedup = 1;
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    loop_grant(&l, ALICE, "bob");
    loop_grant(&l, BOB, "alice"); /* begins */
    loop_grant(&l, BOB, "charlie");
    loop_grant(&l, CHARLIE, "bob");
    loop_grant(&l, ALICE, "charlie");
    loop_grant(&l, CHARLIE, "alice");
    struct ear d = ear_of(ALICE, "charlie"), c = ear_of(CHARLIE, "alice");
    struct ear a = ear_of(ALICE, "bob");
    ear_listen(&a, &l);
    talk_closed(l.talk, BOB);
    ear_listen(&a, &l);
    assert_true(a.is_off);
    ear_listen(&c, &l); /* would fail on a block with bob */
    ear_listen(&d, &l);
    assert_true(c.is_open && d.is_open);
    loop_end(&l);
}

/* ---- blocks that end early ------------------------------------------------------------------ */

struct pair {
    struct loop l;
    struct ear a, b;
};

/* A block of which half has come. */
static struct pair half_a_block(void)
{
    struct loop_plan plan = loop_short();
    plan.config.block_s = 0.25; /* enough for a key */
    plan.config.speedup = 0.25;
    struct pair p = {loop_begin(&plan), ear_of(ALICE, "bob"), ear_of(BOB, "alice")};
    loop_join_three(&p.l);
    loop_grant(&p.l, ALICE, "bob");
    loop_grant(&p.l, BOB, "alice");
    talk_tick(p.l.talk, 500);
    loop_run(&p.l);
    ear_listen(&p.a, &p.l);
    ear_listen(&p.b, &p.l);
    assert_true(p.a.is_open && p.b.is_open && p.a.n > 0);
    return p;
}

static void pair_end(struct pair *p)
{
    ear_free(&p->a);
    ear_free(&p->b);
    loop_end(&p->l);
}

static void assert_silence(struct pair *p, uint32_t conn)
{
    talk_tick(p->l.talk, 1000);
    loop_run(&p->l);
    assert_int_equal(talk_waiting(p->l.talk, conn, QKD_EVENTS), 0);
    assert_int_equal(talk_waiting(p->l.talk, conn, QKD_BLOCK_END), 0);
    assert_int_equal(talk_waiting(p->l.talk, conn, QKD_BLOCK), 0);
}

static void a_block_that_one_end_stops_is_off_at_the_other(void **unused)
{
    struct pair p = half_a_block();
    uint8_t id[16];
    memcpy(id, p.a.id, sizeof(id));
    ear_stop(&p.a, &p.l, "too many errors");
    ear_listen(&p.b, &p.l);
    assert_true(p.b.is_off);
    assert_string_equal(p.b.reason, "alice: too many errors");
    p.a.is_open = false;
    assert_silence(&p, ALICE);
    ear_got(&p.b, &p.l, 1); /* crossed it: no matter */
    ear_stop(&p.b, &p.l, "I too");
    loop_grant(&p.l, ALICE, "bob");
    loop_grant(&p.l, BOB, "alice");
    ear_listen(&p.a, &p.l);
    assert_true(p.a.is_open);
    assert_memory_not_equal(p.a.id, id, sizeof(id));
    json_t *status = loop_ask(&p.l, "status", "", 0);
    assert_int_equal(json_integer_value(json_object_get(status, "off_blocks")), 1);
    json_decref(status);
    pair_end(&p);
}

static void a_long_reason_is_cut_between_characters(void **unused)
{
    struct pair p = half_a_block();
    char reason[400];
    for (size_t i = 0; i < sizeof(reason) - 2; i += 2)
        memcpy(reason + i, "\xc3\xa9", 3);
    ear_stop(&p.a, &p.l, reason);
    ear_listen(&p.b, &p.l); /* decodes: text is valid UTF-8 */
    assert_true(p.b.is_off && strlen(p.b.reason) > 250 && strlen(p.b.reason) < 256);
    pair_end(&p);
}

static void when_a_user_leaves_the_other_is_told(void **unused)
{
    struct pair p = half_a_block();
    talk_closed(p.l.talk, BOB);
    ear_listen(&p.a, &p.l);
    assert_true(p.a.is_off);
    assert_string_equal(p.a.reason, "bob: its KME has disconnected");
    assert_silence(&p, ALICE);
    assert_int_equal(talk_waiting(p.l.talk, BOB, QKD_BLOCK_OFF), 0);
    /* Its grant was used up by the block that is off: a new one is wanted of both. */
    loop_join(&p.l, 12, "bob");
    loop_grant(&p.l, 12, "alice");
    assert_int_equal(talk_waiting(p.l.talk, 12, QKD_BLOCK), 0);
    loop_grant(&p.l, ALICE, "bob");
    assert_int_equal(talk_waiting(p.l.talk, 12, QKD_BLOCK), 1);
    pair_end(&p);
}

static void a_removed_users_block_is_off_for_both_and_others_go_on_after_it(void **unused)
{
    struct pair p = half_a_block();
    json_decref(loop_ask(&p.l, "set", "{\"remove_user\": \"bob\"}", 0));
    ear_listen(&p.a, &p.l);
    ear_listen(&p.b, &p.l);
    assert_true(p.a.is_off && p.b.is_off);
    assert_non_null(strstr(p.a.reason, "network has changed"));
    assert_non_null(talk_close_reason(p.l.talk, ALICE));
    assert_non_null(talk_close_reason(p.l.talk, BOB));
    loop_join(&p.l, 11, "alice");
    loop_join(&p.l, 13, "charlie");
    struct ear a = ear_of(11, "charlie"), c = ear_of(13, "alice");
    json_decref(loop_ask(&p.l, "set", "{\"speedup\": 0}", 0));
    ears_take_block(&a, &c, &p.l);
    json_decref(loop_ask(&p.l, "set", "{\"add_user\": \"bob\"}", 0));
    loop_join(&p.l, 21, "alice");
    loop_join(&p.l, 22, "bob");
    struct ear d = ear_of(21, "bob"), b = ear_of(22, "alice");
    ears_take_block(&d, &b, &p.l);
    ear_free(&a);
    ear_free(&b);
    ear_free(&c);
    ear_free(&d);
    pair_end(&p);
}

/* ---- nothing comes twice -------------------------------------------------------------------- */

/* Ids and the first 256 bits of alice's of eight blocks. */
struct memory {
    uint8_t id[8][16];
    uint8_t bits[8][256];
};

static void remember(struct memory *m, const uint8_t seed[RNG_SEED_BYTES])
{
    struct loop_plan plan = loop_bright(false);
    plan.config.block_s = 0.01;
    plan.seed = seed[0];
    struct loop l = loop_begin(&plan);
    loop_join_three(&l);
    struct ear a = ear_of(ALICE, "bob"), b = ear_of(BOB, "alice");
    for (size_t i = 0; i < ARRAY_SIZE(m->id); i++) {
        ears_take_block(&a, &b, &l);
        memcpy(m->id[i], a.id, sizeof(a.id));
        for (size_t k = 0; k < sizeof(m->bits[i]); k++)
            m->bits[i][k] = a.events[k].bit;
    }
    ear_free(&a);
    ear_free(&b);
    loop_end(&l);
}

static void no_id_and_no_bits_come_twice_in_a_life_or_after_a_restart(void **unused)
{
    const uint8_t configured[RNG_SEED_BYTES] = {7};
    struct disk_sim *disk = disk_sim_new(5);
    struct memory m[3];
    struct err e;
    for (size_t i = 0; i < ARRAY_SIZE(m); i++) {
        uint8_t boot[RNG_SEED_BYTES];
        assert_int_equal(boot_seed_next(disk_sim_disk(disk), configured, boot, &e), 0);
        remember(&m[i], boot);
        disk_sim_crash(disk);
    }
    disk_sim_free(disk);
    for (size_t i = 0; i < 24; i++)
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(m[i / 8].id[i % 8], m[k / 8].id[k % 8], 16);
            assert_memory_not_equal(m[i / 8].bits[i % 8], m[k / 8].bits[k % 8], 256);
        }
    struct memory again, first;
    remember(&first, configured);
    remember(&again, configured);
    assert_memory_equal(&first, &again, sizeof(first)); /* one seed, one story */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_hear_of_a_block_what_the_model_expects),
        cmocka_unit_test(the_levels_agree_on_the_wire_and_with_the_model),
        cmocka_unit_test(an_end_is_not_told_what_the_other_chose),
        cmocka_unit_test(rare_events_come_in_as_many_frames_as_it_takes),
        cmocka_unit_test(events_come_as_their_light_does),
        cmocka_unit_test(the_first_blocks_come_at_full_speed),
        cmocka_unit_test(nobody_is_told_more_than_it_has_credit_for),
        cmocka_unit_test(an_end_that_has_taken_what_it_was_not_told_is_dropped),
        cmocka_unit_test(one_step_draws_little_more_than_a_chunk),
        cmocka_unit_test(in_round_robin_the_next_link_begins_when_one_has_ended),
        cmocka_unit_test(in_round_robin_nothing_begins_with_a_user_who_is_leaving),
        cmocka_unit_test(a_block_that_one_end_stops_is_off_at_the_other),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
        cmocka_unit_test(when_a_user_leaves_the_other_is_told),
        cmocka_unit_test(a_removed_users_block_is_off_for_both_and_others_go_on_after_it),
        cmocka_unit_test(no_id_and_no_bits_come_twice_in_a_life_or_after_a_restart),
    };
    return cmocka_run_group_tests_name("simulator_raw", tests, NULL, NULL);
}
