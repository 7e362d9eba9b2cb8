/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator as a source: grants outlive connections, nothing comes that was not asked for, key bytes
 * do not stay in frames. */
#include "keypool/qkd/source_sim.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"
#include "tests/keypool/talk.h"

#include "common/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define EVE 1

struct story {
    struct source *source;
    struct talk *talk;
    struct update granted; /* what grants have put out */
    struct {
        char peer[16];
        uint8_t id;
        size_t len;
        bool simulated;
        double qber;
    } blocks[8];
    size_t n_blocks;
    int condition; /* of the last step */
};

static int step(void *core, const struct event *event, struct update *u)
{
    struct story *s = core;
    s->condition = s->source->ops->step(s->source, event, u);
    return s->condition < 0 ? s->condition : 0;
}

static int on_block(void *owner, const struct source_block *block, struct update *u)
{
    struct story *s = owner;
    assert_true(s->n_blocks < ARRAY_SIZE(s->blocks));
    strncpy(s->blocks[s->n_blocks].peer, block->peer, 15);
    s->blocks[s->n_blocks].id = block->id[0];
    s->blocks[s->n_blocks].len = block->len;
    s->blocks[s->n_blocks].simulated = block->simulated;
    s->blocks[s->n_blocks++].qber = block->qber;
    for (size_t i = 0; i < block->len; i++)
        assert_int_equal(block->key[i], 0xaa);
    return 0;
}

static void begin(struct story *s, const char *simulator)
{
    static const char *const peers[] = {"bob", "carol"};
    const struct source_sim_config config = {
        .site = "alice", .simulator = simulator, .peers = peers, .n_peers = 2};
    *s = (struct story){0};
    assert_int_equal(source_sim_new(&s->source, &config), 0);
    s->source->on_block = on_block;
    s->source->owner = s;
    s->talk = talk_new(s, step);
}

static void end(struct story *s)
{
    s->source->ops->free(s->source);
    update_deinit(&s->granted);
    talk_free(s->talk);
}

static void welcome(struct story *s, uint32_t conn, const char *level, size_t n_peers)
{
    char *peers[] = {(char *)"bob", (char *)"zoe", (char *)"carol"};
    Qkd__Welcome m = QKD__WELCOME__INIT;
    m.version = QKD_VERSION;
    m.level = (char *)level;
    m.peers = peers;
    m.n_peers = n_peers;
    talk_opened(s->talk, conn, ROLE_QKDSIM, "eve");
    assert_int_equal(s->condition, 0);
    const Qkd__Hello *h =
        (const Qkd__Hello *)talk_heard(s->talk, conn, QKD_HELLO, &qkd__hello__descriptor);
    assert_true(h && h->version == QKD_VERSION);
    assert_string_equal(h->site, "alice");
    talk_say(s->talk, conn, QKD_WELCOME, &m.base);
}

static void grant(struct story *s, const char *peer, uint64_t want)
{
    assert_int_equal(s->source->ops->grant(s->source, peer, want, 0, &s->granted), 0);
}

static void block(struct story *s, uint32_t conn, const char *peer, size_t id_len, size_t len)
{
    uint8_t id[20] = {5};
    uint8_t key[100];
    memset(key, 0xaa, sizeof(key));
    Qkd__RateBlock m = QKD__RATE_BLOCK__INIT;
    m.peer = (char *)peer;
    m.block = (ProtobufCBinaryData){id_len, id};
    m.key = (ProtobufCBinaryData){len, key};
    m.qber = 0.01;
    talk_say(s->talk, conn, QKD_RATE_BLOCK, &m.base);
}

