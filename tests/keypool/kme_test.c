/* SPDX-License-Identifier: Apache-2.0 */
/* The KME between a vault, a peer and a source: what it grants, carries and forgets, in every order. */
#include "keypool/kme/kme.h"
#include "keypool/kme/meter.h"
#include "proto/ctl.h"
#include "proto/ctl.pb-c.h"
#include "proto/kme.h"
#include "proto/kme.pb-c.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"
#include "tests/keypool/talk.h"

#include "common/util.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define VAULT 1
#define BOB   2
#define CAROL 3
#define OPER  9

/* A source that does as it is told and remembers. */
struct fake_source {
    struct source source; /* first */
    struct {
        char peer[16];
        uint64_t want;
    } grants[64];
    size_t n_grants;
    struct {
        uint8_t id;
        bool confirmed;
    } closed[64];
    size_t n_closed;
    int channels; /* +1 for each up, -1 for each down */
    char heard[64];
    bool is_ready;
    int refuses; /* what message() returns */
};

struct story {
    struct fake_source *source;
    struct kme *kme;
    struct talk *talk;
};

static struct fake_source *fake(const struct source *s)
{
    return (struct fake_source *)s;
}

static int on_grant(
    struct source *s, const char *peer, uint64_t want, uint64_t deadline_ms, struct update *u)
{
    struct fake_source *f = fake(s);
    assert_true(f->n_grants < ARRAY_SIZE(f->grants));
    snprintf(f->grants[f->n_grants].peer, sizeof(f->grants[0].peer), "%s", peer);
    f->grants[f->n_grants++].want = want;
    return 0;
}

static int on_step(struct source *s, const struct event *event, struct update *u)
{
    return event->kind == EVENT_TICK ? 0 : SOURCE_E_NOT_MINE;
}

static uint64_t never(const struct source *s)
{
    return NEVER_MS;
}

static int on_close(struct source *s, const char *peer, const uint8_t *id, bool confirmed)
{
    struct fake_source *f = fake(s);
    assert_true(f->n_closed < ARRAY_SIZE(f->closed));
    f->closed[f->n_closed].id = id[0];
    f->closed[f->n_closed++].confirmed = confirmed;
    return 0;
}

static int on_channel(struct source *s, const char *peer, bool up, struct update *u)
{
    fake(s)->channels += up ? 1 : -1;
    return up ? s->send(s->owner, peer, "ready", 5, u) : 0;
}

static int on_message(
    struct source *s, const char *peer, uint8_t *data, size_t len, struct update *u, struct err *e)
{
    struct fake_source *f = fake(s);
    if (f->refuses)
        return err_set(e, f->refuses, "that was rude");
    snprintf(f->heard, sizeof(f->heard), "%s:%.*s", peer, (int)len, (const char *)data);
    return 0;
}

static bool on_is_ready(const struct source *s, const char *peer, struct err *why)
{
    if (!fake(s)->is_ready)
        err_set(why, 0, "no light");
    return fake(s)->is_ready;
}

static void on_free(struct source *s)
{
    free(s);
}

static const struct source_ops fake_ops = {
    .grant = on_grant,
    .step = on_step,
    .deadline_ms = never,
    .close_block = on_close,
    .channel = on_channel,
    .message = on_message,
    .is_ready = on_is_ready,
    .free = on_free,
};

static int step(void *core, const struct event *event, struct update *u)
{
    return kme_step(core, event, u);
}

static struct story begin(const char *site)
{
    struct fake_source *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->source = (struct source){.ops = &fake_ops, .name = "fake", .simulated = true};
    f->is_ready = true;
    struct source *sources[] = {&f->source};
    const struct kme_link_config links[] = {{"bob", &f->source}, {"carol", &f->source}};
    const struct kme_config config = {.site = site,
        .nonce = {42},
        .links = links,
        .n_links = 2,
        .sources = sources,
        .n_sources = 1};
    struct story s = {.source = f};
    assert_int_equal(kme_new(&s.kme, &config), 0);
    s.talk = talk_new(s.kme, step);
    return s;
}

