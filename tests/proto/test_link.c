/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations over one link: who may say what, and when silence ends it. */
#include "common/util.h"
#include "proto/ctl.h"
#include "proto/ctl.pb-c.h"
#include "proto/fed.h"
#include "proto/fed.pb-c.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CONN 5

struct fixture {
    struct link link;
    struct arena *arena;
    struct update update;
    struct err err;
    ProtobufCMessage *message;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->arena = arena_new(4096);
    link_init(&f->link, &fed_exchange, LINK_RESPONDER, 1000);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_free(f->arena);
    update_deinit(&f->update);
    free(f);
    return 0;
}

static int frame(struct fixture *f, uint64_t now_ms, uint16_t type, const void *body, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    memcpy(copy, body, len);
    struct event event = {.kind = EVENT_FRAME, .now_ms = now_ms, .conn = CONN};
    event.frame.type = type;
    event.frame.body = copy;
    event.frame.len = len;
    arena_reset(f->arena, false);
    int r = link_frame(&f->link, &event, f->arena, &f->update, &f->message, &f->err);
    free(copy);
    return r;
}

static void refused(struct fixture *f, int r, const char *sentence)
{
    assert_int_equal(r, LINK_E_VIOLATION);
    assert_string_equal(f->err.text, sentence);
    assert_null(f->message);
    assert_int_equal(f->update.n, 0);
}

static void say_hello(struct fixture *f, uint64_t now_ms)
{
    assert_int_equal(frame(f, now_ms, FED_HELLO, "\x08\x01", 2), 0);
    assert_non_null(f->message);
    assert_int_equal(((Fed__Hello *)f->message)->version, 1);
    assert_true(f->link.heard_hello);
}

static void a_conversation_opens_with_hello(void **state)
{
    struct fixture *f = *state;
    say_hello(f, 1001);
    assert_int_equal(frame(f, 1002, FED_LOCKED, "\x08\x09", 2), 0);
    assert_int_equal(((Fed__Locked *)f->message)->attempt, 9);
    assert_int_equal(f->update.n, 0);
}

static void nothing_else_comes_first(void **state)
{
    struct fixture *f = *state;
    refused(f, frame(f, 1, FED_LOCKED, "\x08\x09", 2), "fed: the first frame must be a hello");
    refused(f, frame(f, 1, LINK_PING, "", 0), "fed: the first frame must be a hello");
    assert_false(f->link.heard_hello);
}

static void each_breach_is_named(void **state)
{
    struct fixture *f = *state;
    say_hello(f, 1001);
    refused(f, frame(f, 1, FED_HELLO, "\x08\x01", 2), "fed: a second hello");
    refused(f, frame(f, 1, FED_GO, "\x08\x01", 2), "fed: Go may not be sent by this end");
    refused(f, frame(f, 1, 99, "", 0), "fed: frame type 99 is unknown");
    refused(f, frame(f, 1, 3, "", 0), "fed: frame type 3 is unknown");
    refused(f, frame(f, 1, LINK_PING, "x", 1), "fed: a ping or pong with a body");
    refused(f, frame(f, 1, FED_LOCKED, "\x08", 1), "fed: Locked is malformed");
    refused(f, frame(f, 1, FED_LOCKED, "\x78\x01", 2),
        "fed: Locked has fields that this version does not know");
    static const uint8_t zeros[300];
    refused(f, frame(f, 1, FED_LOCKED, zeros, sizeof(zeros)),
        "fed: Locked of 300 bytes, at most 256 are allowed");
}

static void a_bad_hello_is_no_hello(void **state)
{
    struct fixture *f = *state;
    refused(f, frame(f, 1, FED_HELLO, "\x08", 1), "fed: Hello is malformed");
    assert_false(f->link.heard_hello);
}

static void pings_are_answered(void **state)
{
    struct fixture *f = *state;
    say_hello(f, 1001);
    assert_int_equal(frame(f, 1500, LINK_PING, "", 0), 0);
    assert_null(f->message);
    assert_int_equal(f->update.n, 1);
    assert_int_equal(f->update.effects[0].kind, EFFECT_SEND);
    assert_int_equal(f->update.effects[0].conn, CONN);
    assert_int_equal(f->update.effects[0].type, LINK_PONG);
    assert_int_equal(f->update.effects[0].body->len, 0);
    assert_int_equal(f->link.heard_ms, 1500);
}

static int tick(struct fixture *f, uint64_t now_ms)
{
    return link_tick(&f->link, now_ms, CONN, &f->update, &f->err);
}

static void a_peer_without_hello_is_silent_after_five_seconds(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(link_deadline_ms(&f->link), 6000);
    assert_int_equal(tick(f, 5999), 0);
    assert_int_equal(f->update.n, 0);
    assert_int_equal(tick(f, 6000), LINK_E_SILENT);
    assert_string_equal(f->err.text, "fed: no hello within 5000 ms");
}