static void assert_wiped(const struct story *s)
{
    size_t len;
    const uint8_t *body = talk_last_body(s->talk, &len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(body[i], 0);
}

static bool is_ready(const struct story *s, const char *peer, const char *says)
{
    struct err why = {{0}};
    bool ready = s->source->ops->is_ready(s->source, peer, &why);
    assert_string_equal(why.text, says);
    return ready;
}

/* ---- stories -------------------------------------------------------------------------------- */

static void a_granted_block_is_handed_on_and_wiped(void **unused)
{
    struct story s;
    begin(&s, NULL);
    assert_false(is_ready(&s, "bob", "the simulator is not connected"));
    welcome(&s, EVE, "rate", 2);
    assert_true(is_ready(&s, "bob", ""));
    assert_false(is_ready(&s, "carol", "the simulator has no link with carol"));
    assert_string_equal(s.source->name, "qkdsim-rate");
    assert_true(s.source->simulated);
    grant(&s, "bob", 7000);
    assert_int_equal(s.granted.n, 1);
    block(&s, EVE, "bob", 16, 100);
    assert_wiped(&s);
    assert_int_equal(s.n_blocks, 1);
    assert_string_equal(s.blocks[0].peer, "bob");
    assert_true(s.blocks[0].id == 5 && s.blocks[0].len == 100 && s.blocks[0].simulated);
    assert_true(s.blocks[0].qber == 0.01);
    assert_null(talk_close_reason(s.talk, EVE));
    end(&s);
}

static void grants_are_said_again_after_a_reconnect(void **unused)
{
    struct story s;
    begin(&s, "eve");
    grant(&s, "bob", 1000); /* before there is a connection */
    assert_int_equal(s.granted.n, 0);
    welcome(&s, EVE, "rate", 3);
    const Qkd__Grant *g =
        (const Qkd__Grant *)talk_heard(s.talk, EVE, QKD_GRANT, &qkd__grant__descriptor);
    assert_true(g && g->max_bytes == 1000);
    assert_string_equal(g->peer, "bob");
    grant(&s, "bob", 900);
    grant(&s, "carol", 800);
    block(&s, EVE, "bob", 16, 10);
    talk_closed(s.talk, EVE);
    assert_false(is_ready(&s, "bob", "the simulator is not connected"));
    welcome(&s, EVE + 1, "rate", 3);
    assert_int_equal(talk_waiting(s.talk, EVE + 1, QKD_GRANT), 2); /* one is used up */
    end(&s);
}

static void what_was_not_asked_for_ends_the_connection(void **unused)
{
    static const struct {
        const char *peer;
        size_t id_len, len;
        const char *says;
    } cases[] = {
        {"carol", 16, 10, "not granted"},
        {"zoe", 16, 10, "not granted"},
        {"bob", 15, 10, "without id or key"},
        {"bob", 16, 0, "without id or key"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct story s;
        begin(&s, NULL);
        welcome(&s, EVE, "rate", 3);
        grant(&s, "bob", 0);
        block(&s, EVE, cases[i].peer, cases[i].id_len, cases[i].len);
        assert_wiped(&s);
        assert_non_null(strstr(talk_close_reason(s.talk, EVE), cases[i].says));
        assert_int_equal(s.n_blocks, 0);
        talk_say_bytes(s.talk, EVE, QKD_RATE_BLOCK, "late", 4);
        assert_int_equal(s.condition, SOURCE_E_NOT_MINE);
        end(&s);
    }
}

static void an_unknown_level_or_version_is_refused(void **unused)
{
    struct story s;
    begin(&s, NULL);
    welcome(&s, EVE, "telepathy", 1);
    assert_non_null(strstr(talk_close_reason(s.talk, EVE), "level"));
    Qkd__Welcome m = QKD__WELCOME__INIT;
    m.version = 9;
    m.level = (char *)"rate";
    talk_opened(s.talk, 2, ROLE_QKDSIM, "eve");
    talk_say(s.talk, 2, QKD_WELCOME, &m.base);
    assert_non_null(strstr(talk_close_reason(s.talk, 2), "version"));
    talk_opened(s.talk, 3, ROLE_QKDSIM, "eve");
    block(&s, 3, "bob", 16, 10);
    assert_wiped(&s);
    assert_non_null(strstr(talk_close_reason(s.talk, 3), "hello"));
    end(&s);
}

static void only_its_own_events_concern_it(void **unused)
{
    struct story s;
    begin(&s, "eve");
    talk_opened(s.talk, 1, ROLE_QKDSIM, "other");
    assert_int_equal(s.condition, SOURCE_E_NOT_MINE);
    talk_opened(s.talk, 2, ROLE_SERVER, "eve");
    assert_int_equal(s.condition, SOURCE_E_NOT_MINE);
    talk_closed(s.talk, 2);
    assert_int_equal(s.condition, SOURCE_E_NOT_MINE);
    assert_int_equal(s.source->ops->grant(s.source, "zoe", 0, 0, &s.granted), -ENOENT);
    welcome(&s, 5, "rate", 1);
    talk_opened(s.talk, 6, ROLE_QKDSIM, "eve"); /* the newer one counts */
    assert_non_null(strstr(talk_close_reason(s.talk, 5), "newer"));
    talk_tick(s.talk, 5000);
    assert_non_null(strstr(talk_close_reason(s.talk, 6), "no hello"));
    assert_int_equal(s.source->ops->deadline_ms(s.source), NEVER_MS);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_granted_block_is_handed_on_and_wiped),
        cmocka_unit_test(grants_are_said_again_after_a_reconnect),
        cmocka_unit_test(what_was_not_asked_for_ends_the_connection),
        cmocka_unit_test(an_unknown_level_or_version_is_refused),
        cmocka_unit_test(only_its_own_events_concern_it),
    };
    return cmocka_run_group_tests_name("source_sim", tests, NULL, NULL);
}
