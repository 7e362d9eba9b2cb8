/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sessions.h"

#include "common/util.h"
#include "proto/ctl.h"

#include <assert.h>
#include <errno.h>

int sessions_init(struct sessions *s, size_t sites)
{
    *s = (struct sessions){.sites = sites,
        .open = calloc(sites, sizeof(*s->open)),
        .held = calloc(sites, sizeof(*s->held))};
    if (s->open && s->held)
        return 0;
    sessions_deinit(s);
    return -ENOMEM;
}

static void session_free(struct session *session)
{
    blob_unref(session->hello);
    free(session);
}

void sessions_deinit(struct sessions *s)
{
    for (size_t i = 0; i < s->n; i++)
        session_free(s->list[i]);
    free(s->list);
    free(s->open);
    free(s->held);
    *s = (struct sessions){0};
}

static bool is_full(const struct sessions *s, enum role role, size_t site)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->list[i]->role == role && s->list[i]->site == site;
    return n >= (role == ROLE_CTL ? SESSIONS_OF_CTL : SESSIONS_PER_SITE);
}

static int reserve(struct sessions *s)
{
    if (s->n < s->cap)
        return 0;
    size_t cap = MAX(2 * s->cap, (size_t)16);
    struct session **list = reallocarray(s->list, cap, sizeof(*list));
    if (!list)
        return -ENOMEM;
    s->list = list;
    s->cap = cap;
    return 0;
}

int sessions_add(struct sessions *s, uint32_t conn, enum role role, size_t site, uint64_t now_ms,
    struct session **out)
{
    if (is_full(s, role, site))
        return SESSIONS_E_FULL;
    int r = reserve(s);
    if (r != 0)
        return r;
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return -ENOMEM;
    *session = (struct session){
        .conn = conn, .role = role, .site = site, .budget = SESSION_BUDGET, .budget_ms = now_ms};
    link_init(
        &session->link, role == ROLE_CTL ? &ctl_exchange : &fed_exchange, LINK_RESPONDER, now_ms);
    s->list[s->n++] = session;
    *out = session;
    return 0;
}

struct session *sessions_find(struct sessions *s, uint32_t conn)
{
    if (s->last < s->n && s->list[s->last]->conn == conn)
        return s->list[s->last];
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i]->conn == conn) {
            s->last = i;
            return s->list[i];
        }
    return NULL;
}

static void leave_place(struct sessions *s, struct session *session, uint64_t now_ms)
{
    if (session->state == SESSION_HELD)
        s->held[session->site] = NULL;
    if (session->state != SESSION_OPEN)
        return;
    s->open[session->site] = NULL;
    s->connected--;
    if (s->left_ms == 0)
        s->left_ms = MAX(now_ms, (uint64_t)1);
}

void sessions_remove(struct sessions *s, struct session *session, uint64_t now_ms)
{
    leave_place(s, session, now_ms);
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i] == session) {
            s->list[i] = s->list[--s->n];
            break;
        }
    session_free(session);
}

/* ---- one session per site -------------------------------------------------------------------- */

static void take_place(struct sessions *s, struct session *session)
{
    assert(!s->open[session->site]);
    session->state = SESSION_OPEN;
    s->open[session->site] = session;
    s->connected++;
}

/* The older session goes, without counting as a departure of its site. */
static int replace(struct sessions *s, struct session *old, struct session *session,
    uint64_t now_ms, struct counters *counters, const char *why, struct update *u)
{
    int r = update_close(u, old->conn, "%s", why);
    uint64_t left_ms = s->left_ms;
    sessions_remove(s, old, now_ms);
    s->left_ms = left_ms;
    take_place(s, session);
    counters->sessions_replaced++;
    return r;
}

static bool is_same_process(const struct session *a, const struct session *b)
{
    return memcmp(a->nonce, b->nonce, FED_NONCE_BYTES) == 0;
}

static int refuse(
    struct sessions *s, struct session *session, uint64_t now_ms, const char *why, struct update *u)
{
    int r = update_close(u, session->conn, "%s", why);
    sessions_remove(s, session, now_ms);
    return r < 0 ? r : SESSIONS_E_REFUSED;
}

