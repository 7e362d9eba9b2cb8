/* SPDX-License-Identifier: Apache-2.0 */
/* A site of a federation of hundreds: what it says of its key does not fit into one HELLO. */
#include "client/participant.h"
#include "common/util.h"
#include "proto/fed.h"
#include "proto/fed.pb-c.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"
#include "tests/client/fake_trainer.h"
#include "tests/sim/disk_sim.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PEERS 400

enum { POOL = 1, SERVER };

struct site {
    char names[PEERS][SITE_NAME_MAX + 1];
    const char *peers[PEERS];
    struct fake_trainer trainer;
    struct disk_sim *disk;
    struct participant *p;
    size_t hello_levels, hello_bytes, told_levels;
};

static void hear(struct site *s, const struct effect *e)
{
    if (e->kind != EFFECT_SEND || e->conn != SERVER)
        return;
    if (e->type == FED_HELLO) {
        Fed__Hello *m = fed__hello__unpack(NULL, e->body->len, e->body->data);
        s->hello_levels = m->n_levels;
        s->hello_bytes = e->body->len;
        fed__hello__free_unpacked(m, NULL);
    }
    if (e->type == FED_LEVELS) {
        Fed__Levels *m = fed__levels__unpack(NULL, e->body->len, e->body->data);
        s->told_levels = m->n_levels;
        assert_string_equal(m->levels[PEERS - 1]->peer, s->peers[PEERS - 1]);
        fed__levels__free_unpacked(m, NULL);
    }
}

static void step(struct site *s, struct event event)
{
    struct update u = {0};
    event.now_ms = 1000;
    assert_int_equal(participant_step(s->p, &event, &u), 0);
    for (size_t i = 0; i < u.n; i++)
        hear(s, &u.effects[i]);
    update_deinit(&u);
}

static void say(struct site *s, uint32_t conn, uint16_t type, const ProtobufCMessage *m)
{
    struct blob *body = codec_pack(m);
    assert_non_null(body);
    step(s, (struct event){.kind = EVENT_FRAME,
                .conn = conn,
                .frame = {.type = type, .body = body->data, .len = body->len}});
    blob_unref(body);
}

static void site_init(struct site *s)
{
    *s = (struct site){.disk = disk_sim_new(1)};
    for (int i = 0; i < PEERS; i++) {
        memset(s->names[i], 'x', SITE_NAME_MAX);
        snprintf(s->names[i], 5, "%04d", i);
        s->names[i][4] = '-';
        s->peers[i] = s->names[i];
    }
    s->trainer = fake_trainer(20, 10);
    const struct participant_config config = {.federation = "test",
        .site = "y",
        .peers = s->peers,
        .n_peers = PEERS,
        .policy = {.k_min = 3, .q_min = 2, .q_max = 32},
        .trainer = &s->trainer.trainer};
    struct err e = {{0}};
    assert_int_equal(participant_new(&s->p, &config, disk_sim_disk(s->disk), 1000, &e), 0);
}

static void site_deinit(struct site *s)
{
    participant_free(s->p);
    disk_sim_free(s->disk);
}

static void vault_tells(struct site *s)
{
    static Vault__Stream streams[PEERS];
    static Vault__Stream *list[PEERS];
    static uint8_t id[FED_STREAM_BYTES];
    step(s, (struct event){.kind = EVENT_OPENED, .conn = POOL, .opened = {.role = ROLE_VAULT}});
    Vault__Welcome welcome = VAULT__WELCOME__INIT;
    welcome.version = VAULT_VERSION;
    welcome.site = (char *)"y";
    welcome.n_peers = PEERS;
    welcome.peers = (char **)s->peers;
    say(s, POOL, VAULT_WELCOME, &welcome.base);
    for (int i = 0; i < PEERS; i++) {
        vault__stream__init(&streams[i]);
        streams[i].peer = s->names[i];
        streams[i].purpose = (char *)"mask";
        streams[i].stream = (ProtobufCBinaryData){sizeof(id), id};
        streams[i].cursor = streams[i].end = UINT64_MAX;
        streams[i].in_step = streams[i].simulated = true;
        list[i] = &streams[i];
    }
    Vault__Levels levels = VAULT__LEVELS__INIT;
    levels.n_streams = PEERS;
    levels.streams = list;
    say(s, POOL, VAULT_LEVELS, &levels.base);
}

static void levels_that_do_not_fit_into_hello_come_after_welcome(void **state)
{
    (void)state;
    struct site s;
    site_init(&s);
    vault_tells(&s);
    step(&s, (struct event){.kind = EVENT_OPENED, .conn = SERVER, .opened = {.role = ROLE_SERVER}});
    assert_int_equal(s.hello_levels, FED_HELLO_LEVELS);
    assert_true(s.hello_bytes <= EXCHANGE_HELLO_MAX);
    assert_int_equal(s.told_levels, 0);
    Fed__Welcome welcome = FED__WELCOME__INIT;
    welcome.version = FED_VERSION;
    welcome.federation = (char *)"test";
    say(&s, SERVER, FED_WELCOME, &welcome.base);
    assert_int_equal(s.told_levels, PEERS);
    site_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_that_do_not_fit_into_hello_come_after_welcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
