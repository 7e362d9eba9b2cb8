/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations of a key pool with its clients, its KME and its operator. */
#include "tests/keypool/duet.h"

#include "common/util.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sysexits.h>

#include <cmocka.h>

#define BOTH (1u << ALICE | 1u << BOB)
#define KEY  9968 /* bytes of mask key in the pool of with_key */

/* Two linked pools with KEY bytes of confirmed mask key. */
static struct duet *with_key(uint64_t seed)
{
    struct duet *d = duet_new(seed);
    (void)duet_block(d, BOTH, KEY + 32);
    duet_talk(d);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).available, KEY);
    return d;
}

/* ---- hello ----------------------------------------------------------------------------------- */

static void say_hello(
    struct duet *d, uint32_t conn, uint32_t version, const char *role, const char *site)
{
    Vault__Hello m = VAULT__HELLO__INIT;
    m.version = version;
    m.role = (char *)role;
    m.site = (char *)site;
    duet_say(d, ALICE, conn, VAULT_HELLO, &m.base);
}

static void a_hello_of_another_site_role_or_version_is_refused(void **state)
{
    static const struct {
        uint32_t version;
        const char *role;
        const char *site;
        const char *reason;
    } rows[] = {
        {VAULT_VERSION + 1, "client", "alice", "version"},
        {VAULT_VERSION, "kme", "alice", "this socket is for a client"},
    };
    struct duet *d = duet_new(1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t conn = duet_open(d, ALICE, ROLE_CLIENT);
        say_hello(d, conn, rows[i].version, rows[i].role, rows[i].site);
        assert_null(duet_heard(d, conn, VAULT_WELCOME));
        assert_true(duet_noted(d, ALICE, rows[i].reason));
    }
    /* A consumer of another site hears whose key pool it is, not with whom it is paired. */
    uint32_t conn = duet_open(d, ALICE, ROLE_CLIENT);
    say_hello(d, conn, VAULT_VERSION, "client", "bob");
    const Vault__Welcome *w = duet_heard(d, conn, VAULT_WELCOME);
    assert_non_null(w);
    assert_string_equal(w->site, "alice");
    assert_int_equal(w->n_peers, 0);
    assert_true(duet_noted(d, ALICE, "key pool of site alice, not of bob"));
    conn = duet_open(d, ALICE, ROLE_CLIENT);
    say_hello(d, conn, VAULT_VERSION, "client", "alice");
    w = duet_heard(d, conn, VAULT_WELCOME);
    assert_non_null(w);
    assert_int_equal(w->n_peers, 1);
    assert_string_equal(w->peers[0], "bob");
    (void)duet_open(d, ALICE, ROLE_SERVER);
    assert_true(duet_noted(d, ALICE, "serves no server"));
    duet_free(d);
}

static void a_client_may_not_do_what_is_the_kmes(void **state)
{
    struct duet *d = duet_new(2);
    uint32_t conn = duet_open(d, ALICE, ROLE_CLIENT);
    say_hello(d, conn, VAULT_VERSION, "client", "alice");
    Vault__LinkState m = VAULT__LINK_STATE__INIT;
    m.peer = (char *)"bob";
    duet_say(d, ALICE, conn, VAULT_LINK_STATE, &m.base);
    assert_true(duet_noted(d, ALICE, "is the KME's"));
    duet_free(d);
}

static void a_consumer_without_a_hello_is_closed(void **state)
{
    struct duet *d = duet_new(3);
    (void)duet_open(d, ALICE, ROLE_CLIENT);
    duet_pass(d, 6000);
    assert_true(duet_noted(d, ALICE, "no hello"));
    duet_free(d);
}

/* ---- reserve --------------------------------------------------------------------------------- */

static void reserve_names_what_is_wrong_and_consumes_nothing(void **state)
{
    struct duet *d = with_key(10);
    assert_int_equal(duet_reserve(d, ALICE, 5, 100, 100), VAULT_OK);
    struct vault_account before = duet_account(d, ALICE, VAULT_MASK);
    assert_int_equal(before.skipped, 100);
    assert_int_equal(before.reserved, 100);
    assert_int_equal(duet_reserve(d, ALICE, 6, 199, 100), VAULT_REUSE);
    assert_true(duet_noted(d, ALICE, "below 200 is burnt"));
    assert_int_equal(duet_reserve(d, ALICE, 6, 200, KEY - 199), VAULT_NO_KEY);
    assert_int_equal(duet_reserve(d, ALICE, 6, UINT64_MAX - 5, 10), VAULT_NO_KEY);
    assert_int_equal(duet_reserve(d, ALICE, 6, 200, 0), VAULT_BAD_REQUEST);
    assert_int_equal(duet_reserve(d, ALICE, 4, 200, 10), VAULT_OLD_ATTEMPT);
    assert_int_equal(duet_reserve(d, ALICE, 5, 200, 10), VAULT_LOST);
    struct vault_account after = duet_account(d, ALICE, VAULT_MASK);
    assert_int_equal(after.cursor, before.cursor);
    assert_int_equal(duet_reserve(d, ALICE, 6, 200, KEY - 200), VAULT_OK);
    duet_settle(d);
    duet_free(d);
}

