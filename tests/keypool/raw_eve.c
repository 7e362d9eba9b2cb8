/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/raw_eve.h"

#include "common/util.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"
#include "tests/sim/need.h"

#include <stdio.h>

#define PULSES_PER_CLICK 20
#define P_Y              0.5
#define GAP_BYTES        5

static const char *const users[2] = {"alice", "bob"};

/* An end's connection and what it takes of the present block. */
struct eve_end {
    uint32_t conn;
    struct link link;
    uint32_t grants;
    uint64_t sent, got;
    uint64_t position;
    bool has_ended; /* BLOCK_END was sent */
};

struct eve_parts {
    struct arena *arena; /* owned */
    struct eve_end ends[2];
    bool is_on; /* a block is under way */
    uint8_t id[16];
    uint64_t since_ms;
    uint32_t clicks;
    uint64_t acquire_ms;
    struct post_click *events[2]; /* owned */
};

static struct raw_eve *of(const struct node *n)
{
    return (struct raw_eve *)n;
}

struct post_config raw_eve_post(void)
{
    struct post_config c = post_config_default();
    c.keyrate.eps = 1e-2;
    c.gain_spread_max = 0.1;
    c.frame_bits = 4096;
    c.window = 4;
    c.chunk_bytes = 1024;
    return c;
}

/* ---- a block ------------------------------------------------------------------------------------ */

static void draw(struct raw_eve *e)
{
    struct eve_parts *p = e->parts;
    struct rnd *r = &e->node.world->rnd;
    for (unsigned end = 0; end < 2; end++)
        p->events[end] = need(realloc(p->events[end], e->clicks * sizeof(struct post_click)));
    for (uint32_t i = 0; i < e->clicks; i++) {
        struct post_click c[2] = {0};
        c[0].position = c[1].position =
            (uint64_t)i * PULSES_PER_CLICK + rnd_below(r, PULSES_PER_CLICK);
        c[0].d2 = c[1].d2 = rnd_u64(r) & 1;
        for (unsigned end = 0; end < 2; end++) {
            c[end].y = rnd_chance(r, P_Y);
            c[end].bit = rnd_u64(r) & 1;
        }
        if (c[0].y == c[1].y) /* HIGH flips for D2 */
            c[1].bit = c[0].bit ^ c[0].d2 ^ rnd_chance(r, c[0].y ? e->e_y : e->e_x);
        for (unsigned end = 0; end < 2; end++) {
            if (e->bend)
                e->bend(&c[end], end, i);
            p->events[end][i] = c[end];
        }
    }
}

static void begin(struct raw_eve *e, struct update *u)
{
    struct eve_parts *p = e->parts;
    draw(e);
    rnd_bytes(&e->node.world->rnd, p->id, sizeof(p->id));
    p->is_on = true;
    p->since_ms = e->node.world->now_ms;
    p->clicks = e->clicks;
    p->acquire_ms = e->acquire_ms;
    e->begun++;
    for (unsigned end = 0; end < 2; end++) {
        struct eve_end *x = &p->ends[end];
        Qkd__Block m = QKD__BLOCK__INIT;
        m.peer = (char *)users[!end];
        m.block = (ProtobufCBinaryData){sizeof(p->id), p->id};
        m.pulses = e->pulses ? e->pulses : (uint64_t)e->clicks * PULSES_PER_CLICK;
        m.seconds = 0.5;
        m.mu = e->mu;
        m.share_xx = (1 - P_Y) * (1 - P_Y);
        m.share_yy = P_Y * P_Y;
        m.expected_e_y = e->e_y;
        x->grants--;
        x->sent = x->got = 0;
        x->position = UINT64_MAX;
        x->has_ended = false;
        need_ok(link_send(u, x->conn, QKD_BLOCK, &m.base));
    }
}