static void silence_is_pinged_once_and_ends_the_link(void **state)
{
    struct fixture *f = *state;
    say_hello(f, 2000);
    assert_int_equal(link_deadline_ms(&f->link), 6000);
    assert_int_equal(tick(f, 5999), 0);
    assert_int_equal(f->update.n, 0);
    assert_int_equal(tick(f, 6000), 0);
    assert_int_equal(f->update.n, 1);
    assert_int_equal(f->update.effects[0].type, LINK_PING);
    assert_int_equal(link_deadline_ms(&f->link), 12000);
    assert_int_equal(tick(f, 9000), 0);
    assert_int_equal(f->update.n, 1);
    assert_int_equal(tick(f, 12000), LINK_E_SILENT);
    assert_string_equal(f->err.text, "fed: silent for 10000 ms");
}

static void an_answer_revives_the_link(void **state)
{
    struct fixture *f = *state;
    say_hello(f, 2000);
    assert_int_equal(tick(f, 6000), 0);
    assert_int_equal(frame(f, 11999, LINK_PONG, "", 0), 0);
    assert_int_equal(link_deadline_ms(&f->link), 15999);
    assert_int_equal(tick(f, 15999), 0);
    assert_int_equal(f->update.n, 2);
}

static void a_ping_can_be_asked_for(void **state)
{
    struct fixture *f = *state;
    link_init(&f->link, &fed_exchange, LINK_RESPONDER, 0);
    say_hello(f, 0);
    assert_int_equal(link_ping(&f->link, 0, CONN, &f->update), 0);
    assert_int_equal(f->update.effects[0].type, LINK_PING);
    assert_int_equal(link_deadline_ms(&f->link), 10000);
}

static void local_links_may_be_silent_for_ever(void **state)
{
    struct fixture *f = *state;
    link_init(&f->link, &vault_exchange, LINK_INITIATOR, 10);
    assert_int_equal(frame(f, 20, VAULT_WELCOME, "\x08\x01", 2), 0);
    assert_true(link_deadline_ms(&f->link) == NEVER_MS);
    assert_int_equal(tick(f, UINT64_MAX - 1), 0);
    assert_int_equal(f->update.n, 0);
}

static void an_admin_connection_carries_many_requests(void **state)
{
    struct fixture *f = *state;
    link_init(&f->link, &ctl_exchange, LINK_RESPONDER, 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(frame(f, 20, CTL_REQUEST, "\x0a\x06status", 8), 0);
        assert_string_equal(((Ctl__Request *)f->message)->verb, "status");
    }
}

/* The pad is added in the frame and wiped there: nothing of it may stay in the arena. */
static void a_pad_stays_in_its_frame(void **state)
{
    struct fixture *f = *state;
    link_init(&f->link, &vault_exchange, LINK_INITIATOR, 10);
    assert_int_equal(frame(f, 20, VAULT_WELCOME, "\x08\x01", 2), 0);
    uint8_t body[] = "\x08\x03\x22\x04\x01\x02\x03\x04";
    struct event event = {.kind = EVENT_FRAME, .now_ms = 30, .conn = CONN};
    event.frame.type = VAULT_PAD;
    event.frame.body = body;
    event.frame.len = sizeof(body) - 1;
    assert_int_equal(link_frame(&f->link, &event, f->arena, &f->update, &f->message, &f->err), 0);
    assert_ptr_equal(((Vault__Pad *)f->message)->data.data, body + 4);
}

static void a_secret_message_is_marked(void **state)
{
    struct fixture *f = *state;
    Vault__Pad pad = VAULT__PAD__INIT;
    uint8_t key[2] = {0xaa, 0xbb};
    pad.data = (ProtobufCBinaryData){2, key};
    assert_int_equal(link_send_secret(&f->update, CONN, VAULT_PAD, &pad.base), 0);
    assert_int_equal(link_send(&f->update, CONN, VAULT_PAD, &pad.base), 0);
    assert_true(f->update.effects[0].is_secret);
    assert_false(f->update.effects[1].is_secret);
    assert_int_equal(f->update.effects[0].body->len, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_conversation_opens_with_hello),
        TEST(nothing_else_comes_first),
        TEST(each_breach_is_named),
        TEST(a_bad_hello_is_no_hello),
        TEST(pings_are_answered),
        TEST(a_peer_without_hello_is_silent_after_five_seconds),
        TEST(silence_is_pinged_once_and_ends_the_link),
        TEST(an_answer_revives_the_link),
        TEST(a_ping_can_be_asked_for),
        TEST(local_links_may_be_silent_for_ever),
        TEST(an_admin_connection_carries_many_requests),
        TEST(a_pad_stays_in_its_frame),
        TEST(a_secret_message_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