static Vault__Range range_of(uint8_t *stream, uint64_t start, uint64_t length)
{
    Vault__Range r = VAULT__RANGE__INIT;
    r.stream = (ProtobufCBinaryData){VAULT_STREAM_BYTES, stream};
    r.start = start;
    r.length = length;
    return r;
}

static uint32_t reserve_on(struct duet *d, uint32_t conn, const char *run, uint64_t attempt,
    Vault__Range *const *ranges, size_t n)
{
    uint8_t id[16] = {0};
    memcpy(id, run, strlen(run));
    Vault__Reserve m = VAULT__RESERVE__INIT;
    m.run = (ProtobufCBinaryData){sizeof(id), id};
    m.attempt = attempt;
    m.n_ranges = n;
    m.ranges = (Vault__Range **)ranges;
    duet_say(d, ALICE, conn, VAULT_RESERVE, &m.base);
    const Vault__Reserved *r = duet_heard(d, conn, VAULT_RESERVED);
    return r ? r->code : UINT32_MAX;
}

static void streams_are_known_single_and_of_the_consumers_role(void **state)
{
    struct duet *d = with_key(11);
    uint8_t mask[VAULT_STREAM_BYTES], auth[VAULT_STREAM_BYTES], nobody[VAULT_STREAM_BYTES] = {0};
    struct vault_account accounts[3];
    assert_int_equal(vault_accounts(duet_vault(d, ALICE), accounts, 3), 3);
    memcpy(mask, accounts[VAULT_MASK].stream, sizeof(mask));
    memcpy(auth, accounts[VAULT_AUTH_TX].stream, sizeof(auth));
    Vault__Range good = range_of(mask, 0, 10), again = range_of(mask, 10, 10),
                 of_kme = range_of(auth, 0, 10), unknown = range_of(nobody, 0, 10),
                 short_id = range_of(mask, 0, 10);
    short_id.stream.len = 15;
    uint32_t conn = duet_open(d, ALICE, ROLE_CLIENT);
    duet_hello(d, ALICE, ROLE_CLIENT, conn);
    assert_int_equal(
        reserve_on(d, conn, "r", 1, (Vault__Range *[]){&good, &again}, 2), VAULT_BAD_REQUEST);
    assert_int_equal(
        reserve_on(d, conn, "r", 1, (Vault__Range *[]){&good, &of_kme}, 2), VAULT_NO_STREAM);
    assert_int_equal(
        reserve_on(d, conn, "r", 1, (Vault__Range *[]){&good, &unknown}, 2), VAULT_NO_STREAM);
    assert_int_equal(
        reserve_on(d, conn, "r", 1, (Vault__Range *[]){&short_id}, 1), VAULT_NO_STREAM);
    assert_int_equal(reserve_on(d, conn, "r", 1, NULL, 0), VAULT_BAD_REQUEST);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).cursor, 0);
    assert_int_equal(reserve_on(d, conn, "r", 1, (Vault__Range *[]){&good}, 1), VAULT_OK);
    /* The KME takes pads, under attempts of its own, both directions in one record. */
    uint8_t back[VAULT_STREAM_BYTES];
    memcpy(back, accounts[VAULT_AUTH_RX].stream, sizeof(back));
    Vault__Range tx = range_of(auth, 16, 48),
                 rx = range_of(back, accounts[VAULT_AUTH_RX].cursor, 48);
    uint32_t kme = duet_open(d, ALICE, ROLE_KME);
    duet_hello(d, ALICE, ROLE_KME, kme);
    assert_int_equal(reserve_on(d, kme, "r", 1, (Vault__Range *[]){&good}, 1), VAULT_NO_STREAM);
    assert_int_equal(reserve_on(d, kme, "r", 1, (Vault__Range *[]){&tx, &rx}, 2), VAULT_OK);
    assert_int_equal(duet_account(d, ALICE, VAULT_AUTH_TX).skipped, 16);
    assert_int_equal(duet_account(d, ALICE, VAULT_AUTH_TX).reserved, 48);
    Vault__Take take = VAULT__TAKE__INIT;
    take.attempt = 1;
    take.range = 1;
    take.length = 48;
    duet_say(d, ALICE, kme, VAULT_TAKE, &take.base);
    const Vault__Pad *pad = duet_heard(d, kme, VAULT_PAD);
    assert_non_null(pad);
    assert_int_equal(pad->data.len, 48);
    assert_int_equal(duet_account(d, ALICE, VAULT_AUTH_RX).reserved, 0);
    duet_free(d);
}

