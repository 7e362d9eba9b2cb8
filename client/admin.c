/* SPDX-License-Identifier: Apache-2.0 */
/* qflctl's connections: the verbs status, approve, drain, metrics. */
#include "client/core.h"

#include "common/util.h"
#include "proto/ctl.pb-c.h"

#include <errno.h>
#include <jansson.h>
#include <sysexits.h>

/* ---- sessions --------------------------------------------------------------------------------- */

struct admin *client_admin_find(struct participant *p, uint32_t conn)
{
    for (size_t i = 0; i < CORE_ADMINS_MAX && conn > 0; i++)
        if (p->admins[i].conn == conn)
            return &p->admins[i];
    return NULL;
}

int client_admin_opened(struct participant *p, uint32_t conn, struct update *u)
{
    for (size_t i = 0; i < CORE_ADMINS_MAX; i++) {
        if (p->admins[i].conn != 0)
            continue;
        p->admins[i].conn = conn;
        link_init(&p->admins[i].link, &ctl_exchange, LINK_RESPONDER, p->now_ms);
        return 0;
    }
    return update_close(u, conn, "more than %d operators at a time", CORE_ADMINS_MAX);
}

static int drop(struct admin *admin, const char *why, struct update *u)
{
    uint32_t conn = admin->conn;
    *admin = (struct admin){0};
    return update_close(u, conn, "%s", why);
}

int client_admin_tick(struct participant *p, struct update *u)
{
    for (size_t i = 0; i < CORE_ADMINS_MAX; i++) {
        struct admin *admin = &p->admins[i];
        struct err e = {0};
        if (admin->conn == 0)
            continue;
        int r = link_tick(&admin->link, p->now_ms, admin->conn, u, &e);
        r = r > 0 ? drop(admin, e.text, u) : r;
        if (r < 0)
            return r;
    }
    return 0;
}

uint64_t client_admin_deadline_ms(const struct participant *p)
{
    uint64_t at = NEVER_MS;
    for (size_t i = 0; i < CORE_ADMINS_MAX; i++)
        if (p->admins[i].conn != 0)
            at = MIN(at, link_deadline_ms(&p->admins[i].link));
    return at;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static int reply(uint32_t conn, int code, const char *reason, const char *result, struct update *u)
{
    Ctl__Reply m = CTL__REPLY__INIT;
    m.code = code;
    m.reason = (char *)reason;
    m.result = (char *)result;
    return link_send(u, conn, CTL_REPLY, &m.base);
}

static int reply_text(uint32_t conn, char *text /* taken */, struct update *u)
{
    if (!text)
        return -ENOMEM;
    int r = reply(conn, EX_OK, "", text, u);
    free(text);
    return r;
}

/* ---- verbs ------------------------------------------------------------------------------------ */

/* The run named by {"run": hex}, or without it the one that waits. */
static bool find_run(const struct participant *p, const char *arguments, uint8_t run[FED_RUN_BYTES])
{
    json_t *o = json_loads(arguments, 0, NULL);
    const char *text = json_string_value(json_object_get(o, "run"));
    bool found = text && client_status_unhex(run, text, FED_RUN_BYTES);
    if (!text && p->round.waiting.held) {
        memcpy(run, p->round.waiting.run, FED_RUN_BYTES);
        found = true;
    }
    json_decref(o);
    return found;
}

/* Approving also lifts the mark of a skipped round (policy strict): the operator has looked at it. */
static int on_approve(struct participant *p, uint32_t conn, const char *arguments, struct update *u)
{
    uint8_t run[FED_RUN_BYTES];
    char text[2 * FED_RUN_BYTES + 1];
    if (!find_run(p, arguments, run))
        return reply(
            conn, EX_USAGE, "approve takes {\"run\": 32 hexadecimal digits}; no run waits", "", u);
    client_state_approve(&p->state, run);
    p->state.has_skipped = false;
    int r = client_state_save(&p->state, p->disk);
    if (r < 0)
        return r;
    client_status_hex(text, run, FED_RUN_BYTES);
    update_note(u, NOTE_INFO, "the operator has approved run %s", text);
    r = reply(conn, EX_OK, "", "{}", u);
    return r == 0 ? client_round_retry_waiting(p, u) : r;
}

static int on_drain(struct participant *p, uint32_t conn, struct update *u)
{
    participant_drain(p);
    return reply(conn, EX_OK, "", "{}", u);
}

static int dispatch(struct participant *p, uint32_t conn, const Ctl__Request *m, struct update *u)
{
    if (strcmp(m->verb, "status") == 0)
        return reply_text(conn, client_status_text(p), u);
    if (strcmp(m->verb, "metrics") == 0)
        return reply_text(conn, client_metrics_text(p), u);
    if (strcmp(m->verb, "approve") == 0)
        return on_approve(p, conn, m->arguments, u);
    if (strcmp(m->verb, "drain") == 0)
        return on_drain(p, conn, u);
    return reply(
        conn, EX_USAGE, "a client knows the verbs status, approve, drain and metrics", "", u);
}

int client_admin_frame(
    struct participant *p, struct admin *admin, const struct event *event, struct update *u)
{
    struct err e = {0};
    ProtobufCMessage *message = NULL;
    uint32_t conn = admin->conn;
    int r = link_frame(&admin->link, event, p->arena, u, &message, &e);
    if (r > 0)
        return drop(admin, e.text, u);
    return r == 0 && message ? dispatch(p, conn, (Ctl__Request *)message, u) : r;
}
