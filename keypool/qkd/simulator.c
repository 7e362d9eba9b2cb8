/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/simulator_internal.h"

#include "common/util.h"
#include "keypool/qkd/sim_level_rate.h"
#include "keypool/qkd/sim_level_raw.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"

#include <errno.h>
#include <stdio.h>

/* ---- life --------------------------------------------------------------------------------- */

struct sim_level *simulator_level_new(
    const struct simulator_config *config, const uint8_t seed[RNG_SEED_BYTES])
{
    switch (config->level) {
    case SIM_EVENT:
        return sim_level_event_new(seed);
    case SIM_PULSE:
        return sim_level_pulse_new(seed);
    default:
        return sim_level_rate_new(seed, &config->options);
    }
}

struct simulator *simulator_new(
    const struct simulator_config *config, struct sim_topology *topology, struct sim_level *level)
{
    struct simulator *s = calloc(1, sizeof(*s));
    if (!s) {
        sim_topology_free(topology);
        level->ops->free(level);
        return NULL;
    }
    s->config = *config;
    s->topology = topology;
    s->level = level;
    s->next_due_ms = NEVER_MS;
    s->ctl = (struct ctl_responder){.answer = simulator_answer, .owner = s};
    s->arena = arena_new(EXCHANGE_HELLO_MAX);
    bool has_raw_clicks = level->ops->begin != NULL;
    s->chunk = has_raw_clicks ? sim_chunk_new() : NULL;
    if (s->arena && (s->chunk || !has_raw_clicks))
        return s;
    simulator_free(s);
    return NULL;
}

void simulator_free(struct simulator *s)
{
    if (!s)
        return;
    sim_topology_free(s->topology);
    s->level->ops->free(s->level);
    if (s->arena)
        arena_free(s->arena);
    sim_chunk_free(s->chunk);
    free(s);
}

/* ---- users -------------------------------------------------------------------------------- */

static struct sim_user *user_of(const struct simulator *s, uint32_t conn)
{
    for (size_t i = 0; conn && i < sim_topology_users(s->topology); i++)
        if (sim_topology_user(s->topology, i)->conn == conn)
            return sim_topology_user(s->topology, i);
    return NULL;
}

static bool is_end_of(const struct sim_link *l, const struct sim_user *user)
{
    return l->user[0] == user || l->user[1] == user;
}

/* Its grants are gone with its connection, and what its links were acquiring; the ends that still have
 * one are told. Nothing begins before all is forgotten. */
static int forget_grants(
    struct simulator *s, struct sim_user *user, bool is_open, const char *why, struct update *u)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < sim_topology_links(s->topology); i++) {
        struct sim_link *l = sim_topology_link(s->topology, i);
        if (!is_end_of(l, user))
            continue;
        int end = sim_link_end(l, user);
        l->grants[end].n = 0;
        r = simulator_call_off(s, l, is_open ? 3 : 1U << !end, why, u);
    }
    return r < 0 ? r : simulator_resume(s, NULL, u);
}

/* "who: why", cut between two characters if it is too long. */
static void say_why(char out[QKD_REASON_MAX], const char *who, const char *why)
{
    if (snprintf(out, QKD_REASON_MAX, "%s: %s", who, why) < (int)QKD_REASON_MAX)
        return;
    size_t n = QKD_REASON_MAX - 1;
    while (((uint8_t)out[n - 1] & 0xc0) == 0x80)
        n--;
    out[n - ((uint8_t)out[n - 1] >= 0xc0)] = '\0';
}

static int forget(
    struct simulator *s, struct sim_user *user, bool is_open, const char *why, struct update *u)
{
    char reason[QKD_REASON_MAX];
    say_why(reason, user->name, why);
    int r = forget_grants(s, user, is_open, reason, u);
    user->conn = 0;
    user->welcomed = false;
    return r;
}

int simulator_drop(struct simulator *s, struct sim_user *user, struct update *u, const char *why)
{
    uint32_t conn = user->conn;
    if (conn == 0)
        return 0;
    int r = forget(s, user, true, why, u);
    return r < 0 ? r : update_close(u, conn, "%s", why);
}

static int open_user(struct simulator *s, const struct event *event, struct update *u)
{
    struct sim_user *user = sim_topology_find_user(s->topology, event->opened.site);
    if (!user)
        return update_close(
            u, event->conn, "%s is no user of the simulated network", event->opened.site);
    int r = simulator_drop(s, user, u, "replaced by a newer connection of the same site");
    if (r < 0)
        return r;
    user->conn = event->conn;
    link_init(&user->link, &qkd_exchange, LINK_RESPONDER, event->now_ms);
    return 0;
}

static int welcome(struct simulator *s, struct sim_user *user, struct update *u)
{
    char *peers[SIM_USERS_MAX];
    Qkd__Welcome m = QKD__WELCOME__INIT;
    m.version = QKD_VERSION;
    m.level = (char *)s->level->name;
    m.peers = peers;
    for (size_t i = 0; i < sim_topology_links(s->topology); i++) {
        struct sim_link *l = sim_topology_link(s->topology, i);
        if (is_end_of(l, user))
            peers[m.n_peers++] = l->user[l->user[0] == user]->name;
    }
    user->welcomed = true;
    int r = link_send(u, user->conn, QKD_WELCOME, &m.base);
    return r < 0 ? r
                 : update_limit(u, user->conn, exchange_body_max(&qkd_exchange, LINK_INITIATOR));
}