static void send_events(struct raw_eve *e, unsigned end, uint32_t n, struct update *u)
{
    struct eve_parts *p = e->parts;
    struct eve_end *x = &p->ends[end];
    size_t bytes = (n + 7) / 8;
    uint8_t *bits = need(calloc(3, bytes));
    uint8_t *gaps = need(malloc((size_t)n * 2 * GAP_BYTES));
    size_t len = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct post_click *c = &p->events[end][x->sent + i];
        uint64_t gap = c->position - x->position;
        x->position = c->position;
        for (; gap >= 0x80; gap >>= 7)
            gaps[len++] = (uint8_t)(gap | 0x80);
        gaps[len++] = (uint8_t)gap;
        bits[i / 8] |= (uint8_t)(c->d2 << i % 8);
        bits[bytes + i / 8] |= (uint8_t)(c->y << i % 8);
        bits[2 * bytes + i / 8] |= (uint8_t)(c->bit << i % 8);
    }
    Qkd__Events m = QKD__EVENTS__INIT;
    m.peer = (char *)users[!end];
    m.block = (ProtobufCBinaryData){sizeof(p->id), p->id};
    m.from = x->sent;
    m.count = n;
    m.gaps = (ProtobufCBinaryData){len, gaps};
    m.detectors = (ProtobufCBinaryData){bytes, bits};
    m.bases = (ProtobufCBinaryData){bytes, bits + bytes};
    m.bits = (ProtobufCBinaryData){bytes, bits + 2 * bytes};
    x->sent += n;
    need_ok(link_send(u, x->conn, QKD_EVENTS, &m.base));
    free(bits);
    free(gaps);
}

static void send_end(struct raw_eve *e, unsigned end, struct update *u)
{
    struct eve_parts *p = e->parts;
    Qkd__BlockEnd m = QKD__BLOCK_END__INIT;
    m.peer = (char *)users[!end];
    m.block = (ProtobufCBinaryData){sizeof(p->id), p->id};
    m.events = p->clicks + (uint64_t)e->end_bias;
    p->ends[end].has_ended = true;
    need_ok(link_send(u, p->ends[end].conn, QKD_BLOCK_END, &m.base));
}

/* As many events as time and credit allow. */
static void go_on(struct raw_eve *e, struct update *u)
{
    struct eve_parts *p = e->parts;
    if (!p->is_on && p->ends[0].grants && p->ends[1].grants)
        begin(e, u);
    if (!p->is_on)
        return;
    uint64_t gone = e->node.world->now_ms - p->since_ms;
    uint64_t due = p->acquire_ms == 0
                       ? p->clicks
                       : MIN((uint64_t)p->clicks * gone / p->acquire_ms, (uint64_t)p->clicks);
    for (unsigned end = 0; end < 2; end++) {
        struct eve_end *x = &p->ends[end];
        while (x->sent < due && x->sent - x->got < QKD_EVENTS_AHEAD)
            send_events(e, end, (uint32_t)MIN(due - x->sent, (uint64_t)e->batch), u);
        if (x->sent == p->clicks && !x->has_ended)
            send_end(e, end, u);
    }
    p->is_on = !(p->ends[0].has_ended && p->ends[1].has_ended);
}

static void break_off(struct raw_eve *e, unsigned except, const char *why, struct update *u)
{
    struct eve_parts *p = e->parts;
    for (unsigned end = 0; p->is_on && end < 2; end++) {
        Qkd__BlockOff m = QKD__BLOCK_OFF__INIT;
        m.peer = (char *)users[!end];
        m.block = (ProtobufCBinaryData){sizeof(p->id), p->id};
        m.reason = (char *)why;
        if (end != except && p->ends[end].conn)
            need_ok(link_send(u, p->ends[end].conn, QKD_BLOCK_OFF, &m.base));
    }
    p->is_on = false;
}

/* ---- the node ----------------------------------------------------------------------------------- */

static int boot(struct node *n)
{
    struct raw_eve *e = of(n);
    e->parts = need(calloc(1, sizeof(*e->parts)));
    e->parts->arena = need(arena_new(EXCHANGE_HELLO_MAX));
    return 0;
}

static void halt(struct node *n, enum death death)
{
    struct eve_parts *p = steal(&of(n)->parts);
    arena_free(p->arena);
    free(p->events[0]);
    free(p->events[1]);
    free(p);
}

