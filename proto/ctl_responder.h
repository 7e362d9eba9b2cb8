/* SPDX-License-Identifier: Apache-2.0 */
/* The admin side of a core: connections of ROLE_CTL, one JSON answer per question, in order.
 *
 * Part of a core like any other: no socket here, the transport has checked who asks. A core
 * with a table of connections of its own uses ctl_respond() alone.
 */
#pragma once

#include "proto/ctl.h"

#include <jansson.h>

#define CTL_SESSIONS_MAX 16

/* 0 with *result (a new reference) or an exit status of sysexits.h with a sentence; `arguments` is
 * borrowed and always an object. < 0 -errno: fatal. */
typedef int ctl_answer(void *owner, const char *verb, const json_t *arguments, json_t **result,
    struct update *u, struct err *e);

/* Sends the answer to one REQUEST. */
int ctl_respond(ctl_answer *answer, void *owner, uint32_t conn, const ProtobufCMessage *request,
    struct update *u) must_check;

struct ctl_session {
    uint32_t conn; /* 0: free */
    struct link link;
};

struct ctl_responder {
    ctl_answer *answer;
    void *owner;
    struct ctl_session sessions[CTL_SESSIONS_MAX];
};

int ctl_responder_open(
    struct ctl_responder *r, const struct event *event, struct update *u) must_check;
bool ctl_responder_owns(const struct ctl_responder *r, uint32_t conn);
int ctl_responder_frame(struct ctl_responder *r, const struct event *event, struct arena *a,
    struct update *u) must_check;
void ctl_responder_closed(struct ctl_responder *r, uint32_t conn);