static int hear_hello(
    struct simulator *s, struct sim_user *user, const Qkd__Hello *m, struct update *u)
{
    if (strcmp(m->site, user->name) != 0)
        return simulator_drop(s, user, u, "says to be another site than its certificate");
    int r = welcome(s, user, u);
    if (r == 0 && m->version != QKD_VERSION)
        return simulator_drop(s, user, u, "speaks another version of the exchange");
    return r;
}

static int hear_grant(
    struct simulator *s, struct sim_user *user, const Qkd__Grant *m, struct update *u)
{
    struct sim_link *l = sim_topology_find_link(s->topology, user, m->peer);
    if (!l)
        return simulator_drop(s, user, u, "grants a block of a link that it does not have");
    struct sim_grants *g = &l->grants[sim_link_end(l, user)];
    if (g->n == SIM_GRANTS_MAX)
        return simulator_drop(s, user, u, "grants more blocks than may be outstanding");
    g->max_bytes[g->n++] = m->max_bytes;
    return simulator_granted(s, l, u);
}

/* The link's block under way, if it is this one; what crossed its end is no matter. */
static struct sim_link *find_block(const struct simulator *s, const struct sim_user *user,
    const char *peer, ProtobufCBinaryData id)
{
    struct sim_link *l = sim_topology_find_link(s->topology, user, peer);
    return l && l->block && sim_block_is(l->block, id.data, id.len) ? l : NULL;
}

static int hear_got(struct simulator *s, struct sim_user *user, const Qkd__Got *m, struct update *u)
{
    struct sim_link *l = find_block(s, user, m->peer, m->block);
    if (!l)
        return 0;
    if (sim_block_got(l->block, sim_link_end(l, user), m->events) != 0)
        return simulator_drop(s, user, u, "has taken another number of events than it was told");
    simulator_look_again(s);
    return 0;
}

static int hear_stop(
    struct simulator *s, struct sim_user *user, const Qkd__Stop *m, struct update *u)
{
    struct sim_link *l = find_block(s, user, m->peer, m->block);
    if (!l)
        return 0;
    char reason[QKD_REASON_MAX];
    say_why(reason, user->name, m->reason);
    int r = simulator_call_off(s, l, 1U << !sim_link_end(l, user), reason, u);
    return r < 0 ? r : simulator_resume(s, l, u);
}

static int hear_user(
    struct simulator *s, struct sim_user *user, const struct event *event, struct update *u)
{
    struct err e = {{0}};
    ProtobufCMessage *message;
    arena_reset(s->arena, false);
    int r = link_frame(&user->link, event, s->arena, u, &message, &e);
    if (r > 0)
        return simulator_drop(s, user, u, e.text);
    if (r < 0 || !message)
        return r;
    switch (event->frame.type) {
    case QKD_HELLO:
        return hear_hello(s, user, (const Qkd__Hello *)message, u);
    case QKD_GRANT:
        return hear_grant(s, user, (const Qkd__Grant *)message, u);
    case QKD_GOT:
        return hear_got(s, user, (const Qkd__Got *)message, u);
    default: /* link_frame lets no other pass */
        return hear_stop(s, user, (const Qkd__Stop *)message, u);
    }
}

/* ---- events ------------------------------------------------------------------------------- */

static int on_opened(struct simulator *s, const struct event *event, struct update *u)
{
    if (event->opened.role == ROLE_KME)
        return open_user(s, event, u);
    if (event->opened.role == ROLE_CTL)
        return ctl_responder_open(&s->ctl, event, u);
    return update_close(
        u, event->conn, "role %s has no business here", role_name(event->opened.role));
}

static int on_frame(struct simulator *s, const struct event *event, struct update *u)
{
    struct sim_user *user = user_of(s, event->conn);
    if (user)
        return hear_user(s, user, event, u);
    if (ctl_responder_owns(&s->ctl, event->conn))
        return ctl_responder_frame(&s->ctl, event, s->arena, u);
    return 0; /* was closed by us */
}

static int on_closed(struct simulator *s, const struct event *event, struct update *u)
{
    struct sim_user *user = user_of(s, event->conn);
    ctl_responder_closed(&s->ctl, event->conn);
    return user ? forget(s, user, false, "its KME has disconnected", u) : 0;
}

static int tick_users(struct simulator *s, struct update *u)
{
    for (size_t i = 0; i < sim_topology_users(s->topology); i++) {
        struct sim_user *user = sim_topology_user(s->topology, i);
        struct err e = {{0}};
        int r = user->conn ? link_tick(&user->link, s->now_ms, user->conn, u, &e) : 0;
        if (r > 0)
            r = simulator_drop(s, user, u, e.text);
        if (r < 0)
            return r;
    }
    return 0;
}

static int dispatch(struct simulator *s, const struct event *event, struct update *u)
{
    switch (event->kind) {
    case EVENT_TICK:
        return tick_users(s, u);
    case EVENT_OPENED:
        return on_opened(s, event, u);
    case EVENT_FRAME:
        return on_frame(s, event, u);
    case EVENT_CLOSED:
        return on_closed(s, event, u);
    case EVENT_JOB: /* none is ever asked for */
        event->job->free(event->job);
        return 0;
    }
    return 0;
}

int simulator_step(struct simulator *s, const struct event *event, struct update *u)
{
    s->now_ms = MAX(s->now_ms, event->now_ms);
    int r = dispatch(s, event, u);
    return r < 0 ? r : simulator_run(s, u);
}

uint64_t simulator_deadline_ms(const struct simulator *s)
{
    uint64_t deadline = s->next_due_ms;
    for (size_t i = 0; i < sim_topology_users(s->topology); i++) {
        const struct sim_user *user = sim_topology_user(s->topology, i);
        if (user->conn)
            deadline = MIN(deadline, link_deadline_ms(&user->link));
    }
    return deadline;
}