static void an_attempt_is_lost_after_a_restart_and_never_older(void **state)
{
    struct duet *d = with_key(12);
    assert_int_equal(duet_reserve(d, ALICE, 7, 0, 100), VAULT_OK);
    duet_restart(d, ALICE);
    duet_restart(d, ALICE); /* the record is in the history by now */
    duet_talk(d);
    assert_int_equal(duet_reserve(d, ALICE, 7, 0, 100), VAULT_LOST);
    assert_int_equal(duet_reserve(d, ALICE, 7, 100, 100), VAULT_LOST);
    assert_int_equal(duet_reserve(d, ALICE, 6, 100, 100), VAULT_OLD_ATTEMPT);
    uint8_t mask[VAULT_STREAM_BYTES];
    memcpy(mask, duet_account(d, ALICE, VAULT_MASK).stream, sizeof(mask));
    Vault__Range r = range_of(mask, 100, 100);
    uint32_t conn = duet_open(d, ALICE, ROLE_CLIENT);
    duet_hello(d, ALICE, ROLE_CLIENT, conn);
    assert_int_equal(
        reserve_on(d, conn, "other run", 7, (Vault__Range *[]){&r}, 1), VAULT_OLD_ATTEMPT);
    assert_int_equal(reserve_on(d, conn, "other run", 8, (Vault__Range *[]){&r}, 1), VAULT_OK);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).voided, 100);
    duet_free(d);
}

/* ---- take and release ------------------------------------------------------------------------ */

static void bytes_are_handed_out_once_and_in_order(void **state)
{
    static const struct {
        uint64_t offset;
        uint32_t length;
        const char *reason;
    } rows[] = {
        {49, 10, "was passed already"},
        {50, 0, "one take has 1"},
        {50, VAULT_TAKE_MAX + 1, "one take has 1"},
        {95, 6, "beyond the end"},
        {101, 1, "beyond the end"},
        {UINT64_MAX, 1, "beyond the end"},
    };
    struct duet *d = with_key(13);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t start = duet_account(d, ALICE, VAULT_MASK).cursor;
        struct vault_account before = duet_account(d, ALICE, VAULT_MASK);
        assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), start, 100), VAULT_OK);
        assert_non_null(duet_take(d, ALICE, 10, 40)); /* the first ten are given up */
        assert_int_equal(duet_account(d, ALICE, VAULT_MASK).used - before.used, 40);
        assert_int_equal(duet_account(d, ALICE, VAULT_MASK).voided - before.voided, 10);
        assert_null(duet_take(d, ALICE, rows[i].offset, rows[i].length));
        assert_true(duet_noted(d, ALICE, rows[i].reason));
        /* The connection is gone, and with it what was reserved. */
        assert_int_equal(duet_account(d, ALICE, VAULT_MASK).voided - before.voided, 60);
        assert_int_equal(duet_account(d, ALICE, VAULT_MASK).reserved, 0);
    }
    assert_null(duet_take(d, ALICE, 0, 1));
    assert_true(duet_noted(d, ALICE, "is not reserved here"));
    duet_free(d);
}

static void what_is_not_taken_is_destroyed(void **state)
{
    struct duet *d = with_key(14);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 100), VAULT_OK);
    assert_non_null(duet_take(d, ALICE, 0, 30));
    duet_release(d, ALICE);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).used, 30);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).voided, 70);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 100, 100), VAULT_OK);
    duet_hang_up(d, ALICE);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).voided, 170);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 200, 100), VAULT_OK);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 300, 100), VAULT_OK);
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).voided, 270); /* the one before ended */
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).reserved, 100);
    duet_settle(d);
    duet_free(d);
}

static void accounts_survive_a_restart(void **state)
{
    struct duet *d = with_key(15);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 100), VAULT_OK);
    assert_non_null(duet_take(d, ALICE, 0, 30));
    duet_pass(d, 1100); /* saved by now */
    assert_non_null(duet_take(d, ALICE, 30, 30));
    duet_restart(d, ALICE); /* the last 30 were not */
    struct vault_account a = duet_account(d, ALICE, VAULT_MASK);
    assert_int_equal(a.used, 30);
    assert_int_equal(a.voided, 70);
    assert_int_equal(a.reserved, 0);
    duet_settle(d);
    duet_free(d);
}

static const Vault__Pad *take_on(
    struct duet *d, uint32_t conn, uint64_t attempt, uint64_t offset, uint32_t length)
{
    Vault__Take m = VAULT__TAKE__INIT;
    m.attempt = attempt;
    m.offset = offset;
    m.length = length;
    duet_say(d, ALICE, conn, VAULT_TAKE, &m.base);
    return duet_heard(d, conn, VAULT_PAD);
}

