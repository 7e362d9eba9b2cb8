/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/net.h"

#include "common/util.h"
#include "proto/link.h"
#include "tests/sim/narrate.h"
#include "tests/sim/need.h"

enum entry_kind { ENTRY_OPENED, ENTRY_FRAME, ENTRY_CLOSED };

/* Something on its way to one end. */
struct entry {
    struct entry *next;
    uint64_t at_ms;
    enum entry_kind kind;
    uint16_t type;
    size_t len;
    uint8_t body[];
};

enum end_state { END_OPENING, END_OPEN, END_CLOSED };

struct end {
    struct node *node;
    uint32_t boots;  /* of the node when it was opened: another boot does not know it */
    uint32_t number; /* the node's name for the connection */
    enum end_state state;
    bool closing;               /* its core has asked to close: no frames any more */
    size_t limit;               /* of frames to this end */
    uint64_t last_ms;           /* nothing arrives before what was sent earlier */
    struct entry *first, *last; /* owned: in flight to this end */
};

struct conn {
    struct conn *next;
    struct dialer *dialer;
    bool broken;
    uint32_t tokens;   /* deliveries in the world's queue */
    struct end end[2]; /* 0: the dialer's */
};

struct dialer {
    struct dialer *next;
    struct node *from, *to;
    enum net_kind kind;
    const struct exchange *exchange;
    struct conn *conn; /* from's present one, or NULL */
    bool dialling;     /* an attempt is in the queue */
    uint64_t backoff_ms;
    uint64_t blocked_until_ms; /* partition */
};

struct net {
    struct world *world;
    struct dialer *dialers; /* owned */
    struct conn *conns;     /* owned: live ones and those with something in flight */
};

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define NOTICE_MAX_MS  12000 /* TCP_USER_TIMEOUT and a bit */

static void dial_later(struct dialer *d, uint64_t delay_ms);

/* ---- what is in flight ---- */

static void deliver(struct world *w, void *arg, uint64_t to, uint64_t unused);

static void end_push(struct conn *c, int to, struct entry *entry, uint64_t at_ms)
{
    struct end *e = &c->end[to];
    entry->at_ms = e->last_ms = MAX(at_ms, e->last_ms);
    *(e->last ? &e->last->next : &e->first) = entry;
    e->last = entry;
    c->tokens++;
    world_at(c->dialer->from->world, entry->at_ms, deliver, c, (uint64_t)to, 0);
}

static struct entry *end_pop(struct end *e)
{
    struct entry *entry = e->first;
    e->first = entry->next;
    if (!e->first)
        e->last = NULL;
    return entry;
}

static struct entry *entry_new(enum entry_kind kind, uint16_t type, const void *body, size_t len)
{
    struct entry *entry = need(malloc(sizeof(*entry) + len));
    *entry = (struct entry){.kind = kind, .type = type, .len = len};
    if (len > 0)
        memcpy(entry->body, body, len);
    return entry;
}

static void entry_free(struct entry *entry)
{
    free(entry);
}

/* Everything after the first `keep` is lost. */
static void end_lose(struct net *net, struct end *e, size_t keep)
{
    struct entry **p = &e->first;
    e->last = NULL;
    for (; *p && keep > 0; keep--) {
        e->last = *p;
        p = &(*p)->next;
    }
    struct entry *lost = *p;
    *p = NULL;
    while (lost) {
        struct entry *next = lost->next;
        if (lost->kind == ENTRY_FRAME)
            world_struck(net->world, FAULT_LOSS);
        entry_free(lost);
        lost = next;
    }
    e->last_ms = e->last ? e->last->at_ms : net->world->now_ms;
}

static size_t end_in_flight(const struct end *e)
{
    size_t n = 0;
    for (const struct entry *entry = e->first; entry; entry = entry->next)
        n++;
    return n;
}

static bool end_is_alive(const struct end *e)
{
    return e->state != END_CLOSED && e->node->up && e->node->boots == e->boots;
}

/* ---- breaks ---- */

static uint64_t notice_ms(struct net *net, const struct conn *c)
{
    struct rnd *r = &net->world->rnd;
    if (c->dialer->kind == NET_LOCAL || rnd_chance(r, 0.5))
        return rnd_below(r, 5); /* a reset */
    return rnd_below(r, NOTICE_MAX_MS);
}

