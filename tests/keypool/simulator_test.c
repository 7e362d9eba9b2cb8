/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator at level rate: both ends get the same bytes, at the formula's rate, never twice. */
#include "keypool/qkd/boot_seed.h"
#include "keypool/qkd/sim_level_rate.h"
#include "keypool/qkd/simulator.h"
#include "proto/ctl.h"
#include "proto/ctl.pb-c.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"
#include "tests/keypool/talk.h"
#include "tests/sim/disk_sim.h"

#include "common/util.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ALICE 1
#define BOB   2
#define CAROL 3
#define OPER  9

static const char *const four[] = {"alice", "bob", "charlie", "david"};

struct story {
    struct simulator *sim;
    struct talk *talk;
    uint32_t conns[8]; /* of users, to be kept alive */
    size_t n_conns;
};

static struct simulator_config calm(void)
{
    return (struct simulator_config){
        .block_s = 10, .clock_hz = 1e8, .speedup = 1, .options = keyrate_paper_options()};
}

static struct simulator *boot(
    const struct simulator_config *config, uint64_t prefill_bytes, uint8_t seed_byte)
{
    const struct sim_topology_config network = {
        .users = four, .n_users = ARRAY_SIZE(four), .network = "paper-4"};
    const uint8_t seed[RNG_SEED_BYTES] = {seed_byte};
    struct sim_topology *t;
    struct err e;
    assert_int_equal(sim_topology_new(&t, &network, prefill_bytes, &e), 0);
    struct sim_level *level = sim_level_rate_new(seed, &config->options);
    assert_non_null(level);
    struct simulator *s = simulator_new(config, t, level);
    assert_non_null(s);
    return s;
}

static int step(void *core, const struct event *event, struct update *u)
{
    return simulator_step(core, event, u);
}

static struct story begin(struct simulator_config config, uint64_t prefill_bytes)
{
    struct simulator *sim = boot(&config, prefill_bytes, 1);
    return (struct story){.sim = sim, .talk = talk_new(sim, step)};
}

static void end(struct story *s)
{
    simulator_free(s->sim);
    talk_free(s->talk);
}

static void hello(struct story *s, uint32_t conn, const char *site)
{
    Qkd__Hello m = QKD__HELLO__INIT;
    m.version = QKD_VERSION;
    m.site = (char *)site;
    talk_opened(s->talk, conn, ROLE_KME, site);
    talk_say(s->talk, conn, QKD_HELLO, &m.base);
    s->conns[s->n_conns++ % ARRAY_SIZE(s->conns)] = conn;
}

/* Time passes, in steps of at most 2 s so that no user seems silent. */
static void pass(struct story *s, uint64_t ms)
{
    for (uint64_t left = ms, now; left > 0; left -= now) {
        now = MIN(left, 2000);
        talk_tick(s->talk, now);
        for (size_t i = 0; i < MIN(s->n_conns, ARRAY_SIZE(s->conns)); i++)
            talk_say_bytes(s->talk, s->conns[i], LINK_PONG, "", 0);
    }
}

static void grant(struct story *s, uint32_t conn, const char *peer, uint64_t max_bytes)
{
    Qkd__Grant m = QKD__GRANT__INIT;
    m.peer = (char *)peer;
    m.max_bytes = max_bytes;
    talk_say(s->talk, conn, QKD_GRANT, &m.base);
}

/* A copy of what one end was told; the key is at most the first 64 bytes. */
struct told {
    char peer[32];
    uint8_t id[16], key[64];
    size_t len;
    double kbps, qber, seconds;
};

static bool hear(struct story *s, uint32_t conn, struct told *told)
{
    const Qkd__RateBlock *m = (const Qkd__RateBlock *)talk_heard(
        s->talk, conn, QKD_RATE_BLOCK, &qkd__rate_block__descriptor);
    if (!m)
        return false;
    assert_true(talk_last_was_secret(s->talk));
    memset(told, 0, sizeof(*told));
    snprintf(told->peer, sizeof(told->peer), "%s", m->peer);
    assert_int_equal(m->block.len, 16);
    memcpy(told->id, m->block.data, 16);
    memcpy(told->key, m->key.data, MIN(m->key.len, sizeof(told->key)));
    told->len = m->key.len;
    told->kbps = m->rate_kbps;
    told->qber = m->qber;
    told->seconds = m->seconds;
    return true;
}