static void two_clients_get_bytes_of_their_own(void **state)
{
    struct duet *d = duet_new(16);
    size_t block = duet_block(d, BOTH, KEY + 32);
    const uint8_t *bytes = duet_block_bytes(d, block) + 32;
    duet_talk(d);
    uint8_t mask[VAULT_STREAM_BYTES];
    memcpy(mask, duet_account(d, ALICE, VAULT_MASK).stream, sizeof(mask));
    uint32_t conns[2];
    Vault__Range ranges[2] = {range_of(mask, 0, 100), range_of(mask, 100, 100)};
    for (size_t i = 0; i < 2; i++) {
        conns[i] = duet_open(d, ALICE, ROLE_CLIENT);
        duet_hello(d, ALICE, ROLE_CLIENT, conns[i]);
        assert_int_equal(
            reserve_on(d, conns[i], "r", 1 + i, (Vault__Range *[]){&ranges[i]}, 1), VAULT_OK);
    }
    duet_pass(d, 1100); /* destroys what nobody wants, nothing else */
    for (size_t i = 2; i-- > 0;) {
        const Vault__Pad *pad = take_on(d, conns[i], 1 + i, 0, 100);
        assert_non_null(pad);
        assert_memory_equal(pad->data.data, bytes + 100 * i, 100);
    }
    duet_free(d);
}

static void levels_tell_both_ends_of_the_story(void **state)
{
    struct duet *d = with_key(17);
    assert_int_equal(duet_reserve(d, BOB, duet_next_attempt(d), 0, 100), VAULT_OK);
    duet_talk(d);
    Vault__LevelsGet get = VAULT__LEVELS_GET__INIT;
    duet_say(d, ALICE, duet_client(d, ALICE), VAULT_LEVELS_GET, &get.base);
    const Vault__Levels *m = duet_heard(d, duet_client(d, ALICE), VAULT_LEVELS);
    assert_non_null(m);
    assert_int_equal(m->n_streams, 3);
    const Vault__Stream *mask = m->streams[VAULT_MASK];
    assert_string_equal(mask->peer, "bob");
    assert_string_equal(mask->purpose, "mask");
    assert_string_equal(mask->source, "test");
    assert_true(mask->in_step);
    assert_int_equal(mask->cursor, 0);
    assert_int_equal(mask->peer_cursor, 100);
    assert_int_equal(mask->end, KEY);
    assert_int_equal(mask->blocks, 1);
    assert_string_equal(m->streams[VAULT_AUTH_TX]->purpose, "auth-tx");
    duet_free(d);
}

/* ---- the KME --------------------------------------------------------------------------------- */

static uint32_t ingest(struct duet *d, const char *peer, const char *id, size_t len, bool simulated)
{
    static uint8_t zeros[100];
    Vault__Ingest m = VAULT__INGEST__INIT;
    m.peer = (char *)peer;
    m.block = (ProtobufCBinaryData){strlen(id), (uint8_t *)id};
    m.source = (char *)"here";
    m.simulated = simulated;
    m.key = (ProtobufCBinaryData){len, zeros};
    uint32_t kme = duet_open(d, ALICE, ROLE_KME);
    duet_hello(d, ALICE, ROLE_KME, kme);
    duet_say(d, ALICE, kme, VAULT_INGEST, &m.base);
    const Vault__Ingested *r = duet_heard(d, kme, VAULT_INGESTED);
    assert_non_null(r);
    return r->code;
}

static void a_block_that_cannot_be_is_refused(void **state)
{
    struct duet *d = duet_new(20);
    assert_int_equal(ingest(d, "carol", "0123456789abcdef", 10, false), VAULT_NO_STREAM);
    assert_int_equal(ingest(d, "bob", "0123456789abcde", 10, false), VAULT_BAD_REQUEST);
    assert_int_equal(ingest(d, "bob", "0123456789abcdef", 0, false), VAULT_BAD_REQUEST);
    assert_int_equal(ingest(d, "bob", "0123456789abcdef", 10, true), VAULT_BAD_REQUEST);
    assert_int_equal(ingest(d, "bob", "0123456789abcdef", 10, false), VAULT_OK);
    assert_int_equal(ingest(d, "bob", "0123456789abcdef", 10, false), VAULT_DUPLICATE);
    duet_restart(d, ALICE);
    assert_int_equal(ingest(d, "bob", "0123456789abcdef", 10, false), VAULT_DUPLICATE);
    duet_free(d);
}