static void opened(struct raw_eve *e, const struct event *event, struct update *u)
{
    unsigned end = strcmp(event->opened.site, users[0]) != 0;
    char *peers[] = {(char *)users[!end]};
    Qkd__Welcome m = QKD__WELCOME__INIT;
    break_off(e, end, "the other user left", u);
    e->parts->ends[end] = (struct eve_end){.conn = event->conn};
    link_init(&e->parts->ends[end].link, &qkd_exchange, LINK_RESPONDER, event->now_ms);
    m.version = QKD_VERSION;
    m.level = (char *)e->level;
    m.peers = peers;
    m.n_peers = 1;
    need_ok(link_send(u, event->conn, QKD_WELCOME, &m.base));
}

static bool is_of_block(const struct eve_parts *p, ProtobufCBinaryData id)
{
    return p->is_on && id.len == sizeof(p->id) && memcmp(id.data, p->id, sizeof(p->id)) == 0;
}

static void hear(struct raw_eve *e, unsigned end, const struct event *event, struct update *u)
{
    struct eve_parts *p = e->parts;
    struct err why = {{0}};
    ProtobufCMessage *m;
    arena_reset(p->arena, false);
    if (link_frame(&p->ends[end].link, event, p->arena, u, &m, &why) != 0) {
        world_violation(e->node.world, "eve hears: %s", why.text);
        return;
    }
    if (!m)
        return;
    if (event->frame.type == QKD_GRANT) {
        p->ends[end].grants++;
    } else if (event->frame.type == QKD_GOT) {
        const Qkd__Got *got = (const Qkd__Got *)m;
        if (is_of_block(p, got->block))
            p->ends[end].got = got->events;
    } else if (event->frame.type == QKD_STOP) {
        const Qkd__Stop *stop = (const Qkd__Stop *)m;
        e->stopped++;
        snprintf(e->reason[end], sizeof(e->reason[end]), "%s", stop->reason);
        if (is_of_block(p, stop->block))
            break_off(e, end, stop->reason, u);
    }
}

static int step(struct node *n, const struct event *event, struct update *u)
{
    struct raw_eve *e = of(n);
    struct err why = {{0}};
    if (event->kind == EVENT_OPENED) {
        opened(e, event, u);
        return 0;
    }
    for (unsigned end = 0; end < 2; end++) {
        struct eve_end *x = &e->parts->ends[end];
        if (event->kind == EVENT_TICK && x->conn)
            need_ok(MIN(link_tick(&x->link, event->now_ms, x->conn, u, &why), 0));
        if (event->kind == EVENT_TICK || event->conn != x->conn || !x->conn)
            continue;
        if (event->kind == EVENT_FRAME)
            hear(e, end, event, u);
        else
            x->conn = x->grants = 0;
        if (event->kind == EVENT_CLOSED)
            break_off(e, end, "the other user left", u);
    }
    go_on(e, u);
    return 0;
}

static uint64_t deadline_ms(const struct node *n)
{
    const struct eve_parts *p = of(n)->parts;
    uint64_t deadline = p->is_on ? n->world->now_ms + 20 : NEVER_MS;
    for (unsigned end = 0; end < 2; end++)
        if (p->ends[end].conn)
            deadline = MIN(deadline, link_deadline_ms(&p->ends[end].link));
    return deadline;
}

static void eve_free(struct node *n)
{
    free(n);
}

static const struct node_ops ops = {
    .boot = boot, .halt = halt, .step = step, .deadline_ms = deadline_ms, .free = eve_free};

struct raw_eve *raw_eve_add(struct world *w)
{
    struct raw_eve *e = need(calloc(1, sizeof(*e)));
    e->node = (struct node){.ops = &ops, .site = "eve", .role = ROLE_QKDSIM};
    snprintf(e->node.name, sizeof(e->node.name), "eve");
    e->level = "event";
    e->clicks = 30000;
    e->e_x = e->e_y = 0.01;
    e->mu = 0.03;
    e->acquire_ms = 500;
    e->batch = 4000;
    world_add(w, &e->node);
    return e;
}