static struct told must_hear(struct story *s, uint32_t conn)
{
    struct told told;
    assert_true(hear(s, conn, &told));
    return told;
}

static void assert_same_block(const struct told *a, const struct told *b)
{
    assert_memory_equal(a->id, b->id, 16);
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->key, b->key, sizeof(a->key));
}

/* ---- blocks --------------------------------------------------------------------------------- */

static void a_user_is_welcomed_with_level_and_peers(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, ALICE, "alice");
    const Qkd__Welcome *m =
        (const Qkd__Welcome *)talk_heard(s.talk, ALICE, QKD_WELCOME, &qkd__welcome__descriptor);
    assert_non_null(m);
    assert_string_equal(m->level, "rate");
    assert_int_equal(m->n_peers, 3);
    assert_string_equal(m->peers[2], "david");
    end(&s);
}

static void a_block_comes_after_its_time_when_both_have_granted(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    grant(&s, ALICE, "bob", 0);
    talk_tick(s.talk, 1000);
    assert_int_equal(simulator_deadline_ms(s.sim), 5000); /* only pings */
    grant(&s, BOB, "alice", 0);
    pass(&s, 9999);
    assert_int_equal(talk_waiting(s.talk, ALICE, QKD_RATE_BLOCK), 0);
    pass(&s, 1);
    struct told a = must_hear(&s, ALICE);
    struct told b = must_hear(&s, BOB);
    assert_same_block(&a, &b);
    assert_string_equal(a.peer, "bob");
    assert_string_equal(b.peer, "alice");
    assert_true(a.seconds == 10 && fabs(a.qber - 0.00767) < 0.0005);
    assert_true(fabs(a.kbps - 184) < 8); /* section 5: 184 kbit/s at 10 s */
    assert_true(fabs((double)a.len * 8 / 10e3 - a.kbps) < 0.01);
    pass(&s, 60000); /* grants are used up */
    assert_int_equal(talk_waiting(s.talk, ALICE, QKD_RATE_BLOCK), 0);
    end(&s);
}

static void standing_grants_lose_no_time_between_blocks(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    for (int i = 0; i < 3; i++) {
        grant(&s, ALICE, "bob", 0);
        grant(&s, BOB, "alice", 0);
    }
    uint64_t began = talk_now(s.talk);
    for (int i = 1; i <= 3; i++) {
        pass(&s, 10000 + 300); /* the timer is late */
        assert_int_equal(
            talk_waiting(s.talk, ALICE, QKD_RATE_BLOCK), (talk_now(s.talk) - began) / 10000);
    }
    end(&s);
}

static void no_two_blocks_share_an_id_or_key_bytes(void **unused)
{
    struct simulator_config config = calm();
    config.speedup = 0;
    struct story s = begin(config, 0);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    hello(&s, CAROL, "charlie");
    struct told all[32];
    for (int i = 0; i < 32; i += 2) {
        grant(&s, ALICE, "bob", 0);
        grant(&s, BOB, "alice", 0);
        grant(&s, ALICE, "charlie", 0);
        grant(&s, CAROL, "alice", 0);
        all[i] = must_hear(&s, ALICE);
        all[i + 1] = must_hear(&s, ALICE);
    }
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(all[i].id, all[j].id, 16);
            assert_memory_not_equal(all[i].key, all[j].key, 16);
        }
    end(&s);
}

