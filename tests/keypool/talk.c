/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/talk.h"

#include "common/util.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct talk {
    void *core;
    talk_step *step;
    uint64_t now_ms;
    struct update said; /* all effects so far; taken frames have kind EFFECT_LIMIT and no body */
    struct arena *arena;
    struct blob *taken;
    bool taken_secret;
    char *reason;
    uint8_t *last;
    size_t last_len;
};

struct talk *talk_new(void *core, talk_step *step)
{
    struct talk *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->core = core;
    t->step = step;
    t->now_ms = 1000;
    t->arena = arena_new(4096);
    assert_non_null(t->arena);
    return t;
}

void talk_free(struct talk *t)
{
    update_deinit(&t->said);
    arena_free(t->arena);
    blob_unref(t->taken);
    free(t->reason);
    free(t->last);
    free(t);
}

void talk_restart(struct talk *t, void *core)
{
    update_deinit(&t->said);
    t->core = core;
}

void talk_at(struct talk *t, uint64_t now_ms)
{
    t->now_ms = now_ms;
}

uint64_t talk_now(const struct talk *t)
{
    return t->now_ms;
}

static void feed(struct talk *t, struct event event)
{
    event.now_ms = t->now_ms;
    assert_int_equal(t->step(t->core, &event, &t->said), 0);
}

void talk_tick(struct talk *t, uint64_t later_ms)
{
    t->now_ms += later_ms;
    feed(t, (struct event){.kind = EVENT_TICK});
}

void talk_opened(struct talk *t, uint32_t conn, enum role role, const char *site)
{
    struct event event = {.kind = EVENT_OPENED, .conn = conn};
    event.opened.role = role;
    event.opened.site = site;
    feed(t, event);
}

void talk_closed(struct talk *t, uint32_t conn)
{
    feed(t, (struct event){.kind = EVENT_CLOSED, .conn = conn});
}

void talk_say_bytes(struct talk *t, uint32_t conn, uint16_t type, const void *body, size_t len)
{
    struct event event = {.kind = EVENT_FRAME, .conn = conn};
    free(t->last);
    t->last = malloc(len + 1);
    assert_non_null(t->last);
    memcpy(t->last, body, len);
    t->last_len = len;
    event.frame.type = type;
    event.frame.body = t->last;
    event.frame.len = len;
    feed(t, event);
}

void talk_say(struct talk *t, uint32_t conn, uint16_t type, const ProtobufCMessage *message)
{
    struct blob *body = codec_pack(message);
    assert_non_null(body);
    talk_say_bytes(t, conn, type, body->data, body->len);
    blob_unref(body);
}

static bool is_frame(const struct effect *e, uint32_t conn, uint16_t type)
{
    return e->kind == EFFECT_SEND && e->conn == conn && e->type == type;
}

const ProtobufCMessage *talk_heard(
    struct talk *t, uint32_t conn, uint16_t type, const ProtobufCMessageDescriptor *descriptor)
{
    for (size_t i = 0; i < t->said.n; i++) {
        struct effect *e = &t->said.effects[i];
        if (!is_frame(e, conn, type))
            continue;
        blob_unref(t->taken);
        t->taken = steal(&e->body);
        t->taken_secret = e->is_secret;
        e->kind = EFFECT_LIMIT;
        arena_reset(t->arena, false);
        ProtobufCMessage *message;
        assert_int_equal(
            codec_unpack_in_place(descriptor, t->taken->data, t->taken->len, t->arena, &message),
            0);
        return message;
    }
    return NULL;
}

size_t talk_waiting(const struct talk *t, uint32_t conn, uint16_t type)
{
    size_t n = 0;
    for (size_t i = 0; i < t->said.n; i++)
        n += is_frame(&t->said.effects[i], conn, type);
    return n;
}

const char *talk_close_reason(struct talk *t, uint32_t conn)
{
    for (size_t i = 0; i < t->said.n; i++) {
        struct effect *e = &t->said.effects[i];
        if (e->kind != EFFECT_CLOSE || e->conn != conn)
            continue;
        free(t->reason);
        t->reason = steal(&e->text);
        e->kind = EFFECT_LIMIT;
        return t->reason;
    }
    return NULL;
}

bool talk_noted(const struct talk *t, const char *text)
{
    for (size_t i = 0; i < t->said.n; i++)
        if (t->said.effects[i].kind == EFFECT_NOTE && strstr(t->said.effects[i].text, text))
            return true;
    return false;
}

const uint8_t *talk_last_body(const struct talk *t, size_t *len)
{
    *len = t->last_len;
    return t->last;
}

bool talk_last_was_secret(const struct talk *t)
{
    return t->taken_secret;
}