/* Another process claims the site: is the older one still there? */
static int hold(struct sessions *s, struct session *old, struct session *session,
    const uint8_t *body, size_t len, uint64_t now_ms, struct update *u)
{
    session->hello = blob_new(len);
    if (!session->hello)
        return -ENOMEM;
    memcpy(session->hello->data, body, len);
    session->state = SESSION_HELD;
    session->held_ms = now_ms;
    s->held[session->site] = session;
    int r = link_ping(&old->link, now_ms, old->conn, u);
    return r < 0 ? r : SESSIONS_E_HELD;
}

int sessions_hello(struct sessions *s, struct session *session, const uint8_t *nonce,
    const uint8_t *body, size_t len, uint64_t now_ms, struct counters *counters, struct update *u)
{
    memcpy(session->nonce, nonce, FED_NONCE_BYTES);
    struct session *old = s->open[session->site];
    struct session *waiting = s->held[session->site];
    if (!old) {
        take_place(s, session);
        return 0;
    }
    if (is_same_process(old, session))
        return replace(
            s, old, session, now_ms, counters, "the same process has connected again", u);
    if (waiting && !is_same_process(waiting, session))
        return refuse(s, session, now_ms, "another process of this site is waiting already", u);
    if (waiting) {
        int r = refuse(s, waiting, now_ms, "the same process has connected again", u);
        if (r < 0)
            return r;
    }
    return hold(s, old, session, body, len, now_ms, u);
}

int sessions_heard(struct sessions *s, struct session *session, const char *site, uint64_t now_ms,
    struct counters *counters, struct update *u)
{
    struct session *newcomer = s->held[session->site];
    if (!newcomer)
        return 0;
    counters->second_instances++;
    update_note(u, NOTE_ALARM,
        "%s: a second process claims this site while the first one answers; refused", site);
    int r = refuse(s, newcomer, now_ms, "another process of this site is connected", u);
    return r < 0 ? r : 0;
}

static int promote(struct sessions *s, struct session *session, uint64_t now_ms,
    struct counters *counters, struct update *u)
{
    struct session *old = s->open[session->site];
    s->held[session->site] = NULL;
    session->state = SESSION_NEW;
    if (!old) {
        take_place(s, session);
        return 0;
    }
    return replace(
        s, old, session, now_ms, counters, "silent, and another process takes its place", u);
}

int sessions_promote(struct sessions *s, uint64_t now_ms, struct counters *counters,
    struct session **out, struct update *u)
{
    *out = NULL;
    for (size_t i = 0; i < s->n; i++) {
        struct session *session = s->list[i];
        bool is_free = session->state == SESSION_HELD && !s->open[session->site];
        bool is_due =
            session->state == SESSION_HELD && now_ms >= session->held_ms + SESSIONS_PATIENCE_MS;
        if (!is_free && !is_due)
            continue;
        *out = session;
        return promote(s, session, now_ms, counters, u);
    }
    return 0;
}

/* ---- time and budgets ------------------------------------------------------------------------ */

int sessions_tick(struct sessions *s, uint64_t now_ms, struct update *u)
{
    for (size_t i = s->n; i-- > 0;) {
        struct session *session = s->list[i];
        if (session->state == SESSION_HELD || now_ms < link_deadline_ms(&session->link))
            continue;
        struct err e = {0};
        int r = link_tick(&session->link, now_ms, session->conn, u, &e);
        if (r < 0)
            return r;
        if (r == 0)
            continue;
        r = update_close(u, session->conn, "%s", e.text);
        sessions_remove(s, session, now_ms);
        if (r < 0)
            return r;
    }
    return 0;
}

bool session_spend(struct session *session, uint64_t now_ms)
{
    uint64_t earned = (now_ms - session->budget_ms) * SESSION_PER_SECOND / 1000;
    if (earned > 0) {
        session->budget = (uint32_t)MIN(session->budget + earned, (uint64_t)SESSION_BUDGET);
        session->budget_ms = now_ms;
    }
    if (session->budget == 0)
        return false;
    session->budget--;
    return true;
}

uint64_t sessions_deadline_ms(const struct sessions *s)
{
    uint64_t deadline_ms = NEVER_MS;
    for (size_t i = 0; i < s->n; i++) {
        const struct session *session = s->list[i];
        uint64_t due_ms = session->state == SESSION_HELD ? session->held_ms + SESSIONS_PATIENCE_MS
                                                         : link_deadline_ms(&session->link);
        deadline_ms = MIN(deadline_ms, due_ms);
    }
    return deadline_ms;
}