/* An end gets a prefix of what is in flight and then the news. */
static void end_breaks(struct net *net, struct conn *c, int to)
{
    struct end *e = &c->end[to];
    if (!end_is_alive(e)) {
        end_lose(net, e, 0);
        return;
    }
    end_lose(net, e, rnd_below(&net->world->rnd, end_in_flight(e) + 1));
    if (!e->first && e->state == END_OPENING) { /* it has never heard of the connection */
        e->state = END_CLOSED;
        if (to == 0) {
            c->dialer->conn = NULL;
            dial_later(c->dialer, c->dialer->backoff_ms);
        }
        return;
    }
    end_push(c, to, entry_new(ENTRY_CLOSED, 0, NULL, 0), net->world->now_ms + notice_ms(net, c));
}

static void conn_breaks(struct net *net, struct conn *c)
{
    if (c->broken)
        return;
    c->broken = true;
    world_tell(net->world, "%s(%u) -x- %s(%u)", c->end[0].node->name, c->end[0].number,
        c->end[1].node->name, c->end[1].number);
    end_breaks(net, c, 0);
    end_breaks(net, c, 1);
}

static void conn_free(struct conn *c)
{
    for (int i = 0; i < 2; i++)
        while (c->end[i].first)
            entry_free(end_pop(&c->end[i]));
    free(c);
}

/* Forgets connections that both ends have done with. */
static void sweep(struct net *net)
{
    for (struct conn **p = &net->conns; *p;) {
        struct conn *c = *p;
        bool over = c->tokens == 0 && !end_is_alive(&c->end[0]) && !end_is_alive(&c->end[1]);
        if (!over || c->dialer->conn == c) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        conn_free(c);
    }
}

/* ---- dialling ---- */

static uint64_t flight_ms(struct net *net, enum net_kind kind)
{
    struct world *w = net->world;
    if (kind == NET_LOCAL)
        return rnd_below(&w->rnd, 2);
    uint64_t ms = world_about_ms(w, w->weather.latency_ms);
    return world_strikes(w, FAULT_DELAY) ? ms + world_about_ms(w, 2000) : ms;
}

static struct end end_new(struct node *n, size_t limit)
{
    return (struct end){.node = n,
        .boots = n->boots,
        .number = n->next_conn++,
        .limit = limit,
        .last_ms = n->world->now_ms};
}

static void dialer_connects(struct net *net, struct dialer *d)
{
    struct conn *c = need(calloc(1, sizeof(*c)));
    *c = (struct conn){.next = net->conns, .dialer = d};
    c->end[0] = end_new(d->from, EXCHANGE_WELCOME_MAX);
    c->end[1] = end_new(d->to, EXCHANGE_HELLO_MAX);
    net->conns = c;
    d->conn = c;
    for (int i = 0; i < 2; i++)
        end_push(c, i, entry_new(ENTRY_OPENED, 0, NULL, 0),
            net->world->now_ms + flight_ms(net, d->kind));
}

static void dial(struct world *w, void *arg, uint64_t boots, uint64_t unused)
{
    struct dialer *d = arg;
    if (!d->from->up || d->from->boots != boots)
        return; /* another boot dials by itself */
    d->dialling = false;
    if (d->conn)
        return;
    if (d->to->up && d->blocked_until_ms <= w->now_ms) {
        dialer_connects(w->net, d);
        return;
    }
    d->backoff_ms = MIN(2 * d->backoff_ms, BACKOFF_MAX_MS);
    dial_later(d, d->backoff_ms / 2 + rnd_below(&w->rnd, d->backoff_ms));
}

static void dial_later(struct dialer *d, uint64_t delay_ms)
{
    struct world *w = d->from->world;
    if (d->dialling || !d->from->up)
        return;
    d->dialling = true;
    world_at(w, w->now_ms + delay_ms, dial, d, d->from->boots, 0);
}

void net_dial(struct net *net, struct node *from, struct node *to, enum net_kind kind,
    const struct exchange *exchange)
{
    struct dialer *d = need(calloc(1, sizeof(*d)));
    *d = (struct dialer){.next = net->dialers,
        .from = from,
        .to = to,
        .kind = kind,
        .exchange = exchange,
        .backoff_ms = BACKOFF_MIN_MS};
    net->dialers = d;
    dial_later(d, rnd_below(&net->world->rnd, 50));
}

void net_node_up(struct net *net, struct node *n)
{
    for (struct dialer *d = net->dialers; d; d = d->next)
        if (d->from == n) {
            d->conn = NULL;
            d->dialling = false;
            d->backoff_ms = BACKOFF_MIN_MS;
            dial_later(d, rnd_below(&net->world->rnd, 20));
        }
}