static void speedup_divides_the_time_and_not_the_key(void **unused)
{
    struct simulator_config config = calm();
    config.speedup = 100;
    struct story s = begin(config, 0);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    grant(&s, ALICE, "bob", 0);
    grant(&s, BOB, "alice", 0);
    assert_int_equal(simulator_deadline_ms(s.sim), talk_now(s.talk) + 100);
    talk_tick(s.talk, 100);
    struct told a = must_hear(&s, ALICE);
    assert_true(a.seconds == 10 && fabs(a.kbps - 184) < 8);
    end(&s);
}

static void the_mean_length_over_many_blocks_is_that_of_the_formula(void **unused)
{
    struct simulator_config config = calm();
    config.speedup = 0;
    struct story s = begin(config, 0);
    double expected = simulator_expect(&config, &link_paper_at(4)->params).key_bits;
    hello(&s, ALICE, "alice");
    hello(&s, CAROL, "charlie");
    double sum = 0, squares = 0;
    const int n = 400;
    for (int i = 0; i < n; i++) {
        grant(&s, ALICE, "charlie", 0);
        grant(&s, CAROL, "alice", 0);
        double bits = 8 * (double)must_hear(&s, ALICE).len;
        sum += bits;
        squares += bits * bits;
    }
    double mean = sum / n, spread = sqrt(squares / n - mean * mean);
    assert_true(spread > 0); /* every block has counts of its own */
    assert_true(fabs(mean - expected) < 5 * spread / sqrt(n) + 0.005 * expected);
    end(&s);
}

static void there_is_never_more_key_than_both_have_room_for(void **unused)
{
    struct simulator_config config = calm();
    config.speedup = 0;
    struct story s = begin(config, 0);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    grant(&s, ALICE, "bob", 5000);
    grant(&s, BOB, "alice", 3000);
    grant(&s, ALICE, "bob", 700);
    grant(&s, BOB, "alice", 0);
    assert_int_equal(must_hear(&s, ALICE).len, 3000);
    assert_int_equal(must_hear(&s, ALICE).len, 700);
    end(&s);
}

static void prefill_comes_at_once_and_once(void **unused)
{
    struct story s = begin(calm(), 100000);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    grant(&s, ALICE, "bob", 60000);
    grant(&s, BOB, "alice", 0);
    struct told a = must_hear(&s, ALICE);
    struct told b = must_hear(&s, BOB);
    assert_same_block(&a, &b);
    assert_int_equal(a.len, 60000);
    assert_true(a.seconds == 0 && a.kbps == 0);
    grant(&s, ALICE, "bob", 0);
    grant(&s, BOB, "alice", 0);
    assert_int_equal(must_hear(&s, ALICE).len, 40000);
    grant(&s, ALICE, "bob", 0);
    grant(&s, BOB, "alice", 0);
    assert_int_equal(talk_waiting(s.talk, ALICE, QKD_RATE_BLOCK), 0);
    end(&s);
}

static void in_round_robin_one_link_acquires_at_a_time(void **unused)
{
    struct simulator_config config = calm();
    config.schedule = SIM_ROUND_ROBIN;
    struct story s = begin(config, 0);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    hello(&s, CAROL, "charlie");
    for (int i = 0; i < 2; i++) {
        grant(&s, ALICE, "bob", 0);
        grant(&s, BOB, "alice", 0);
        grant(&s, ALICE, "charlie", 0);
        grant(&s, CAROL, "alice", 0);
    }
    const char *order[4];
    for (int i = 0; i < 4; i++) {
        pass(&s, 10000);
        struct told told = must_hear(&s, ALICE);
        order[i] = told.peer[0] == 'b' ? "bob" : "charlie";
        assert_int_equal(talk_waiting(s.talk, ALICE, QKD_RATE_BLOCK), 0);
    }
    int bobs = 0;
    for (int i = 0; i < 4; i++)
        bobs += order[i][0] == 'b';
    assert_int_equal(bobs, 2);
    end(&s);
}

/* ---- connections and restarts --------------------------------------------------------------- */

