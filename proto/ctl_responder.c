/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ctl_responder.h"

#include "common/util.h"
#include "proto/ctl.pb-c.h"

#include <errno.h>
#include <sysexits.h>

/* ---- one question ---------------------------------------------------------------------------- */

static int reply(
    struct update *u, uint32_t conn, int code, const char *reason, const json_t *result)
{
    auto_free char *text = result ? json_dumps(result, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (result && !text)
        return -ENOMEM;
    Ctl__Reply m = CTL__REPLY__INIT;
    m.code = code;
    m.reason = (char *)reason;
    m.result = text ? text : (char *)"";
    return link_send(u, conn, CTL_REPLY, &m.base);
}

int ctl_respond(ctl_answer *answer, void *owner, uint32_t conn, const ProtobufCMessage *request,
    struct update *u)
{
    const Ctl__Request *q = (const Ctl__Request *)request;
    struct err e = {{0}};
    json_t *result = NULL;
    json_error_t where;
    json_t *arguments =
        *q->arguments ? json_loads(q->arguments, JSON_REJECT_DUPLICATES, &where) : json_object();
    int code = json_is_object(arguments)
                   ? answer(owner, q->verb, arguments, &result, u, &e)
                   : err_set(&e, EX_USAGE, "the arguments of %.80s are no JSON object", q->verb);
    json_decref(arguments);
    int sent = code < 0 ? code : reply(u, conn, code, e.text, result);
    json_decref(result);
    return sent;
}

/* ---- connections ----------------------------------------------------------------------------- */

static struct ctl_session *find(const struct ctl_responder *r, uint32_t conn)
{
    for (size_t i = 0; i < CTL_SESSIONS_MAX; i++)
        if (r->sessions[i].conn == conn)
            return (struct ctl_session *)&r->sessions[i];
    return NULL;
}

int ctl_responder_open(struct ctl_responder *r, const struct event *event, struct update *u)
{
    struct ctl_session *s = find(r, 0);
    if (!s)
        return update_close(u, event->conn, "more than %d operators at once", CTL_SESSIONS_MAX);
    s->conn = event->conn;
    link_init(&s->link, &ctl_exchange, LINK_RESPONDER, event->now_ms);
    return 0;
}

bool ctl_responder_owns(const struct ctl_responder *r, uint32_t conn)
{
    return conn != 0 && find(r, conn);
}

void ctl_responder_closed(struct ctl_responder *r, uint32_t conn)
{
    struct ctl_session *s = conn ? find(r, conn) : NULL;
    if (s)
        s->conn = 0;
}

int ctl_responder_frame(
    struct ctl_responder *r, const struct event *event, struct arena *a, struct update *u)
{
    struct ctl_session *s = find(r, event->conn);
    struct err e = {{0}};
    ProtobufCMessage *message;
    arena_reset(a, false);
    int result = link_frame(&s->link, event, a, u, &message, &e);
    if (result > 0) {
        s->conn = 0;
        return update_close(u, event->conn, "%s", e.text);
    }
    if (result < 0 || !message)
        return result;
    return ctl_respond(r->answer, r->owner, event->conn, message, u);
}