static void simulated_key_is_taken_only_if_allowed_and_says_so(void **state)
{
    struct duet *d = duet_new(21);
    struct err err;
    duet_stop(d, ALICE);
    assert_int_equal(duet_start(d, ALICE, &(struct duet_start){.allow_simulated = true}, &err), 0);
    duet_stop(d, BOB);
    assert_int_equal(duet_start(d, BOB, &(struct duet_start){.allow_simulated = true}, &err), 0);
    duet_link(d, true);
    duet_talk(d);
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        Vault__Ingest m = VAULT__INGEST__INIT;
        uint8_t id[16] = "simulated", key[200] = "key";
        m.peer = (char *)(end == ALICE ? "bob" : "alice");
        m.block = (ProtobufCBinaryData){sizeof(id), id};
        m.source = (char *)"qkdsim-rate";
        m.simulated = true;
        m.key = (ProtobufCBinaryData){sizeof(key), key};
        duet_say(d, end, duet_kme(d, end), VAULT_INGEST, &m.base);
    }
    duet_talk(d);
    int code;
    json_t *keys = duet_ask(d, ALICE, "keys", "", &code);
    const json_t *peer = json_array_get(json_object_get(keys, "peers"), 0);
    assert_true(json_is_true(json_object_get(peer, "simulated")));
    assert_string_equal(json_string_value(json_object_get(peer, "source")), "qkdsim-rate");
    json_decref(keys);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 10), VAULT_OK);
    /* The switch is off again: what is in the pool is not key. */
    duet_restart(d, ALICE);
    duet_talk(d);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 10, 10), VAULT_NO_KEY);
    duet_free(d);
}

static void the_newest_kme_is_the_kme(void **state)
{
    struct duet *d = duet_new(22);
    uint32_t kme = duet_open(d, ALICE, ROLE_KME);
    duet_hello(d, ALICE, ROLE_KME, kme);
    assert_true(duet_noted(d, ALICE, "another KME has connected"));
    const Vault__Room *room = duet_heard(d, kme, VAULT_ROOM);
    assert_non_null(room);
    assert_string_equal(room->peer, "bob");
    assert_int_equal(room->bytes, 1 << 20);
    duet_free(d);
}

static void the_kme_hears_of_room_when_it_changes(void **state)
{
    struct duet *d = with_key(23);
    const Vault__Room *room = duet_heard(d, duet_kme(d, ALICE), VAULT_ROOM);
    assert_non_null(room);
    assert_int_equal(room->bytes, (1 << 20) - KEY);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 100), VAULT_OK);
    room = duet_heard(d, duet_kme(d, ALICE), VAULT_ROOM);
    assert_non_null(room);
    assert_int_equal(room->bytes, (1 << 20) - KEY + 100);
    duet_pass(d, 10);
    assert_null(duet_heard(d, duet_kme(d, ALICE), VAULT_ROOM));
    duet_free(d);
}

/* ---- destroying ------------------------------------------------------------------------------ */

static int count(void *arg, const char *name)
{
    ++*(size_t *)arg;
    return 0;
}

static int copy(void *arg, const char *name)
{
    strcpy(arg, name);
    return 0;
}

static size_t files(struct duet *d, const char *prefix)
{
    size_t n = 0;
    assert_int_equal(disk_list(disk_sim_disk(duet_disk(d, ALICE)), prefix, count, &n), 0);
    return n;
}

static void passed_segments_are_overwritten_and_the_last_takes_the_file(void **state)
{
    struct duet *d = duet_new(30);
    (void)duet_block(d, BOTH, 200000); /* four segments */
    duet_talk(d);
    assert_int_equal(files(d, "blocks/"), 1);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 140000), VAULT_OK);
    duet_pass(d, 200); /* burnt, but wanted */
    assert_non_null(duet_take(d, ALICE, 0, 65536));
    assert_non_null(duet_take(d, ALICE, 65536, 65536));
    duet_pass(d, 200);
    char name[DISK_NAME_MAX] = "";
    struct disk *disk = disk_sim_disk(duet_disk(d, ALICE));
    assert_int_equal(disk_list(disk, "blocks/", copy, name), 0);
    uint8_t bytes[4096];
    static const uint8_t zeros[4096];
    for (uint64_t sector = 0; sector < 34; sector++) {
        assert_int_equal(disk_read(disk, name, sector * 4096, bytes, sizeof(bytes)), 4096);
        assert_memory_equal(bytes, zeros, sizeof(bytes));
    }
    assert_int_equal(disk_read(disk, name, 34 * 4096, bytes, sizeof(bytes)), 4096);
    assert_memory_not_equal(bytes, zeros, 64); /* still wanted */
    duet_release(d, ALICE);
    assert_int_equal(
        duet_reserve(d, ALICE, duet_next_attempt(d), 140000, 200000 - 32 - 140000), VAULT_OK);
    duet_release(d, ALICE);
    duet_pass(d, 200);
    assert_int_equal(files(d, "blocks/"), 0);
    duet_settle(d);
    duet_free(d);
}

