/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations with one core: say a line, look at what it answers.
 *
 * Each call feeds one event and gathers the effects. `talk_heard` takes the oldest frame of a type
 * that was sent on a connection; what is never taken can be asserted absent. Fails the test (cmocka)
 * when the core fails or memory runs out.
 */
#pragma once

#include "common/machine.h"
#include "proto/link.h"

struct talk;

typedef int talk_step(void *core, const struct event *event, struct update *u);

struct talk *talk_new(void *core, talk_step *step);
void talk_free(struct talk *t);
/* Another core takes the place of the old one (a restart): what was said is forgotten. */
void talk_restart(struct talk *t, void *core);

void talk_at(struct talk *t, uint64_t now_ms);
uint64_t talk_now(const struct talk *t);
void talk_tick(struct talk *t, uint64_t later_ms);
void talk_opened(struct talk *t, uint32_t conn, enum role role, const char *site);
void talk_closed(struct talk *t, uint32_t conn);
void talk_say(struct talk *t, uint32_t conn, uint16_t type, const ProtobufCMessage *message);
void talk_say_bytes(struct talk *t, uint32_t conn, uint16_t type, const void *body, size_t len);

/* The next frame of that type on that connection, decoded; NULL if there is none. Lives until the
 * next call. */
const ProtobufCMessage *talk_heard(
    struct talk *t, uint32_t conn, uint16_t type, const ProtobufCMessageDescriptor *descriptor);
/* How many such frames have not been taken yet. */
size_t talk_waiting(const struct talk *t, uint32_t conn, uint16_t type);
/* Was the connection closed by the core since the last call for it? Its reason, else NULL. */
const char *talk_close_reason(struct talk *t, uint32_t conn);
/* Does any note so far hold this text? */
bool talk_noted(const struct talk *t, const char *text);
/* Bytes of the last frame fed by talk_say, as the core left them. */
const uint8_t *talk_last_body(const struct talk *t, size_t *len);
/* Frames with key bytes must be marked secret: asserts it for the frame taken last. */
bool talk_last_was_secret(const struct talk *t);
