/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/simulator_internal.h"

#include "common/util.h"
#include "keypool/qkd/sim_level_rate.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"

#include <errno.h>
#include <math.h>

/* ---- life --------------------------------------------------------------------------------- */

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
    if (s->arena)
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
    free(s);
}

/* ---- grants ------------------------------------------------------------------------------- */

static bool both_granted(const struct sim_link *l)
{
    return l->grants[0].n > 0 && l->grants[1].n > 0;
}

/* The oldest grant of an end is used up: its room. */
static uint64_t take_grant(struct sim_grants *g)
{
    uint64_t room = g->max_bytes[0];
    g->n--;
    memmove(g->max_bytes, g->max_bytes + 1, g->n * sizeof(g->max_bytes[0]));
    return room;
}

/* 0 means no limit. */
static uint64_t smaller_room(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return MAX(a, b);
    return MIN(a, b);
}

/* ---- acquisition -------------------------------------------------------------------------- */

static double block_ms(const struct simulator *s)
{
    return s->config.speedup > 0 ? 1000 * s->config.block_s / s->config.speedup : 0;
}

static void acquire(struct simulator *s, struct sim_link *l, double from_ms)
{
    l->acquiring = true;
    l->due_ms = from_ms + block_ms(s);
    s->next_due_ms = MIN(s->next_due_ms, (uint64_t)ceil(l->due_ms));
    s->turn = l;
}

static void stop(struct simulator *s, struct sim_link *l)
{
    l->acquiring = false;
    if (s->turn == l)
        s->turn = NULL;
}

static bool may_acquire(const struct simulator *s, const struct sim_link *l)
{
    return !l->acquiring && both_granted(l) && (s->config.schedule == SIM_PARALLEL || !s->turn);
}

/* Round robin: the next link in turn that both its users want. */
static void pass_the_turn(struct simulator *s, double from_ms)
{
    size_t n = sim_topology_links(s->topology);
    for (size_t i = 0; i < n; i++) {
        size_t at = (s->next_turn + i) % n;
        struct sim_link *l = sim_topology_link(s->topology, at);
        if (!may_acquire(s, l))
            continue;
        s->next_turn = (at + 1) % n;
        acquire(s, l, from_ms);
        return;
    }
}

static int make(struct simulator *s, struct sim_link *l, uint64_t prefill, struct sim_made *made,
    struct update *u)
{
    struct sim_request q = {.link = l, .number = s->number++};
    q.prefill_bytes = prefill;
    q.seconds = prefill ? 0 : s->config.block_s;
    q.pulses = q.seconds * s->config.clock_hz;
    q.max_bytes = smaller_room(l->grants[0].max_bytes[0], l->grants[1].max_bytes[0]);
    int r = s->level->ops->make(s->level, &q, u, made);
    if (r < 0 || made->key_bytes == 0)
        return r;
    take_grant(&l->grants[0]);
    take_grant(&l->grants[1]);
    l->blocks++;
    l->key_bytes += made->key_bytes;
    return 0;
}

/* What is to be there at once is delivered grant by grant. */
static int deliver_prefill(struct simulator *s, struct sim_link *l, struct update *u)
{
    while (l->prefill_bytes > 0 && both_granted(l)) {
        struct sim_made made;
        int r = make(s, l, MIN(l->prefill_bytes, SIM_BLOCK_BYTES_MAX), &made, u);
        if (r < 0)
            return r;
        l->prefill_bytes -= made.key_bytes;
    }
    return 0;
}

static int complete(struct simulator *s, struct sim_link *l, struct update *u)
{
    struct sim_made made;
    stop(s, l);
    int r = make(s, l, 0, &made, u);
    if (r < 0)
        return r;
    l->last_qber = made.qber;
    if (made.key_bytes)
        return 0;
    l->empty_blocks++;
    update_note(u, NOTE_WARNING, "%s-%s: a block of %g s without key, QBER %.4f (SIMULATED)",
        l->user[0]->name, l->user[1]->name, s->config.block_s, made.qber);
    return 0;
}

static bool is_due(const struct simulator *s, const struct sim_link *l)
{
    return l->acquiring && l->due_ms <= (double)s->now_ms;
}

/* A link that goes on at once loses no time between two blocks. */
static int run_link(struct simulator *s, struct sim_link *l, struct update *u)
{
    int r = 0;
    for (int i = 0; r == 0 && is_due(s, l) && i < SIM_GRANTS_MAX; i++) {
        r = complete(s, l, u);
        if (r == 0 && s->config.schedule == SIM_ROUND_ROBIN)
            pass_the_turn(s, l->due_ms);
        else if (r == 0 && may_acquire(s, l))
            acquire(s, l, l->due_ms);
    }
    return r;
}

static int run_due(struct simulator *s, struct update *u)
{
    s->next_due_ms = NEVER_MS;
    for (size_t i = 0; i < sim_topology_links(s->topology); i++) {
        struct sim_link *l = sim_topology_link(s->topology, i);
        int r = run_link(s, l, u);
        if (r < 0)
            return r;
        if (l->acquiring)
            s->next_due_ms = MIN(s->next_due_ms, (uint64_t)ceil(l->due_ms));
    }
    return 0;
}

int simulator_run(struct simulator *s, struct update *u)
{
    return s->now_ms >= s->next_due_ms ? run_due(s, u) : 0;
}