void net_node_down(struct net *net, struct node *n, enum death death)
{
    for (struct conn *c = net->conns; c; c = c->next)
        for (int i = 0; i < 2; i++)
            if (c->end[i].node == n && c->end[i].state != END_CLOSED) {
                c->end[i].state = END_CLOSED;
                conn_breaks(net, c);
            }
    for (struct dialer *d = net->dialers; d; d = d->next)
        if (d->from == n)
            d->conn = NULL;
    sweep(net);
}

/* ---- delivering ---- */

/* What the weather does to a connection on which something is about to arrive. */
static void conn_struck(struct net *net, struct conn *c)
{
    struct world *w = net->world;
    if (c->dialer->kind == NET_LOCAL) {
        if (world_strikes(w, FAULT_LOCAL_BREAK))
            conn_breaks(net, c);
        return;
    }
    if (world_strikes(w, FAULT_STALL)) {
        struct end *e = &c->end[rnd_below(&w->rnd, 2)];
        e->last_ms = MAX(e->last_ms, w->now_ms + world_about_ms(w, 8000));
    }
    if (world_strikes(w, FAULT_BREAK))
        conn_breaks(net, c);
    if (world_strikes(w, FAULT_PARTITION)) {
        c->dialer->blocked_until_ms = w->now_ms + world_about_ms(w, 20000);
        conn_breaks(net, c);
    }
}

static void feed_opened(struct conn *c, int to)
{
    struct end *e = &c->end[to];
    const struct node *peer = c->end[!to].node;
    e->state = END_OPEN;
    if (to == 0)
        c->dialer->backoff_ms = BACKOFF_MIN_MS;
    world_tell(e->node->world, "%s(%u) <=> %s", e->node->name, e->number, peer->name);
    node_feed(e->node, &(struct event){.kind = EVENT_OPENED,
                           .conn = e->number,
                           .opened = {.role = peer->role, .site = peer->site}});
}

static void feed_frame(struct conn *c, int to, struct entry *entry)
{
    struct end *e = &c->end[to];
    struct world *w = e->node->world;
    const struct exchange *x = c->dialer->exchange;
    if (e->state != END_OPEN || e->closing)
        return;
    if (entry->len > e->limit) {
        world_violation(w, "%s gets a %s of %zu bytes, above its limit of %zu", e->node->name,
            net_type_name(x, entry->type), entry->len, e->limit);
        return;
    }
    const struct message m = {c->end[!to].node, e->node, x, entry->type, entry->body, entry->len};
    narrate_message(w, &m, "->");
    if (w->watcher.delivered)
        w->watcher.delivered(w->watcher.arg, &m);
    node_feed(e->node, &(struct event){.kind = EVENT_FRAME,
                           .conn = e->number,
                           .frame = {.type = entry->type, .body = entry->body, .len = entry->len}});
}

static void feed_closed(struct conn *c, int to)
{
    struct end *e = &c->end[to];
    if (e->state == END_CLOSED)
        return;
    bool was_open = e->state == END_OPEN;
    e->state = END_CLOSED;
    struct dialer *d = c->dialer;
    if (to == 0 && d->conn == c) {
        d->conn = NULL;
        dial_later(d, d->backoff_ms / 2 + rnd_below(&e->node->world->rnd, d->backoff_ms));
    }
    if (was_open)
        node_feed(e->node, &(struct event){.kind = EVENT_CLOSED, .conn = e->number});
}

static void feed(struct conn *c, int to, struct entry *entry)
{
    switch (entry->kind) {
    case ENTRY_OPENED:
        feed_opened(c, to);
        break;
    case ENTRY_FRAME:
        feed_frame(c, to, entry);
        break;
    case ENTRY_CLOSED:
        feed_closed(c, to);
        break;
    }
}

static void deliver(struct world *w, void *arg, uint64_t to, uint64_t unused)
{
    struct conn *c = arg;
    struct end *e = &c->end[to];
    c->tokens--;
    if (!end_is_alive(e)) {
        end_lose(w->net, e, 0);
        sweep(w->net);
        return;
    }
    if (node_is_paused(e->node)) {
        c->tokens++;
        world_at(w, e->node->paused_until_ms, deliver, c, to, 0);
        return;
    }
    if (!e->first || e->first->at_ms > w->now_ms)
        return; /* the token of something lost */
    conn_struck(w->net, c);
    if (!e->first || e->first->at_ms > w->now_ms)
        return;
    struct entry *entry = end_pop(e);
    c->tokens++; /* keeps the connection while the core looks at it */
    feed(c, (int)to, entry);
    c->tokens--;
    entry_free(entry);
    sweep(w->net);
}