static void end(struct story *s)
{
    kme_free(s->kme);
    talk_free(s->talk);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void vault_welcomes(struct story *s, uint32_t conn)
{
    char *peers[] = {(char *)"bob", (char *)"carol"};
    Vault__Welcome m = VAULT__WELCOME__INIT;
    m.version = VAULT_VERSION;
    m.site = (char *)"alice";
    m.peers = peers;
    m.n_peers = 2;
    talk_opened(s->talk, conn, ROLE_VAULT, "alice");
    talk_say(s->talk, conn, VAULT_WELCOME, &m.base);
}

static void vault_has_room(struct story *s, uint32_t conn, const char *peer, uint64_t bytes)
{
    Vault__Room m = VAULT__ROOM__INIT;
    m.peer = (char *)peer;
    m.bytes = bytes;
    m.auth_tx = m.auth_rx = 4096;
    m.in_step = true;
    talk_say(s->talk, conn, VAULT_ROOM, &m.base);
}

static void kme_hello(struct story *s, uint32_t conn, const char *site, uint8_t nonce)
{
    uint8_t bytes[KME_NONCE_BYTES] = {nonce};
    Kme__Hello m = KME__HELLO__INIT;
    m.version = KME_VERSION;
    m.site = (char *)site;
    m.nonce = (ProtobufCBinaryData){sizeof(bytes), bytes};
    talk_opened(s->talk, conn, ROLE_KME, site);
    talk_say(s->talk, conn, KME_HELLO, &m.base);
}

static void kme_pool(struct story *s, uint32_t conn, bool attached, uint64_t epoch)
{
    Kme__Pool m = KME__POOL__INIT;
    m.attached = attached;
    m.epoch = epoch;
    talk_say(s->talk, conn, KME_POOL, &m.base);
}

static void kme_carries(struct story *s, uint32_t conn, const char *data, uint64_t epoch)
{
    Kme__Carry m = KME__CARRY__INIT;
    m.data = (ProtobufCBinaryData){strlen(data), (uint8_t *)data};
    m.epoch = epoch;
    talk_say(s->talk, conn, KME_CARRY, &m.base);
}

static int heard_link_state(struct story *s, uint32_t conn)
{
    const Vault__LinkState *m = (const Vault__LinkState *)talk_heard(
        s->talk, conn, VAULT_LINK_STATE, &vault__link_state__descriptor);
    return m ? m->up : -1;
}

/* The link with bob is up and its pool is empty. */
static struct story begin_up(void)
{
    struct story s = begin("alice");
    vault_welcomes(&s, VAULT);
    kme_hello(&s, BOB, "bob", 1);
    kme_pool(&s, BOB, true, 7);
    assert_int_equal(heard_link_state(&s, VAULT), 1);
    vault_has_room(&s, VAULT, "bob", 1000000);
    return s;
}

static void source_gives(struct story *s, uint8_t id, size_t len, double seconds)
{
    uint8_t *key = calloc(1, len);
    assert_non_null(key);
    memset(key, id, len);
    struct source_block b = {.peer = "bob",
        .id = {id},
        .key = key,
        .len = len,
        .simulated = true,
        .rate_kbps = 12,
        .qber = 0.01,
        .seconds = seconds};
    struct update u = {0};
    assert_int_equal(s->source->source.on_block(s->kme, &b, &u), 0);
    /* what it says is heard on the next line, as in a step */
    for (size_t i = 0; i < u.n; i++)
        if (u.effects[i].kind == EFFECT_SEND)
            assert_true(u.effects[i].is_secret);
    update_deinit(&u);
    free(key);
}

static void vault_answers(struct story *s, const uint8_t *id, uint32_t code)
{
    Vault__Ingested m = VAULT__INGESTED__INIT;
    m.peer = (char *)"bob";
    m.block = (ProtobufCBinaryData){SOURCE_BLOCK_ID_BYTES, (uint8_t *)id};
    m.code = code;
    m.reason = (char *)(code ? "because" : "");
    talk_say(s->talk, VAULT, VAULT_INGESTED, &m.base);
}

static void vault_decides(struct story *s, const uint8_t *id, bool confirmed)
{
    Vault__Decided m = VAULT__DECIDED__INIT;
    m.peer = (char *)"bob";
    m.block = (ProtobufCBinaryData){SOURCE_BLOCK_ID_BYTES, (uint8_t *)id};
    m.confirmed = confirmed;
    talk_say(s->talk, VAULT, VAULT_DECIDED, &m.base);
}

static const uint8_t *id_of(uint8_t first)
{
    static uint8_t id[SOURCE_BLOCK_ID_BYTES];
    id[0] = first;
    return id;
}

static json_t *bobs_link(struct story *s)
{
    Ctl__Request q = CTL__REQUEST__INIT;
    q.verb = (char *)"links";
    q.arguments = (char *)"{}";
    talk_opened(s->talk, OPER, ROLE_CTL, "alice");
    talk_say(s->talk, OPER, CTL_REQUEST, &q.base);
    const Ctl__Reply *m =
        (const Ctl__Reply *)talk_heard(s->talk, OPER, CTL_REPLY, &ctl__reply__descriptor);
    assert_int_equal(m->code, 0);
    json_t *links = json_loads(m->result, 0, NULL);
    json_t *link = json_incref(json_array_get(links, 0));
    json_decref(links);
    talk_closed(s->talk, OPER);
    return link;
}

static void link_says(struct story *s, const char *state, const char *reason)
{
    json_t *link = bobs_link(s);
    assert_string_equal(json_string_value(json_object_get(link, "peer")), "bob");
    assert_string_equal(json_string_value(json_object_get(link, "state")), state);
    const char *said = json_string_value(json_object_get(link, "reason"));
    assert_string_equal(said ? said : "", reason);
    assert_string_equal(json_string_value(json_object_get(link, "label")), "SIMULATED");
    json_decref(link);
}

static long long link_number(struct story *s, const char *key)
{
    json_t *link = bobs_link(s);
    long long v = (long long)json_number_value(json_object_get(link, key));
    json_decref(link);
    return v;
}

/* ---- the link ------------------------------------------------------------------------------- */

static void a_link_comes_up_in_any_order(void **unused)
{
    for (int order = 0; order < 2; order++) {
        struct story s = begin("alice");
        link_says(&s, "DOWN", "the key pool is not connected");
        if (order)
            kme_hello(&s, BOB, "bob", 1);
        vault_welcomes(&s, VAULT);
        if (!order)
            link_says(&s, "DOWN", "the KME of bob is not connected");
        if (!order)
            kme_hello(&s, BOB, "bob", 1);
        link_says(&s, "DOWN", "the key pool of bob is not connected");
        assert_int_equal(heard_link_state(&s, VAULT), -1);
        const Kme__Pool *m =
            (const Kme__Pool *)talk_heard(s.talk, BOB, KME_POOL, &kme__pool__descriptor);
        assert_true(m && m->attached && m->epoch == 1);
        kme_pool(&s, BOB, true, 7);
        assert_int_equal(heard_link_state(&s, VAULT), 1);
        assert_int_equal(s.source->channels, 1);
        link_says(&s, "OUT OF STEP",
            "the cursors of the two key pools have not been compared, or contradict each other");
        vault_has_room(&s, VAULT, "bob", 1000000);
        link_says(&s, "UP", "");
        s.source->is_ready = false;
        link_says(&s, "DOWN", "no light");
        end(&s);
    }
}

static void the_larger_name_calls(void **unused)
{
    assert_true(kme_dials("bob", "alice"));
    assert_false(kme_dials("alice", "bob"));
}

static void an_unpaired_peer_has_no_link_until_it_is_paired(void **unused)
{
    struct story s = begin("alice");
    Vault__Welcome m = VAULT__WELCOME__INIT;
    m.version = VAULT_VERSION;
    m.site = (char *)"alice";
    talk_opened(s.talk, VAULT, ROLE_VAULT, "alice");
    talk_say(s.talk, VAULT, VAULT_WELCOME, &m.base);
    kme_hello(&s, BOB, "bob", 1);
    kme_pool(&s, BOB, true, 7);
    link_says(&s, "DOWN", "the key pool is not paired with bob");
    assert_int_equal(heard_link_state(&s, VAULT), -1);
    vault_has_room(&s, VAULT, "bob", 1000);
    assert_int_equal(heard_link_state(&s, VAULT), 1);
    end(&s);
}

static void messages_of_the_vaults_pass_unseen(void **unused)
{
    struct story s = begin_up();
    Vault__Carry m = VAULT__CARRY__INIT;
    m.peer = (char *)"bob";
    m.data = (ProtobufCBinaryData){4, (uint8_t *)"sync"};
    talk_say(s.talk, VAULT, VAULT_CARRY, &m.base);
    const Kme__Carry *out =
        (const Kme__Carry *)talk_heard(s.talk, BOB, KME_CARRY, &kme__carry__descriptor);
    assert_memory_equal(out->data.data, "sync", 4);
    assert_int_equal(out->epoch, 7);
    kme_carries(&s, BOB, "sync too", 1);
    const Vault__Carry *in =
        (const Vault__Carry *)talk_heard(s.talk, VAULT, VAULT_CARRY, &vault__carry__descriptor);
    assert_string_equal(in->peer, "bob");
    assert_memory_equal(in->data.data, "sync too", 8);
    m.peer = (char *)"carol"; /* her link is down: lost */
    talk_say(s.talk, VAULT, VAULT_CARRY, &m.base);
    m.peer = (char *)"zoe";
    talk_say(s.talk, VAULT, VAULT_CARRY, &m.base);
    assert_int_equal(talk_waiting(s.talk, BOB, KME_CARRY), 0);
    assert_null(talk_close_reason(s.talk, VAULT));
    end(&s);
}

static void what_was_meant_for_an_earlier_vault_is_dropped(void **unused)
{
    struct story s = begin_up();
    talk_closed(s.talk, VAULT);
    assert_int_equal(s.source->channels, 0);
    kme_carries(&s, BOB, "late", 1);
    vault_welcomes(&s, VAULT + 10);
    assert_int_equal(heard_link_state(&s, VAULT + 10), 1);
    kme_carries(&s, BOB, "later", 1); /* bob has not heard of the new vault yet */
    assert_int_equal(talk_waiting(s.talk, VAULT + 10, VAULT_CARRY), 0);
    kme_carries(&s, BOB, "new", 2);
    assert_int_equal(talk_waiting(s.talk, VAULT + 10, VAULT_CARRY), 1);
    end(&s);
}

static void a_new_vault_of_the_peer_renews_the_link(void **unused)
{
    struct story s = begin_up();
    kme_pool(&s, BOB, false, 7);
    assert_int_equal(heard_link_state(&s, VAULT), 0);
    kme_pool(&s, BOB, true, 8);
    assert_int_equal(heard_link_state(&s, VAULT), 1);
    kme_pool(&s, BOB, true, 9); /* the false between was not even said */
    assert_int_equal(heard_link_state(&s, VAULT), 0);
    assert_int_equal(heard_link_state(&s, VAULT), 1);
    kme_pool(&s, BOB, true, 9);
    assert_int_equal(heard_link_state(&s, VAULT), -1);
    assert_int_equal(s.source->channels, 1);
    end(&s);
}

static void the_ends_of_a_source_can_talk(void **unused)
{
    struct story s = begin_up();
    const Kme__Source *out =
        (const Kme__Source *)talk_heard(s.talk, BOB, KME_SOURCE, &kme__source__descriptor);
    assert_memory_equal(out->data.data, "ready", 5);
    assert_int_equal(out->epoch, 7);
    Kme__Source m = KME__SOURCE__INIT;
    m.data = (ProtobufCBinaryData){2, (uint8_t *)"go"};
    m.epoch = 1;
    talk_say(s.talk, BOB, KME_SOURCE, &m.base);
    assert_string_equal(s.source->heard, "bob:go");
    s.source->refuses = SOURCE_E_VIOLATION;
    talk_say(s.talk, BOB, KME_SOURCE, &m.base);
    assert_string_equal(talk_close_reason(s.talk, BOB), "that was rude");
    assert_int_equal(heard_link_state(&s, VAULT), 0);
    end(&s);
}

/* ---- peers ---------------------------------------------------------------------------------- */

static void the_same_process_coming_again_replaces_its_connection(void **unused)
{
    struct story s = begin_up();
    kme_hello(&s, 12, "bob", 1);
    assert_string_equal(talk_close_reason(s.talk, BOB), "replaced by a newer connection");
    assert_int_equal(heard_link_state(&s, VAULT), 0);
    kme_pool(&s, 12, true, 7);
    assert_int_equal(heard_link_state(&s, VAULT), 1);
    talk_closed(s.talk, BOB); /* late: no matter */
    assert_int_equal(heard_link_state(&s, VAULT), -1);
    end(&s);
}

static void another_process_waits_until_the_first_is_dead(void **unused)
{
    struct story s = begin_up();
    kme_hello(&s, 12, "bob", 2);
    assert_string_equal(talk_close_reason(s.talk, 12), "another KME of that site is connected");
    assert_int_equal(talk_waiting(s.talk, BOB, LINK_PING), 1);
    link_says(&s, "UP", "");
    talk_tick(s.talk, 10000); /* no answer */
    assert_non_null(talk_close_reason(s.talk, BOB));
    kme_hello(&s, 13, "bob", 2);
    kme_pool(&s, 13, true, 1);
    link_says(&s, "UP", "");
    end(&s);
}

static void strangers_and_liars_are_closed(void **unused)
{
    struct story s = begin_up();
    talk_opened(s.talk, 20, ROLE_KME, "zoe");
    assert_string_equal(talk_close_reason(s.talk, 20), "alice has no link with zoe");
    talk_opened(s.talk, 21, ROLE_CLIENT, "alice");
    assert_string_equal(talk_close_reason(s.talk, 21), "role client has no business here");
    talk_opened(s.talk, 22, ROLE_KME, "carol");
    kme_pool(&s, 22, true, 1);
    assert_non_null(strstr(talk_close_reason(s.talk, 22), "hello"));
    Kme__Hello m = KME__HELLO__INIT;
    m.version = KME_VERSION;
    m.site = (char *)"bob";
    talk_opened(s.talk, 23, ROLE_KME, "carol");
    talk_say(s.talk, 23, KME_HELLO, &m.base);
    assert_non_null(strstr(talk_close_reason(s.talk, 23), "another site"));
    m.site = (char *)"carol";
    talk_opened(s.talk, 24, ROLE_KME, "carol");
    talk_say(s.talk, 24, KME_HELLO, &m.base);
    assert_non_null(strstr(talk_close_reason(s.talk, 24), "nonce"));
    m.version = 9;
    talk_opened(s.talk, 25, ROLE_KME, "carol");
    talk_say(s.talk, 25, KME_HELLO, &m.base);
    assert_non_null(strstr(talk_close_reason(s.talk, 25), "version"));
    talk_opened(s.talk, 26, ROLE_KME, "carol");
    talk_opened(s.talk, 27, ROLE_KME, "carol");
    assert_non_null(strstr(talk_close_reason(s.talk, 26), "newer"));
    talk_tick(s.talk, 5000);
    assert_non_null(strstr(talk_close_reason(s.talk, 27), "no hello"));
    talk_say_bytes(s.talk, 27, KME_POOL, "", 0); /* late */
    link_says(&s, "UP", "");
    end(&s);
}

static void another_sites_vault_is_refused(void **unused)
{
    struct story s = begin("alice");
    Vault__Welcome m = VAULT__WELCOME__INIT;
    m.version = VAULT_VERSION;
    m.site = (char *)"bob";
    talk_opened(s.talk, VAULT, ROLE_VAULT, "alice");
    const Vault__Hello *h =
        (const Vault__Hello *)talk_heard(s.talk, VAULT, VAULT_HELLO, &vault__hello__descriptor);
    assert_string_equal(h->role, "kme");
    assert_string_equal(h->site, "alice");
    talk_say(s.talk, VAULT, VAULT_WELCOME, &m.base);
    assert_non_null(strstr(talk_close_reason(s.talk, VAULT), "another site"));
    m.version = 9;
    talk_opened(s.talk, 11, ROLE_VAULT, "alice");
    talk_say(s.talk, 11, VAULT_WELCOME, &m.base);
    assert_non_null(strstr(talk_close_reason(s.talk, 11), "version"));
    vault_welcomes(&s, 12);
    talk_say_bytes(s.talk, 12, VAULT_PAD, "", 0);
    assert_non_null(strstr(talk_close_reason(s.talk, 12), "not asked"));
    end(&s);
}

/* ---- blocks --------------------------------------------------------------------------------- */

static void grants_follow_the_room_and_the_link(void **unused)
{
    struct story s = begin("alice");
    vault_welcomes(&s, VAULT);
    vault_has_room(&s, VAULT, "bob", 1000000);
    assert_int_equal(s.source->n_grants, 0); /* not up */
    kme_hello(&s, BOB, "bob", 1);
    kme_pool(&s, BOB, true, 7);
    assert_int_equal(s.source->n_grants, 2); /* a window of two */
    assert_string_equal(s.source->grants[0].peer, "bob");
    assert_int_equal(s.source->grants[0].want, 1000000);
    assert_int_equal(s.source->grants[1].want, 1000000 - 256 * 1024);
    talk_tick(s.talk, 1000);
    assert_int_equal(s.source->n_grants, 2);
    end(&s);
}

static void a_block_goes_to_the_vault_and_its_end_to_the_source(void **unused)
{
    struct story s = begin_up();
    source_gives(&s, 5, 30000, 10);
    vault_answers(&s, id_of(5), VAULT_OK);
    assert_int_equal(s.source->n_closed, 0);
    assert_int_equal(s.source->n_grants, 2);
    vault_decides(&s, id_of(5), true);
    assert_int_equal(s.source->n_closed, 1);
    assert_true(s.source->closed[0].id == 5 && s.source->closed[0].confirmed);
    assert_int_equal(s.source->n_grants, 3); /* the window is open again */
    vault_decides(&s, id_of(5), false);      /* repeated, of an earlier life, unknown: no matter */
    vault_decides(&s, id_of(77), true);
    assert_int_equal(s.source->n_closed, 1);
    assert_int_equal(link_number(&s, "blocks"), 1);
    assert_int_equal(link_number(&s, "ingested_bits"), 240000);
    assert_int_equal(link_number(&s, "rate_kbps"), 4); /* 240 kbit in a minute */
    assert_int_equal(link_number(&s, "formula_kbps"), 12);
    end(&s);
}

static void a_decision_may_overtake_the_answer(void **unused)
{
    struct story s = begin_up();
    source_gives(&s, 5, 30000, 10);
    vault_decides(&s, id_of(5), true);
    vault_answers(&s, id_of(5), VAULT_OK);
    assert_int_equal(s.source->n_closed, 1);
    assert_true(s.source->closed[0].confirmed);
    end(&s);
}

static void void_and_refused_blocks_are_followed_by_a_pause(void **unused)
{
    struct story s = begin_up();
    source_gives(&s, 5, 30000, 10);
    vault_answers(&s, id_of(5), VAULT_OK);
    vault_decides(&s, id_of(5), false);
    source_gives(&s, 6, 30000, 10);
    vault_answers(&s, id_of(6), VAULT_BAD_REQUEST);
    assert_int_equal(s.source->n_closed, 2);
    assert_false(s.source->closed[0].confirmed || s.source->closed[1].confirmed);
    assert_int_equal(s.source->n_grants, 2);
    assert_int_equal(kme_deadline_ms(s.kme), talk_now(s.talk) + 4000); /* ping */
    talk_tick(s.talk, 4000);
    talk_say_bytes(s.talk, BOB, LINK_PONG, "", 0);
    assert_int_equal(s.source->n_grants, 2);
    assert_int_equal(kme_deadline_ms(s.kme), talk_now(s.talk) + 1000);
    talk_tick(s.talk, 1000);
    assert_int_equal(s.source->n_grants, 4);
    assert_int_equal(link_number(&s, "void_blocks"), 2);
    assert_int_equal(link_number(&s, "blocks"), 0);
    end(&s);
}

static void a_full_pool_is_not_filled_by_crumbs(void **unused)
{
    struct story s = begin_up();
    source_gives(&s, 1, 400000, 10);
    vault_answers(&s, id_of(1), VAULT_OK);
    vault_decides(&s, id_of(1), true);
    vault_has_room(&s, VAULT, "bob", 600000);
    source_gives(&s, 2, 400000, 10);
    vault_answers(&s, id_of(2), VAULT_OK);
    vault_has_room(&s, VAULT, "bob", 200000);
    vault_decides(&s, id_of(2), true);
    assert_int_equal(s.source->n_grants, 3);
    vault_has_room(&s, VAULT, "bob", 300000); /* less than a block beside the grant that stands */
    assert_int_equal(s.source->n_grants, 3);
    source_gives(&s, 3, 300000, 10);
    vault_answers(&s, id_of(3), VAULT_FULL);
    vault_has_room(&s, VAULT, "bob", 299999);
    talk_tick(s.talk, 6000);
    assert_int_equal(s.source->n_grants, 3);
    vault_has_room(&s, VAULT, "bob", 300000);
    assert_int_equal(s.source->n_grants, 4);
    assert_int_equal(s.source->grants[3].want, 300000);
    end(&s);
}

static void large_blocks_are_split_under_ids_of_their_own(void **unused)
{
    struct story s = begin("alice");
    vault_welcomes(&s, VAULT);
    vault_has_room(&s, VAULT, "bob", 100000000);
    kme_hello(&s, BOB, "bob", 1);
    kme_pool(&s, BOB, true, 7);
    struct source_block b = {.peer = "bob", .id = {9}, .len = 2 * KME_PART_BYTES + 10};
    uint8_t *key = calloc(1, b.len);
    assert_non_null(key);
    b.key = key;
    key[2 * KME_PART_BYTES] = 77;
    struct update u = {0};
    assert_int_equal(s.source->source.on_block(s.kme, &b, &u), 0);
    uint8_t ids[3][SOURCE_BLOCK_ID_BYTES];
    struct arena *a = arena_new(1024);
    size_t n = 0;
    for (size_t i = 0; i < u.n; i++) {
        ProtobufCMessage *m;
        if (u.effects[i].type != VAULT_INGEST)
            continue;
        assert_int_equal(codec_unpack(&vault__ingest__descriptor, u.effects[i].body->data,
                             u.effects[i].body->len, a, &m),
            0);
        const Vault__Ingest *in = (const Vault__Ingest *)m;
        assert_int_equal(in->key.len, n < 2 ? KME_PART_BYTES : 10);
        if (n == 2)
            assert_int_equal(in->key.data[0], 77);
        memcpy(ids[n++], in->block.data, SOURCE_BLOCK_ID_BYTES);
        arena_reset(a, true);
    }
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        assert_memory_not_equal(ids[i], ids[(i + 1) % n], SOURCE_BLOCK_ID_BYTES);
        vault_answers(&s, ids[i], VAULT_OK);
        assert_int_equal(s.source->n_closed, 0);
        vault_decides(&s, ids[i], i != 1);
    }
    assert_int_equal(s.source->n_closed, 1);
    assert_true(s.source->closed[0].id == 9 && !s.source->closed[0].confirmed);
    assert_int_equal(link_number(&s, "ingested_bits"), 8 * (KME_PART_BYTES + 10));
    update_deinit(&u);
    arena_free(a);
    free(key);
    end(&s);
}

