/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, and which of them speaks for a site: never two at a time.
 *
 * A connection is NEW until its HELLO. Then it takes its site's place: at once if the place is free or
 * held by the same process (same instance nonce); otherwise it is HELD while the older session is
 * pinged: if that one says anything within SESSIONS_PATIENCE_MS the newcomer is refused with an alarm,
 * if not it is replaced.
 */
#pragma once

#include "proto/fed.h"
#include "server/counters.h"

#define SESSIONS_PATIENCE_MS ((uint64_t)1000)
#define SESSIONS_PER_SITE    4 /* connections of one site at a time */
#define SESSIONS_OF_CTL      32

/* Messages besides chunks that a client may send in one go, and per second. */
#define SESSION_BUDGET     ((uint32_t)512)
#define SESSION_PER_SECOND ((uint32_t)64)

enum session_state { SESSION_NEW, SESSION_HELD, SESSION_OPEN };

struct session {
    uint32_t conn;
    enum role role;
    size_t site; /* index in the roster; clients only */
    enum session_state state;
    struct link link;
    uint8_t nonce[FED_NONCE_BYTES];
    struct blob *hello; /* owned: body of the HELLO of a held session */
    uint64_t held_ms;
    uint32_t budget;
    uint64_t budget_ms; /* filled up to here */
    uint32_t model_gets;
    uint64_t round; /* the last one of the current run that its client had been in at HELLO */
};

struct sessions {
    size_t sites;
    struct session **open; /* owned, by site: borrowed from list */
    struct session **held; /* the same */
    struct session **list; /* owned with its sessions */
    size_t n;
    size_t cap;
    size_t last;      /* index that was found last */
    size_t connected; /* sites with an open session */
    uint64_t left_ms; /* first departure since it was set to 0 */
};

int sessions_init(struct sessions *s, size_t sites) must_check;
void sessions_deinit(struct sessions *s);

enum sessions_condition {
    SESSIONS_E_FULL = 1, /* too many connections of this peer */
    SESSIONS_E_HELD,     /* waits for the older session's answer */
    SESSIONS_E_REFUSED,  /* has been closed */
};

/* A connection came up; of a client (site: its index) or an operator. */
int sessions_add(struct sessions *s, uint32_t conn, enum role role, size_t site, uint64_t now_ms,
    struct session **out) must_check;
/* NULL if it is not known (any more). */
struct session *sessions_find(struct sessions *s, uint32_t conn);
/* Forgets it. */
void sessions_remove(struct sessions *s, struct session *session, uint64_t now_ms);

/* A HELLO has come: 0 when the session speaks for its site from now on. */
int sessions_hello(struct sessions *s, struct session *session, const uint8_t *nonce,
    const uint8_t *body, size_t len, uint64_t now_ms, struct counters *counters,
    struct update *u) must_check;
/* The session said something: whoever wants to replace it is refused. */
int sessions_heard(struct sessions *s, struct session *session, const char *site, uint64_t now_ms,
    struct counters *counters, struct update *u) must_check;
/* A held session whose site has become free or silent, now open; its HELLO is still to be acted on. */
int sessions_promote(struct sessions *s, uint64_t now_ms, struct counters *counters,
    struct session **out, struct update *u) must_check;
/* Pings the quiet, closes the silent. */
int sessions_tick(struct sessions *s, uint64_t now_ms, struct update *u) must_check;
/* Takes one message off the budget; false when it is used up. */
bool session_spend(struct session *session, uint64_t now_ms);

uint64_t sessions_deadline_ms(const struct sessions *s);