static void grants_die_with_their_connection(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    grant(&s, ALICE, "bob", 0);
    grant(&s, BOB, "alice", 0);
    pass(&s, 3000);
    talk_closed(s.talk, BOB);
    pass(&s, 7000);
    assert_int_equal(talk_waiting(s.talk, ALICE, QKD_RATE_BLOCK), 0);
    hello(&s, BOB + 10, "bob");
    grant(&s, BOB + 10, "alice", 0); /* alice's grant still stands */
    pass(&s, 9999);
    assert_int_equal(talk_waiting(s.talk, ALICE, QKD_RATE_BLOCK), 0);
    pass(&s, 1);
    assert_int_equal(talk_waiting(s.talk, ALICE, QKD_RATE_BLOCK), 1);
    assert_int_equal(talk_waiting(s.talk, BOB + 10, QKD_RATE_BLOCK), 1);
    assert_int_equal(talk_waiting(s.talk, BOB, QKD_RATE_BLOCK), 0);
    end(&s);
}

static void a_newer_connection_of_a_user_replaces_the_old(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, ALICE, "alice");
    hello(&s, ALICE + 10, "alice");
    assert_non_null(strstr(talk_close_reason(s.talk, ALICE), "replaced"));
    talk_closed(s.talk, ALICE);
    hello(&s, BOB, "bob");
    grant(&s, ALICE + 10, "bob", 0);
    grant(&s, BOB, "alice", 0);
    talk_tick(s.talk, 9000);
    assert_null(talk_close_reason(s.talk, ALICE + 10));
    end(&s);
}

static void a_silent_user_is_dropped(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, ALICE, "alice");
    talk_tick(s.talk, 4000);
    assert_int_equal(talk_waiting(s.talk, ALICE, LINK_PING), 1);
    talk_tick(s.talk, 6000);
    assert_non_null(talk_close_reason(s.talk, ALICE));
    assert_int_equal(simulator_deadline_ms(s.sim), NEVER_MS);
    end(&s);
}

static void nonsense_ends_the_connection_and_nobody_elses(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, BOB, "bob");
    talk_opened(s.talk, 20, ROLE_KME, "mallory");
    assert_non_null(strstr(talk_close_reason(s.talk, 20), "mallory is no user"));
    talk_opened(s.talk, 21, ROLE_CLIENT, "alice");
    assert_non_null(strstr(talk_close_reason(s.talk, 21), "role client"));
    talk_opened(s.talk, 22, ROLE_KME, "alice");
    grant(&s, 22, "bob", 0);
    assert_non_null(strstr(talk_close_reason(s.talk, 22), "hello"));
    talk_opened(s.talk, 23, ROLE_KME, "alice");
    Qkd__Hello liar = QKD__HELLO__INIT;
    liar.version = QKD_VERSION;
    liar.site = (char *)"bob";
    talk_say(s.talk, 23, QKD_HELLO, &liar.base);
    assert_non_null(strstr(talk_close_reason(s.talk, 23), "another site"));
    hello(&s, 24, "alice");
    grant(&s, 24, "alice", 0);
    assert_non_null(strstr(talk_close_reason(s.talk, 24), "does not have"));
    hello(&s, 25, "alice");
    for (int i = 0; i < SIM_GRANTS_MAX; i++)
        grant(&s, 25, "bob", 0);
    assert_null(talk_close_reason(s.talk, 25));
    grant(&s, 25, "bob", 0);
    assert_non_null(strstr(talk_close_reason(s.talk, 25), "more blocks"));
    talk_say_bytes(s.talk, 25, QKD_GRANT, "\xff", 1); /* late, after the close: no matter */
    assert_null(talk_close_reason(s.talk, BOB));
    end(&s);
}

static struct told first_block(uint8_t seed_byte)
{
    struct simulator_config config = calm();
    config.speedup = 0;
    struct simulator *sim = boot(&config, 0, seed_byte);
    struct story s = {.sim = sim, .talk = talk_new(sim, step)};
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    grant(&s, ALICE, "bob", 0);
    grant(&s, BOB, "alice", 0);
    struct told told = must_hear(&s, ALICE);
    end(&s);
    return told;
}