static void key_in_flight_is_bounded_over_all_links(void **unused)
{
    struct story s = begin("alice");
    vault_welcomes(&s, VAULT);
    vault_has_room(&s, VAULT, "bob", (uint64_t)1 << 40);
    kme_hello(&s, BOB, "bob", 1);
    kme_pool(&s, BOB, true, 7);
    source_gives(&s, 1, 20 << 20, 10); /* 20 MiB: the limit is 24 MiB */
    assert_int_equal(s.source->n_grants, 2);
    vault_has_room(&s, VAULT, "carol", (uint64_t)1 << 40);
    kme_hello(&s, CAROL, "carol", 1);
    kme_pool(&s, CAROL, true, 1);
    assert_int_equal(s.source->n_grants, 2);
    talk_closed(s.talk, VAULT); /* the block is void: nothing in flight but one grant of 20 MiB */
    vault_welcomes(&s, VAULT + 10);
    vault_has_room(&s, VAULT + 10, "carol", (uint64_t)1 << 40);
    assert_int_equal(s.source->n_grants, 4);
    assert_string_equal(s.source->grants[3].peer, "carol");
    end(&s);
}

static void a_vault_that_dies_takes_unanswered_blocks_with_it(void **unused)
{
    struct story s = begin_up();
    source_gives(&s, 1, 1000, 10);
    source_gives(&s, 2, 1000, 10);
    vault_answers(&s, id_of(1), VAULT_OK);
    talk_closed(s.talk, VAULT);
    assert_int_equal(s.source->n_closed, 1);
    assert_true(s.source->closed[0].id == 2 && !s.source->closed[0].confirmed);
    const Kme__Pool *m = NULL;
    for (const ProtobufCMessage *next;
         (next = talk_heard(s.talk, BOB, KME_POOL, &kme__pool__descriptor));)
        m = (const Kme__Pool *)next;
    assert_true(m && !m->attached);
    vault_welcomes(&s, VAULT); /* it remembers block 1 and decides about it with bob's */
    vault_decides(&s, id_of(1), true);
    assert_int_equal(s.source->n_closed, 2);
    assert_true(s.source->closed[1].confirmed);
    end(&s);
}