/* One data key for two segments would show where they are equal, and what they differ by. */
static void equal_segments_are_sealed_differently(void **state)
{
    struct duet *d = duet_new(32);
    Vault__Ingest m = VAULT__INGEST__INIT;
    static uint8_t zeros[131072], one[65536], two[65536];
    uint8_t id[16] = "zeros";
    m.peer = (char *)"bob";
    m.block = (ProtobufCBinaryData){sizeof(id), id};
    m.source = (char *)"test";
    m.key = (ProtobufCBinaryData){sizeof(zeros), zeros};
    duet_say(d, ALICE, duet_kme(d, ALICE), VAULT_INGEST, &m.base);
    char name[DISK_NAME_MAX] = "";
    struct disk *disk = disk_sim_disk(duet_disk(d, ALICE));
    assert_int_equal(disk_list(disk, "blocks/", copy, name), 0);
    assert_int_equal(disk_read(disk, name, 64, one, sizeof(one)), sizeof(one));
    assert_int_equal(disk_read(disk, name, 17 * 4096 + 64, two, sizeof(two)), sizeof(two));
    size_t equal = 0;
    for (size_t i = 0; i < sizeof(one); i++)
        equal += one[i] == two[i];
    assert_true(equal < sizeof(one) / 100); /* one in 256 by chance */
    duet_free(d);
}

/* Each tag takes a pad, each confirmed block brings some: for ever, over any number of restarts. */
static void authentication_key_is_filled_up_by_blocks(void **state)
{
    struct duet *d = duet_new(33);
    for (int i = 0; i < 400; i++) {
        size_t block = duet_block(d, BOTH, 200);
        duet_talk(d);
        assert_int_equal(duet_decided(d, BOB, block), 1);
        if (i % 50 == 49)
            duet_restart(d, i % 100 == 49 ? ALICE : BOB);
        duet_talk(d);
    }
    assert_true(duet_account(d, BOB, VAULT_AUTH_TX).used > 6000);
    assert_true(duet_account(d, BOB, VAULT_AUTH_TX).available > 4000);
    assert_int_equal(duet_account(d, BOB, VAULT_AUTH_TX).skipped, 0);
    duet_settle(d);
    duet_free(d);
}

/* Recorded from the first write on: neither blocks nor pads ever reach the disk in the clear. */
static void no_byte_of_key_is_written_in_the_clear(void **state)
{
    struct duet *d = duet_new_strangers(31);
    for (enum duet_end end = ALICE; end <= BOB; end++)
        disk_sim_record(duet_disk(d, end));
    assert_int_equal(duet_pair(d, ALICE, 1), 0);
    assert_int_equal(duet_pair(d, BOB, 1), 0);
    duet_link(d, true);
    duet_talk(d);
    size_t block = duet_block(d, BOTH, 70000);
    duet_talk(d);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 66000), VAULT_OK);
    assert_non_null(duet_take(d, ALICE, 0, 60000));
    duet_restart(d, ALICE);
    duet_settle(d);
    uint8_t pairing[VAULT_PAIRING_BYTES];
    struct rnd rnd;
    rnd_init(&rnd, 1001); /* as in duet_pair */
    rnd_bytes(&rnd, pairing, sizeof(pairing));
    for (enum duet_end end = ALICE; end <= BOB; end++) {
        for (size_t at = 0; at + 8 <= 70000; at += 997)
            assert_false(
                disk_sim_has_written(duet_disk(d, end), duet_block_bytes(d, block) + at, 8));
        for (size_t at = 0; at + 8 <= sizeof(pairing); at += 97)
            assert_false(disk_sim_has_written(duet_disk(d, end), pairing + at, 8));
    }
    duet_free(d);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void flip(struct duet *d, const char *prefix, uint64_t byte)
{
    char name[DISK_NAME_MAX] = "";
    assert_int_equal(disk_list(disk_sim_disk(duet_disk(d, ALICE)), prefix, copy, name), 0);
    assert_int_equal(disk_sim_flip(duet_disk(d, ALICE), name, 8 * byte), 0);
}

static void a_damaged_segment_gives_no_byte_and_an_alarm(void **state)
{
    struct duet *d = duet_new(40);
    size_t block = duet_block(d, BOTH, 140000);
    duet_talk(d);
    flip(d, "blocks/", 64 + 4112 + 100); /* in the second chunk */
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 10000), VAULT_OK);
    assert_non_null(duet_take(d, ALICE, 0, 4000));
    assert_null(duet_take(d, ALICE, 4000, 4000));
    assert_true(duet_noted(d, ALICE, "damaged on the disk"));
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 10000, 10000), VAULT_OK);
    const uint8_t *pad = duet_take(d, ALICE, 0, 10000);
    assert_non_null(pad);
    assert_memory_equal(pad, duet_block_bytes(d, block) + 32 + 10000, 10000);
    duet_settle(d);
    duet_free(d);
}