static void one_seed_repeats_an_experiment_and_another_does_not(void **unused)
{
    struct told a = first_block(1), again = first_block(1), b = first_block(2);
    assert_same_block(&a, &again);
    assert_memory_not_equal(a.id, b.id, 16);
    assert_memory_not_equal(a.key, b.key, 16);
}

static void a_configured_seed_gives_another_one_at_each_boot(void **unused)
{
    const uint8_t configured[RNG_SEED_BYTES] = {7};
    uint8_t boots[20][RNG_SEED_BYTES];
    struct err e;
    size_t n = 0;
    struct disk_sim *disk = disk_sim_new(5);
    for (size_t i = 0; i < ARRAY_SIZE(boots); i++) {
        if (i % 3 == 2) /* the power goes in the middle of the write */
            disk_sim_cut_at(disk, 1);
        if (boot_seed_next(disk_sim_disk(disk), configured, boots[n], &e) == 0)
            n++;
        disk_sim_crash(disk);
    }
    assert_int_equal(n, 14);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(boots[i], boots[j], RNG_SEED_BYTES);
    disk_sim_free(disk);
}

static void a_damaged_counter_of_boots_is_no_reason_to_begin_again(void **unused)
{
    const uint8_t configured[RNG_SEED_BYTES] = {7};
    uint8_t out[RNG_SEED_BYTES];
    struct err e;
    struct disk_sim *disk = disk_sim_new(5);
    assert_int_equal(boot_seed_next(disk_sim_disk(disk), configured, out, &e), 0);
    assert_int_equal(disk_sim_flip(disk, "boots", 3), 0);
    assert_int_equal(boot_seed_next(disk_sim_disk(disk), configured, out, &e), -EBADMSG);
    disk_sim_free(disk);
}

/* ---- the operator --------------------------------------------------------------------------- */

static json_t *ask(struct story *s, const char *verb, const char *arguments, int code)
{
    Ctl__Request q = CTL__REQUEST__INIT;
    q.verb = (char *)verb;
    q.arguments = (char *)arguments;
    talk_opened(s->talk, OPER, ROLE_CTL, "eve");
    talk_say(s->talk, OPER, CTL_REQUEST, &q.base);
    const Ctl__Reply *m =
        (const Ctl__Reply *)talk_heard(s->talk, OPER, CTL_REPLY, &ctl__reply__descriptor);
    assert_non_null(m);
    assert_int_equal(m->code, code);
    assert_true(code == 0 || *m->reason);
    json_t *result = code ? json_string(m->reason) : json_loads(m->result, 0, NULL);
    assert_non_null(result);
    talk_closed(s->talk, OPER);
    return result;
}

static void assert_text(const json_t *object, const char *key, const char *value)
{
    assert_string_equal(json_string_value(json_object_get(object, key)), value);
}

static void everything_shown_says_that_it_is_simulated(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, ALICE, "alice");
    json_t *status = ask(&s, "status", "", 0);
    assert_text(status, "label", "SIMULATED");
    assert_text(status, "level", "rate");
    assert_int_equal(json_array_size(json_object_get(status, "users")), 4);
    json_t *links = ask(&s, "links", "{}", 0);
    assert_int_equal(json_array_size(links), 6);
    json_t *ab = json_array_get(links, 0);
    assert_text(ab, "label", "SIMULATED");
    assert_text(ab, "state", "DOWN");
    assert_text(ab, "reason", "the KME of bob is not connected");
    assert_true(fabs(json_number_value(json_object_get(ab, "rate_kbps")) - 184) < 1);
    json_t *metrics = ask(&s, "metrics", "{}", 0);
    assert_int_equal(json_integer_value(json_object_get(metrics, "qfl_qkdsim_users_connected")), 1);
    json_decref(metrics);
    json_decref(links);
    json_decref(status);
    end(&s);
}