static void blocks_that_come_without_a_vault_are_void(void **unused)
{
    struct story s = begin_up();
    talk_closed(s.talk, VAULT);
    source_gives(&s, 1, 1000, 10);
    assert_int_equal(s.source->n_closed, 1);
    assert_false(s.source->closed[0].confirmed);
    end(&s);
}

static void an_undecided_block_is_given_up_after_a_while(void **unused)
{
    struct story s = begin_up();
    source_gives(&s, 1, 1000, 10);
    vault_answers(&s, id_of(1), VAULT_OK);
    talk_closed(s.talk, BOB);
    talk_tick(s.talk, 179000);
    assert_int_equal(s.source->n_closed, 0);
    talk_tick(s.talk, 1000);
    assert_int_equal(s.source->n_closed, 1);
    assert_false(s.source->closed[0].confirmed);
    end(&s);
}

static void the_meter_forgets_after_a_minute(void **unused)
{
    struct meter m = {{0}};
    meter_add(&m, 5000, 7500);
    meter_add(&m, 30000, 7500);
    assert_true(meter_kbps(&m, 30000) == 2);
    assert_true(meter_kbps(&m, 64999) == 2);
    assert_true(meter_kbps(&m, 65000) == 1);
    assert_true(meter_kbps(&m, 1000000) == 0);
}