/* ---- effects ---- */

static struct conn *find(struct net *net, const struct node *n, uint32_t number, int *end)
{
    for (struct conn *c = net->conns; c; c = c->next)
        for (*end = 0; *end < 2; ++*end)
            if (c->end[*end].node == n && c->end[*end].boots == n->boots &&
                c->end[*end].number == number)
                return c;
    return NULL;
}

/* The connection, or NULL if it is over; a number that never was is a violation. */
static struct conn *find_live(struct net *net, struct node *n, uint32_t number, int *end)
{
    struct conn *c = find(net, n, number, end);
    if (!c && (number == 0 || number >= n->next_conn))
        world_violation(net->world, "%s uses connection %u, which never was", n->name, number);
    return c && c->end[*end].state == END_OPEN && !c->end[*end].closing ? c : NULL;
}

void net_send(struct net *net, struct node *from, uint32_t conn, uint16_t type, const uint8_t *body,
    size_t len)
{
    int end;
    struct conn *c = find_live(net, from, conn, &end);
    if (!c)
        return;
    struct world *w = net->world;
    const struct message m = {from, c->end[!end].node, c->dialer->exchange, type, body, len};
    if (w->watcher.sent)
        w->watcher.sent(w->watcher.arg, &m);
    if (c->broken) {
        world_struck(w, FAULT_LOSS);
        return;
    }
    end_push(c, !end, entry_new(ENTRY_FRAME, type, body, len),
        w->now_ms + flight_ms(net, c->dialer->kind));
}

void net_close(struct net *net, struct node *n, uint32_t conn)
{
    int end;
    struct conn *c = find_live(net, n, conn, &end);
    if (!c)
        return;
    c->end[end].closing = true;
    end_lose(net, &c->end[end], 0);
    end_push(c, end, entry_new(ENTRY_CLOSED, 0, NULL, 0), net->world->now_ms);
    if (c->broken)
        return;
    c->broken = true;
    if (end_is_alive(&c->end[!end]))
        end_push(c, !end, entry_new(ENTRY_CLOSED, 0, NULL, 0),
            net->world->now_ms + flight_ms(net, c->dialer->kind));
}

void net_limit(struct net *net, struct node *n, uint32_t conn, size_t limit)
{
    int end;
    struct conn *c = find_live(net, n, conn, &end);
    if (c)
        c->end[end].limit = limit;
}

/* ---- healing, tests, names ---- */

void net_heal(struct net *net)
{
    for (struct dialer *d = net->dialers; d; d = d->next)
        d->blocked_until_ms = 0;
}

void net_break(struct net *net, const struct node *a, const struct node *b)
{
    for (struct conn *c = net->conns; c; c = c->next)
        if ((c->end[0].node == a && c->end[1].node == b) ||
            (c->end[0].node == b && c->end[1].node == a))
            conn_breaks(net, c);
}

static bool is_connected(const struct conn *c)
{
    return c && !c->broken && c->end[0].state == END_OPEN && c->end[1].state == END_OPEN &&
           end_is_alive(&c->end[0]) && end_is_alive(&c->end[1]);
}

const char *net_who_is_cut_off(const struct net *net)
{
    for (const struct dialer *d = net->dialers; d; d = d->next)
        if (!is_connected(d->conn))
            return d->from->name;
    return NULL;
}

const char *net_type_name(const struct exchange *exchange, uint16_t type)
{
    if (type == LINK_PING || type == LINK_PONG)
        return type == LINK_PING ? "PING" : "PONG";
    for (size_t i = 0; i < exchange->n; i++)
        if (exchange->rules[i].type == type)
            return exchange->rules[i].descriptor->short_name;
    return "?";
}

struct net *net_new(struct world *w)
{
    struct net *net = need(calloc(1, sizeof(*net)));
    net->world = w;
    return net;
}

void net_free(struct net *net)
{
    while (net->conns) {
        struct conn *c = net->conns;
        net->conns = c->next;
        conn_free(c);
    }
    while (net->dialers) {
        struct dialer *d = net->dialers;
        net->dialers = d->next;
        free(d);
    }
    free(net);
}