static void the_speed_can_be_changed_while_a_block_is_made(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    grant(&s, ALICE, "bob", 0);
    grant(&s, BOB, "alice", 0);
    json_decref(ask(&s, "set", "{\"speedup\": 0}", 0));
    assert_int_equal(talk_waiting(s.talk, BOB, QKD_RATE_BLOCK), 1);
    json_decref(ask(&s, "set", "{\"speedup\": -1}", 64));
    json_decref(ask(&s, "set", "{\"speedup\": \"fast\"}", 64));
    json_decref(ask(&s, "set", "{\"colour\": 1}", 64));
    json_decref(ask(&s, "set", "{}", 64));
    json_decref(ask(&s, "set", "[1]", 64));
    json_decref(ask(&s, "dance", "{}", 64));
    end(&s);
}

static void users_leave_and_strangers_do_not_join_without_parameters(void **unused)
{
    struct story s = begin(calm(), 0);
    hello(&s, ALICE, "alice");
    hello(&s, BOB, "bob");
    json_decref(ask(&s, "set", "{\"add_user\": \"erin\"}", 78));
    assert_null(talk_close_reason(s.talk, ALICE));
    json_decref(ask(&s, "set", "{\"remove_user\": \"bob\"}", 0));
    assert_non_null(strstr(talk_close_reason(s.talk, ALICE), "network has changed"));
    assert_non_null(strstr(talk_close_reason(s.talk, BOB), "network has changed"));
    hello(&s, 21, "alice");
    const Qkd__Welcome *m =
        (const Qkd__Welcome *)talk_heard(s.talk, 21, QKD_WELCOME, &qkd__welcome__descriptor);
    assert_int_equal(m->n_peers, 2);
    json_decref(ask(&s, "set", "{\"remove_user\": \"bob\"}", 64));
    json_decref(ask(&s, "set", "{\"add_user\": \"bob\"}", 0));
    assert_non_null(talk_close_reason(s.talk, 21));
    hello(&s, 22, "alice");
    m = (const Qkd__Welcome *)talk_heard(s.talk, 22, QKD_WELCOME, &qkd__welcome__descriptor);
    assert_int_equal(m->n_peers, 3);
    end(&s);
}

/* ---- configuration -------------------------------------------------------------------------- */

static int check(const struct sim_topology_config *network, double block_s, struct err *e)
{
    struct sim_topology *t;
    struct simulator_config config = calm();
    config.block_s = block_s;
    int r = sim_topology_new(&t, network, 0, e);
    if (r < 0)
        return r;
    r = simulator_check(&config, t, e);
    sim_topology_free(t);
    return r;
}

static void blocks_that_are_too_short_are_refused_with_the_minimum(void **unused)
{
    const struct sim_topology_config network = {
        .users = four, .n_users = ARRAY_SIZE(four), .network = "paper-4"};
    struct err e = {{0}};
    assert_int_equal(check(&network, 10, &e), 0);
    assert_int_equal(check(&network, 1.5, &e), -EINVAL);
    assert_string_equal(e.text, "link alice-charlie: a block of 1.5 s yields no key; the shortest "
                                "that does takes 1.86 s");
    assert_int_equal(check(&network, 100000, &e), -EINVAL);
    assert_non_null(strstr(e.text, "more than 16 MiB"));
}