/* Both are whole, each with its own data key: only their place is wrong. */
static void segments_that_changed_places_do_not_open(void **state)
{
    struct duet *d = duet_new(44);
    (void)duet_block(d, BOTH, 140000);
    duet_talk(d);
    char name[DISK_NAME_MAX] = "";
    static uint8_t one[17 * 4096], two[17 * 4096];
    struct disk *disk = disk_sim_disk(duet_disk(d, ALICE));
    assert_int_equal(disk_list(disk, "blocks/", copy, name), 0);
    assert_int_equal(disk_read(disk, name, 0, one, sizeof(one)), sizeof(one));
    assert_int_equal(disk_read(disk, name, sizeof(one), two, sizeof(two)), sizeof(two));
    assert_int_equal(disk_write(disk, name, 0, two, sizeof(two)), 0);
    assert_int_equal(disk_write(disk, name, sizeof(one), one, sizeof(one)), 0);
    assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), 0, 1000), VAULT_OK);
    assert_null(duet_take(d, ALICE, 0, 1000));
    assert_true(duet_noted(d, ALICE, "damaged on the disk"));
    duet_free(d);
}

static void a_damaged_undecided_block_is_void(void **state)
{
    struct duet *d = duet_new(41);
    size_t block = duet_block(d, 1u << ALICE, 1000);
    flip(d, "blocks/", 100);
    assert_int_equal(duet_ingest(d, BOB, block, false), VAULT_OK);
    duet_talk(d);
    assert_int_equal(duet_decided(d, ALICE, block), -1);
    assert_int_equal(duet_decided(d, BOB, block), -1);
    assert_true(duet_noted(d, ALICE, "damaged on this disk"));
    duet_settle(d);
    duet_free(d);
}

static void damaged_pads_are_burnt_with_an_alarm(void **state)
{
    struct duet *d = with_key(42);
    duet_stop(d, ALICE);
    flip(d, "pads/", 200);
    duet_restart(d, ALICE);
    duet_talk(d);
    assert_int_equal(duet_account(d, ALICE, VAULT_AUTH_RX).available, 0);
    assert_true(duet_noted(d, ALICE, "have been burnt"));
    assert_int_equal(duet_account(d, ALICE, VAULT_MASK).available, KEY);
    int code;
    json_t *keys = duet_ask(d, ALICE, "keys", "", &code);
    const json_t *peer = json_array_get(json_object_get(keys, "peers"), 0);
    assert_string_equal(json_string_value(json_object_get(peer, "state")), "AUTH EMPTY");
    json_decref(keys);
    duet_settle(d);
    duet_free(d);
}

/* No partial commit, nothing acknowledged, and no second try on a disk that has failed. */
static void a_failing_disk_ends_the_vault_without_a_reply(void **state)
{
    static const int errors[] = {-EIO, -ENOSPC};
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        struct duet *d = with_key(43);
        struct vault *v = duet_vault(d, ALICE);
        uint8_t mask[VAULT_STREAM_BYTES], run[16] = "r";
        memcpy(mask, duet_account(d, ALICE, VAULT_MASK).stream, sizeof(mask));
        Vault__Range range = range_of(mask, 0, 10);
        Vault__Reserve m = VAULT__RESERVE__INIT;
        m.run = (ProtobufCBinaryData){sizeof(run), run};
        m.attempt = 1;
        m.n_ranges = 1;
        m.ranges = (Vault__Range *[]){&range};
        struct blob *body = codec_pack(&m.base);
        struct event event = {.kind = EVENT_FRAME, .conn = duet_client(d, ALICE)};
        event.frame.type = VAULT_RESERVE;
        event.frame.body = body->data;
        event.frame.len = body->len;
        struct update u = {0};
        disk_sim_fail_at(duet_disk(d, ALICE), 1 + i, errors[i]);
        assert_int_equal(vault_step(v, &event, &u), errors[i]);
        for (size_t k = 0; k < u.n; k++)
            assert_int_not_equal(u.effects[k].type, VAULT_RESERVED);
        update_deinit(&u);
        const struct event tick = {.kind = EVENT_TICK};
        assert_int_equal(vault_step(v, &tick, &u), errors[i]);
        update_deinit(&u);
        blob_unref(body);
        duet_free(d);
    }
}

/* ---- the operator ---------------------------------------------------------------------------- */