static void unknown_verbs_are_named(void **unused)
{
    struct story s = begin_up();
    Ctl__Request q = CTL__REQUEST__INIT;
    q.verb = (char *)"dance";
    q.arguments = (char *)"";
    talk_opened(s.talk, OPER, ROLE_CTL, "alice");
    talk_say(s.talk, OPER, CTL_REQUEST, &q.base);
    const Ctl__Reply *m =
        (const Ctl__Reply *)talk_heard(s.talk, OPER, CTL_REPLY, &ctl__reply__descriptor);
    assert_int_equal(m->code, 64);
    assert_string_equal(m->reason, "unknown verb \"dance\": status, links, metrics");
    q.verb = (char *)"metrics";
    talk_say(s.talk, OPER, CTL_REQUEST, &q.base);
    m = (const Ctl__Reply *)talk_heard(s.talk, OPER, CTL_REPLY, &ctl__reply__descriptor);
    assert_non_null(strstr(m->result, "\"qfl_kme_links_up\":1"));
    q.verb = (char *)"status";
    talk_say(s.talk, OPER, CTL_REQUEST, &q.base);
    m = (const Ctl__Reply *)talk_heard(s.talk, OPER, CTL_REPLY, &ctl__reply__descriptor);
    assert_non_null(strstr(m->result, "\"keypool_connected\":true"));
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_comes_up_in_any_order),
        cmocka_unit_test(the_larger_name_calls),
        cmocka_unit_test(an_unpaired_peer_has_no_link_until_it_is_paired),
        cmocka_unit_test(messages_of_the_vaults_pass_unseen),
        cmocka_unit_test(what_was_meant_for_an_earlier_vault_is_dropped),
        cmocka_unit_test(a_new_vault_of_the_peer_renews_the_link),
        cmocka_unit_test(the_ends_of_a_source_can_talk),
        cmocka_unit_test(the_same_process_coming_again_replaces_its_connection),
        cmocka_unit_test(another_process_waits_until_the_first_is_dead),
        cmocka_unit_test(strangers_and_liars_are_closed),
        cmocka_unit_test(another_sites_vault_is_refused),
        cmocka_unit_test(grants_follow_the_room_and_the_link),
        cmocka_unit_test(a_block_goes_to_the_vault_and_its_end_to_the_source),
        cmocka_unit_test(a_decision_may_overtake_the_answer),
        cmocka_unit_test(void_and_refused_blocks_are_followed_by_a_pause),
        cmocka_unit_test(a_full_pool_is_not_filled_by_crumbs),
        cmocka_unit_test(large_blocks_are_split_under_ids_of_their_own),
        cmocka_unit_test(key_in_flight_is_bounded_over_all_links),
        cmocka_unit_test(a_vault_that_dies_takes_unanswered_blocks_with_it),
        cmocka_unit_test(blocks_that_come_without_a_vault_are_void),
        cmocka_unit_test(an_undecided_block_is_given_up_after_a_while),
        cmocka_unit_test(the_meter_forgets_after_a_minute),
        cmocka_unit_test(unknown_verbs_are_named),
    };
    return cmocka_run_group_tests_name("kme", tests, NULL, NULL);
}