static void networks_with_mistakes_are_refused_with_a_sentence(void **unused)
{
    static const char *const five[] = {"alice", "bob", "charlie", "david", "erin"};
    static const char *const twice[] = {"alice", "bob", "alice"};
    static const char *const odd[] = {"alice", "b/b"};
    struct sim_rule rules[2] = {{"erin", "alice", link_paper_at(5)->params}};
    struct err e = {{0}};
    struct sim_topology_config c = {.users = five, .n_users = 5, .network = "paper-4"};
    assert_int_equal(check(&c, 10, &e), -EINVAL);
    assert_string_equal(e.text, "user erin has no link: give links or default_link");
    c.rules = rules;
    c.n_rules = 1;
    assert_int_equal(check(&c, 10, &e), 0);
    rules[1] = (struct sim_rule){"alice", "erin", rules[0].params};
    c.n_rules = 2;
    assert_int_equal(check(&c, 10, &e), -EINVAL);
    assert_string_equal(e.text, "link alice-erin: given twice");
    rules[1].a = "frank";
    assert_int_equal(check(&c, 10, &e), -EINVAL);
    assert_string_equal(e.text, "link frank-erin: one of them is no user");
    rules[1] = (struct sim_rule){"bob", "bob", rules[0].params};
    assert_int_equal(check(&c, 10, &e), -EINVAL);
    rules[1] = (struct sim_rule){"bob", "erin", {.mu = -1}};
    assert_int_equal(check(&c, 10, &e), -EINVAL);
    assert_non_null(strstr(e.text, "link bob-erin: mu is -1"));
    c = (struct sim_topology_config){.users = twice, .n_users = 3, .network = "paper-4"};
    assert_int_equal(check(&c, 10, &e), -EINVAL);
    assert_string_equal(e.text, "users: alice is a user already");
    c.users = odd;
    c.n_users = 2;
    assert_int_equal(check(&c, 10, &e), -EINVAL);
}

static void many_users_take_the_default_link(void **unused)
{
    char names[200][8];
    const char *users[200];
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "s%03d", i);
        users[i] = names[i];
    }
    struct sim_topology_config c = {
        .users = users, .n_users = 200, .fallback = &link_paper_at(8)->params};
    struct sim_topology *t;
    struct err e = {{0}};
    assert_int_equal(check(&c, 10, &e), 0);
    assert_int_equal(sim_topology_new(&t, &c, 0, &e), 0);
    assert_int_equal(sim_topology_links(t), 200 * 199 / 2);
    struct sim_user *a = sim_topology_find_user(t, "s150");
    struct sim_link *l = sim_topology_find_link(t, a, "s003");
    assert_string_equal(l->user[0]->name, "s003");
    assert_int_equal(sim_link_end(l, a), 1);
    assert_null(sim_topology_find_link(t, a, "s150"));
    assert_null(sim_topology_find_link(t, a, "s200"));
    sim_topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_is_welcomed_with_level_and_peers),
        cmocka_unit_test(a_block_comes_after_its_time_when_both_have_granted),
        cmocka_unit_test(standing_grants_lose_no_time_between_blocks),
        cmocka_unit_test(no_two_blocks_share_an_id_or_key_bytes),
        cmocka_unit_test(speedup_divides_the_time_and_not_the_key),
        cmocka_unit_test(the_mean_length_over_many_blocks_is_that_of_the_formula),
        cmocka_unit_test(there_is_never_more_key_than_both_have_room_for),
        cmocka_unit_test(prefill_comes_at_once_and_once),
        cmocka_unit_test(in_round_robin_one_link_acquires_at_a_time),
        cmocka_unit_test(grants_die_with_their_connection),
        cmocka_unit_test(a_newer_connection_of_a_user_replaces_the_old),
        cmocka_unit_test(a_silent_user_is_dropped),
        cmocka_unit_test(nonsense_ends_the_connection_and_nobody_elses),
        cmocka_unit_test(one_seed_repeats_an_experiment_and_another_does_not),
        cmocka_unit_test(a_configured_seed_gives_another_one_at_each_boot),
        cmocka_unit_test(a_damaged_counter_of_boots_is_no_reason_to_begin_again),
        cmocka_unit_test(everything_shown_says_that_it_is_simulated),
        cmocka_unit_test(the_speed_can_be_changed_while_a_block_is_made),
        cmocka_unit_test(users_leave_and_strangers_do_not_join_without_parameters),
        cmocka_unit_test(blocks_that_are_too_short_are_refused_with_the_minimum),
        cmocka_unit_test(networks_with_mistakes_are_refused_with_a_sentence),
        cmocka_unit_test(many_users_take_the_default_link),
    };
    return cmocka_run_group_tests_name("simulator", tests, NULL, NULL);
}