static void the_operator_sees_the_pool(void **state)
{
    struct duet *d = with_key(50);
    uint64_t attempt = duet_next_attempt(d);
    assert_int_equal(duet_reserve(d, ALICE, attempt, 8, 92), VAULT_OK);
    assert_non_null(duet_take(d, ALICE, 0, 50));
    int code;
    json_t *keys = duet_ask(d, ALICE, "keys", "", &code);
    assert_string_equal(json_string_value(json_object_get(keys, "site")), "alice");
    const json_t *peer = json_array_get(json_object_get(keys, "peers"), 0);
    assert_string_equal(json_string_value(json_object_get(peer, "state")), "UP");
    assert_int_equal(json_integer_value(json_object_get(peer, "ingested_bits")), 8 * KEY);
    assert_int_equal(json_integer_value(json_object_get(peer, "used_bits")), 8 * 50);
    assert_int_equal(json_integer_value(json_object_get(peer, "reserved_bits")), 8 * 42);
    assert_int_equal(json_integer_value(json_object_get(peer, "wasted_bits")), 8 * 8);
    assert_int_equal(json_array_size(json_object_get(peer, "streams")), 3);
    json_decref(keys);
    json_t *status = duet_ask(d, ALICE, "status", "{}", &code);
    assert_true(json_is_true(json_object_get(status, "kme")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(status, "pairs"), "bob")), "UP");
    json_decref(status);
    json_t *metrics = duet_ask(d, ALICE, "metrics", "", &code);
    assert_int_equal(json_integer_value(json_object_get(metrics, "reservations")), 1);
    assert_int_equal(json_integer_value(json_object_get(metrics, "taken_bytes")), 50);
    json_decref(metrics);
    assert_null(duet_ask(d, ALICE, "sing", "", &code));
    assert_int_equal(code, EX_USAGE);
    assert_null(duet_ask(d, ALICE, "audit", "[]", &code));
    assert_int_equal(code, EX_USAGE);
    assert_null(duet_ask(d, ALICE, "pair", "", &code));
    assert_int_equal(code, EX_UNAVAILABLE);
    duet_link(d, false);
    status = duet_ask(d, ALICE, "status", "", &code);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(status, "pairs"), "bob")), "DOWN");
    json_decref(status);
    duet_free(d);
}

static void the_audit_goes_back_beyond_restarts(void **state)
{
    struct duet *d = with_key(51);
    for (int i = 0; i < 6; i++) {
        uint64_t start = duet_account(d, ALICE, VAULT_MASK).cursor;
        assert_int_equal(duet_reserve(d, ALICE, duet_next_attempt(d), start + 1, 10), VAULT_OK);
        if (i % 2)
            duet_restart(d, ALICE);
        duet_talk(d);
    }
    int code;
    size_t reserved = 0, skipped = 0;
    uint64_t next = 0;
    do { /* page by page */
        char arguments[64];
        snprintf(arguments, sizeof(arguments), "{\"from\": %d, \"limit\": 3}", (int)next);
        json_t *audit = duet_ask(d, ALICE, "audit", arguments, &code);
        assert_non_null(audit);
        size_t i;
        const json_t *r;
        json_array_foreach(json_object_get(audit, "ranges"), i, r)
        {
            const char *kind = json_string_value(json_object_get(r, "kind"));
            reserved += strcmp(kind, "reserve") == 0;
            skipped += strcmp(kind, "skip") == 0;
            if (strcmp(kind, "reserve") == 0)
                assert_int_equal(json_integer_value(json_object_get(r, "attempt")), reserved);
        }
        next = (uint64_t)json_integer_value(json_object_get(audit, "next"));
        json_decref(audit);
    } while (next > 0);
    assert_int_equal(reserved, 6);
    assert_int_equal(skipped, 6);
    duet_audit(d);
    duet_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_of_another_site_role_or_version_is_refused),
        cmocka_unit_test(a_client_may_not_do_what_is_the_kmes),
        cmocka_unit_test(a_consumer_without_a_hello_is_closed),
        cmocka_unit_test(reserve_names_what_is_wrong_and_consumes_nothing),
        cmocka_unit_test(streams_are_known_single_and_of_the_consumers_role),
        cmocka_unit_test(an_attempt_is_lost_after_a_restart_and_never_older),
        cmocka_unit_test(bytes_are_handed_out_once_and_in_order),
        cmocka_unit_test(what_is_not_taken_is_destroyed),
        cmocka_unit_test(accounts_survive_a_restart),
        cmocka_unit_test(two_clients_get_bytes_of_their_own),
        cmocka_unit_test(levels_tell_both_ends_of_the_story),
        cmocka_unit_test(a_block_that_cannot_be_is_refused),
        cmocka_unit_test(simulated_key_is_taken_only_if_allowed_and_says_so),
        cmocka_unit_test(the_newest_kme_is_the_kme),
        cmocka_unit_test(the_kme_hears_of_room_when_it_changes),
        cmocka_unit_test(passed_segments_are_overwritten_and_the_last_takes_the_file),
        cmocka_unit_test(equal_segments_are_sealed_differently),
        cmocka_unit_test(authentication_key_is_filled_up_by_blocks),
        cmocka_unit_test(no_byte_of_key_is_written_in_the_clear),
        cmocka_unit_test(a_damaged_segment_gives_no_byte_and_an_alarm),
        cmocka_unit_test(segments_that_changed_places_do_not_open),
        cmocka_unit_test(a_damaged_undecided_block_is_void),
        cmocka_unit_test(damaged_pads_are_burnt_with_an_alarm),
        cmocka_unit_test(a_failing_disk_ends_the_vault_without_a_reply),
        cmocka_unit_test(the_operator_sees_the_pool),
        cmocka_unit_test(the_audit_goes_back_beyond_restarts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