static int granted(struct simulator *s, struct sim_link *l, struct update *u)
{
    int r = deliver_prefill(s, l, u);
    if (r == 0 && may_acquire(s, l))
        acquire(s, l, (double)s->now_ms);
    return r;
}

void simulator_replan(struct simulator *s)
{
    s->next_due_ms = s->now_ms;
    for (size_t i = 0; i < sim_topology_links(s->topology); i++) {
        struct sim_link *l = sim_topology_link(s->topology, i);
        if (l->acquiring)
            l->due_ms = (double)s->now_ms + block_ms(s);
    }
}

void simulator_forget_turns(struct simulator *s)
{
    s->turn = NULL;
    s->next_turn = 0;
}

/* ---- users -------------------------------------------------------------------------------- */

static struct sim_user *user_of(const struct simulator *s, uint32_t conn)
{
    for (size_t i = 0; conn && i < sim_topology_users(s->topology); i++)
        if (sim_topology_user(s->topology, i)->conn == conn)
            return sim_topology_user(s->topology, i);
    return NULL;
}

/* Its grants are gone with its connection, and what its links were acquiring. */
static void forget(struct simulator *s, struct sim_user *user)
{
    user->conn = 0;
    user->welcomed = false;
    for (size_t i = 0; i < sim_topology_links(s->topology); i++) {
        struct sim_link *l = sim_topology_link(s->topology, i);
        if (l->user[0] != user && l->user[1] != user)
            continue;
        l->grants[sim_link_end(l, user)].n = 0;
        stop(s, l);
    }
    if (s->config.schedule == SIM_ROUND_ROBIN && !s->turn)
        pass_the_turn(s, (double)s->now_ms);
}

int simulator_drop(struct simulator *s, struct sim_user *user, struct update *u, const char *why)
{
    uint32_t conn = user->conn;
    if (conn == 0)
        return 0;
    forget(s, user);
    return update_close(u, conn, "%s", why);
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
        if (l->user[0] == user || l->user[1] == user)
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
    return granted(s, l, u);
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
    if (event->frame.type == QKD_HELLO)
        return hear_hello(s, user, (const Qkd__Hello *)message, u);
    if (event->frame.type == QKD_GRANT)
        return hear_grant(s, user, (const Qkd__Grant *)message, u);
    return 0; /* of a raw block: there is none at level rate */
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

static void on_closed(struct simulator *s, const struct event *event)
{
    struct sim_user *user = user_of(s, event->conn);
    if (user)
        forget(s, user);
    ctl_responder_closed(&s->ctl, event->conn);
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
        on_closed(s, event);
        return 0;
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

/* ---- configuration ------------------------------------------------------------------------ */

static struct keyrate_options block_options(const struct simulator_config *config, double seconds)
{
    struct keyrate_options o = config->options;
    o.seconds = seconds;
    o.pulses = seconds * config->clock_hz;
    return o;
}

struct keyrate simulator_expect(
    const struct simulator_config *config, const struct link_params *params)
{
    struct keyrate_options o = block_options(config, config->block_s);
    struct keyrate_counts c = link_model_expect(params, o.pulses);
    return keyrate_compute(&c, &o);
}

static int check_link(
    const struct simulator_config *config, const struct sim_link *l, struct err *e)
{
    struct keyrate_options o = block_options(config, 1);
    struct keyrate_counts c = link_model_expect(&l->params, o.pulses);
    double shortest = keyrate_shortest_s(&c, &o);
    if (!isfinite(shortest))
        return err_set(e, -EINVAL, "no block, however long, yields a key");
    if (config->block_s < shortest)
        return err_set(e, -EINVAL,
            "a block of %g s yields no key; the shortest that does takes %.2f s", config->block_s,
            ceil(100 * shortest) / 100);
    if (simulator_expect(config, &l->params).key_bits > 8 * (double)SIM_BLOCK_BYTES_MAX)
        return err_set(e, -EINVAL, "a block of %g s yields more than %llu MiB of key",
            config->block_s, (unsigned long long)SIM_BLOCK_BYTES_MAX >> 20);
    return 0;
}

static bool has_link(const struct sim_topology *t, const struct sim_user *user)
{
    for (size_t i = 0; i < sim_topology_links(t); i++)
        if (sim_topology_link(t, i)->user[0] == user || sim_topology_link(t, i)->user[1] == user)
            return true;
    return false;
}

int simulator_check(
    const struct simulator_config *config, const struct sim_topology *topology, struct err *e)
{
    const struct sim_link *last = NULL; /* most links have the same parameters */
    for (size_t i = 0; i < sim_topology_links(topology); i++) {
        const struct sim_link *l = sim_topology_link(topology, i);
        if (last && link_params_equal(&last->params, &l->params))
            continue;
        int r = check_link(config, l, e);
        if (r < 0)
            return err_wrap(e, r, "link %s-%s", l->user[0]->name, l->user[1]->name);
        last = l;
    }
    for (size_t i = 0; i < sim_topology_users(topology); i++)
        if (!has_link(topology, sim_topology_user(topology, i)))
            return err_set(e, -EINVAL, "user %s has no link: give links or default_link",
                sim_topology_user(topology, i)->name);
    return 0;
}
