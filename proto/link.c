/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/link.h"

#include "common/util.h"

#include <errno.h>
#include <inttypes.h>

#define LINK_TYPES 16 /* frame types below belong to the link */

void link_init(
    struct link *l, const struct exchange *exchange, enum link_side side, uint64_t now_ms)
{
    *l = (struct link){.exchange = exchange, .side = side, .opened_ms = now_ms, .heard_ms = now_ms};
}

static enum link_side peer_side(const struct link *l)
{
    return l->side == LINK_INITIATOR ? LINK_RESPONDER : LINK_INITIATOR;
}

/* `after` later than `at`, where NEVER_MS stays never. */
static uint64_t later(uint64_t at, uint64_t after)
{
    return after > NEVER_MS - at ? NEVER_MS : at + after;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static const struct exchange_rule *find_rule(const struct exchange *x, uint16_t type)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->rules[i].type == type)
            return &x->rules[i];
    return NULL;
}

size_t exchange_body_max(const struct exchange *x, enum link_side from)
{
    size_t max = 0;
    for (size_t i = 0; i < x->n; i++)
        if (x->rules[i].from & 1 << from)
            max = MAX(max, x->rules[i].max_bytes);
    return max;
}

static void heard(struct link *l, uint64_t now_ms)
{
    l->heard_ms = MAX(l->heard_ms, now_ms);
    l->pinged_ms = 0;
}

static int own_frame(struct link *l, const struct event *event, struct update *u, struct err *e)
{
    const char *name = l->exchange->name;
    uint16_t type = event->frame.type;
    if (type != LINK_PING && type != LINK_PONG)
        return err_set(e, LINK_E_VIOLATION, "%s: frame type %u is unknown", name, type);
    if (!l->heard_hello)
        return err_set(e, LINK_E_VIOLATION, "%s: the first frame must be a hello", name);
    if (event->frame.len != 0)
        return err_set(e, LINK_E_VIOLATION, "%s: a ping or pong with a body", name);
    heard(l, event->now_ms);
    if (type == LINK_PONG)
        return 0;
    struct blob *empty = blob_new(0);
    return empty ? update_send(u, event->conn, LINK_PONG, empty) : -ENOMEM;
}

static int check_rule(const struct link *l, const struct exchange_rule *rule, uint16_t type,
    size_t len, struct err *e)
{
    const struct exchange *x = l->exchange;
    bool is_hello = type == x->hello[peer_side(l)];
    if (!rule)
        return err_set(e, LINK_E_VIOLATION, "%s: frame type %u is unknown", x->name, type);
    if (!(rule->from & 1 << peer_side(l)))
        return err_set(e, LINK_E_VIOLATION, "%s: %s may not be sent by this end", x->name,
            rule->descriptor->short_name);
    if (len > rule->max_bytes)
        return err_set(e, LINK_E_VIOLATION, "%s: %s of %zu bytes, at most %zu are allowed", x->name,
            rule->descriptor->short_name, len, rule->max_bytes);
    if (!l->heard_hello && !is_hello)
        return err_set(e, LINK_E_VIOLATION, "%s: the first frame must be a hello", x->name);
    if (l->heard_hello && is_hello && !x->hello_repeats)
        return err_set(e, LINK_E_VIOLATION, "%s: a second hello", x->name);
    return 0;
}

static const char *decode_problem(int condition)
{
    switch (condition) {
    case CODEC_E_BUDGET:
        return "would need more memory than a frame of its size may";
    case CODEC_E_UNKNOWN:
        return "has fields that this version does not know";
    default:
        return "is malformed";
    }
}

int link_frame(struct link *l, const struct event *event, struct arena *a, struct update *u,
    ProtobufCMessage **message, struct err *e)
{
    *message = NULL;
    uint16_t type = event->frame.type;
    if (type < LINK_TYPES)
        return own_frame(l, event, u, e);
    const struct exchange_rule *rule = find_rule(l->exchange, type);
    int r = check_rule(l, rule, type, event->frame.len, e);
    if (r != 0)
        return r;
    r = codec_unpack_in_place(rule->descriptor, event->frame.body, event->frame.len, a, message);
    if (r < 0)
        return r;
    if (r > 0)
        return err_set(e, LINK_E_VIOLATION, "%s: %s %s", l->exchange->name,
            rule->descriptor->short_name, decode_problem(r));
    l->heard_hello = true;
    heard(l, event->now_ms);
    return 0;
}

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t ping_due(const struct link *l)
{
    return l->pinged_ms ? NEVER_MS : later(l->heard_ms, l->exchange->ping_ms);
}

int link_ping(struct link *l, uint64_t now_ms, uint32_t conn, struct update *u)
{
    struct blob *empty = blob_new(0);
    if (!empty)
        return -ENOMEM;
    l->pinged_ms = MAX(now_ms, (uint64_t)1);
    return update_send(u, conn, LINK_PING, empty);
}

int link_tick(struct link *l, uint64_t now_ms, uint32_t conn, struct update *u, struct err *e)
{
    const struct exchange *x = l->exchange;
    if (!l->heard_hello) {
        if (now_ms < later(l->opened_ms, x->hello_ms))
            return 0;
        return err_set(
            e, LINK_E_SILENT, "%s: no hello within %" PRIu64 " ms", x->name, x->hello_ms);
    }
    if (now_ms >= later(l->heard_ms, x->silent_ms))
        return err_set(
            e, LINK_E_SILENT, "%s: silent for %" PRIu64 " ms", x->name, now_ms - l->heard_ms);
    return now_ms >= ping_due(l) ? link_ping(l, now_ms, conn, u) : 0;
}

uint64_t link_deadline_ms(const struct link *l)
{
    if (!l->heard_hello)
        return later(l->opened_ms, l->exchange->hello_ms);
    return MIN(ping_due(l), later(l->heard_ms, l->exchange->silent_ms));
}

/* ---- sending --------------------------------------------------------------------------------- */

int link_send(struct update *u, uint32_t conn, uint16_t type, const ProtobufCMessage *message)
{
    struct blob *body = codec_pack(message);
    return body ? update_send(u, conn, type, body) : -ENOMEM;
}

int link_send_secret(
    struct update *u, uint32_t conn, uint16_t type, const ProtobufCMessage *message)
{
    struct blob *body = codec_pack(message);
    return body ? update_send_secret(u, conn, type, body) : -ENOMEM;
}
