/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a connection of any exchange: hello first, then only legal message types, pings when it
 * is silent, closed when it stays silent.
 *
 * An exchange (fed, vault, pool, kme, qkd, ctl) is a table; both ends run this one machine. It decodes the
 * frame for its owner and answers pings itself. It never closes a connection: it tells the owner why
 * to, who closes it with update_close().
 */
#pragma once

#include "common/machine.h"
#include "proto/codec.h"

/* Frame types below 16 belong to the link, the same in every exchange; their bodies are empty. */
enum link_type { LINK_PING = 1, LINK_PONG = 2 };

enum link_side { LINK_INITIATOR, LINK_RESPONDER };

/* One message type of an exchange. `from`: bit 1 << LINK_INITIATOR, 1 << LINK_RESPONDER. */
struct exchange_rule {
    uint16_t type;
    uint8_t from;
    size_t max_bytes; /* of the body */
    const ProtobufCMessageDescriptor *descriptor;
};

/* Frame limits until the peer's hello was accepted: of the initiator, of the responder. */
#define EXCHANGE_HELLO_MAX   ((size_t)16 * 1024)
#define EXCHANGE_WELCOME_MAX ((size_t)128 * 1024) /* names FED_SITES_MAX peers */

struct exchange {
    const char *name;
    const struct exchange_rule *rules;
    size_t n;
    uint16_t hello[2];  /* by side: the type of its first frame */
    uint64_t hello_ms;  /* the peer's hello must come within this time */
    uint64_t ping_ms;   /* silence after which a ping is sent; NEVER_MS for none */
    uint64_t silent_ms; /* silence after which the link is dead; NEVER_MS for none */
    bool hello_repeats; /* the hello types may come again later (ctl: every pair is one; pool) */
};

/* Bytes of the largest body that `from` may send: for EFFECT_LIMIT once its hello was accepted. */
size_t exchange_body_max(const struct exchange *x, enum link_side from);

enum link_condition {
    LINK_E_VIOLATION = 1, /* the peer broke the rules: close, count */
    LINK_E_SILENT,        /* nothing heard in time: close */
};

struct link {
    const struct exchange *exchange;
    enum link_side side;
    bool heard_hello; /* the peer's hello was received; set by link_frame */
    uint64_t opened_ms;
    uint64_t heard_ms;
    uint64_t pinged_ms; /* 0: no ping outstanding */
};

void link_init(
    struct link *l, const struct exchange *exchange, enum link_side side, uint64_t now_ms);

/* One frame from the peer (event->kind == EVENT_FRAME). 0 with *message set: a legal message of
 * event->frame.type for the owner, valid until the arena is reset and for this step only, because its
 * `bytes` fields lie in the frame's own body (wiping them wipes the frame); 0 with *message NULL: was
 * for the link itself (an answer may have been put into `u`). > 0 enum link_condition with a
 * sentence; -ENOMEM. */
int link_frame(struct link *l, const struct event *event, struct arena *a, struct update *u,
    ProtobufCMessage **message, struct err *e) must_check;

/* Time passes: may put a ping for `conn` into `u`. > 0 LINK_E_SILENT with a sentence. */
int link_tick(
    struct link *l, uint64_t now_ms, uint32_t conn, struct update *u, struct err *e) must_check;

/* Sends a ping at once, to see whether the peer still answers. */
int link_ping(struct link *l, uint64_t now_ms, uint32_t conn, struct update *u) must_check;

/* When link_tick wants to be called next. */
uint64_t link_deadline_ms(const struct link *l);

/* Packs and queues a message. */
int link_send(
    struct update *u, uint32_t conn, uint16_t type, const ProtobufCMessage *message) must_check;
/* The same for a message that holds key bytes: the packed body is wiped once it is sent. */
int link_send_secret(
    struct update *u, uint32_t conn, uint16_t type, const ProtobufCMessage *message) must_check;
