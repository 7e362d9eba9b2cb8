/* SPDX-License-Identifier: Apache-2.0 */
/* The world itself, with trivial cores: a counter at one end, what it is told at the other. */
#include "tests/sim/net.h"
#include "tests/sim/need.h"
#include "tests/sim/world.h"

#include "common/util.h"
#include "proto/ctl.h"
#include "proto/link.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Sends 1, 2, 3, ... on its connection, one every 10 ms; or checks what it gets. */
struct counter {
    struct node node;
    bool sends;
    uint32_t conn;
    uint64_t next_ms;
    uint32_t sent;
    uint32_t heard; /* last number on the present connections */
    uint32_t total; /* numbers heard */
    uint32_t opened, closed;
    uint32_t last[64]; /* by connection, to see that order holds within each */
};

static struct counter *of(const struct node *n)
{
    return (struct counter *)n;
}

static int counter_boot(struct node *n)
{
    of(n)->conn = 0;
    of(n)->next_ms = NEVER_MS;
    memset(of(n)->last, 0, sizeof(of(n)->last));
    return 0;
}

static void counter_halt(struct node *n, enum death death)
{
}

static uint64_t counter_deadline(const struct node *n)
{
    return of(n)->next_ms;
}

static int counter_hears(struct counter *c, const struct event *e)
{
    uint32_t value = get_u32le(e->frame.body);
    uint32_t *last = &c->last[e->conn % ARRAY_SIZE(c->last)];
    if (value <= *last)
        world_violation(c->node.world, "%u after %u on one connection", value, *last);
    *last = value;
    c->heard = value;
    c->total++;
    return 0;
}

static int counter_step(struct node *n, const struct event *e, struct update *u)
{
    struct counter *c = of(n);
    if (e->kind == EVENT_OPENED) {
        c->opened++;
        c->conn = e->conn;
        c->next_ms = c->sends ? e->now_ms : NEVER_MS;
    }
    if (e->kind == EVENT_CLOSED) {
        c->closed++;
        c->next_ms = NEVER_MS;
    }
    if (e->kind == EVENT_FRAME)
        return counter_hears(c, e);
    if (e->kind != EVENT_TICK || e->now_ms < c->next_ms)
        return 0;
    c->next_ms = e->now_ms + 10;
    struct blob *body = need(blob_new(4));
    put_u32le(body->data, ++c->sent);
    return update_send(u, c->conn, CTL_REQUEST, body);
}

static void counter_free(struct node *n)
{
    free(n);
}

static const struct node_ops counter_ops = {
    .boot = counter_boot,
    .halt = counter_halt,
    .step = counter_step,
    .deadline_ms = counter_deadline,
    .free = counter_free,
};

static struct counter *counter_new(struct world *w, const char *name, bool sends)
{
    struct counter *c = need(calloc(1, sizeof(*c)));
    *c = (struct counter){
        .node = {.ops = &counter_ops, .site = name, .role = ROLE_CTL}, .sends = sends};
    snprintf(c->node.name, sizeof(c->node.name), "%s", name);
    world_add(w, &c->node);
    return c;
}

struct pair {
    struct world *world;
    struct counter *from, *to;
};

static struct pair pair_new(uint64_t seed)
{
    struct pair p = {.world = world_new(seed)};
    p.from = counter_new(p.world, "from", true);
    p.to = counter_new(p.world, "to", false);
    net_dial(p.world->net, &p.from->node, &p.to->node, NET_WAN, &ctl_exchange);
    return p;
}

static void calm_weather_delivers_everything_in_order(void **state)
{
    struct pair p = pair_new(1);
    world_run(p.world, 11000, NULL, NULL);
    assert_null(p.world->violation);
    assert_int_equal(p.from->opened, 1);
    assert_true(p.to->total > 700);
    assert_true(p.from->sent - p.to->total < 10); /* only what is in flight is missing */
    world_free(p.world);
}

static void breaks_lose_a_suffix_and_the_dialer_comes_back(void **state)
{
    struct pair p = pair_new(2);
    p.world->weather.chance[FAULT_BREAK] = 0.01;
    p.world->weather.latency_ms = 30;
    world_run(p.world, 101000, NULL, NULL);
    assert_null(p.world->violation);
    assert_true(p.from->opened > 5);
    assert_true(p.world->struck[FAULT_LOSS] > 5);
    assert_true(p.to->total > 1000 && p.to->total < p.from->sent);
    world_free(p.world);
}

static void the_dead_come_back_with_new_connections(void **state)
{
    struct pair p = pair_new(3);
    p.world->weather.chance[FAULT_KILL] = 0.002;
    p.world->weather.chance[FAULT_KILL_MIDWAY] = 0.002;
    p.world->weather.chance[FAULT_PAUSE] = 0.002;
    world_run(p.world, 101000, NULL, NULL);
    assert_null(p.world->violation);
    assert_true(p.from->node.boots > 2 && p.to->node.boots > 2);
    world_heal(p.world);
    uint32_t before = p.to->total;
    world_run(p.world, p.world->now_ms + 20000, NULL, NULL);
    assert_true(p.to->total > before);
    world_free(p.world);
}

static uint64_t trace_of(uint64_t seed)
{
    struct pair p = pair_new(seed);
    struct rnd r;
    rnd_init(&r, seed);
    p.world->weather = weather_draw(&r);
    world_run(p.world, 61000, NULL, NULL);
    assert_null(p.world->violation);
    uint64_t trace = p.world->trace;
    world_free(p.world);
    return trace;
}

static void the_same_seed_gives_the_same_trace(void **state)
{
    for (uint64_t seed = 0; seed < 20; seed++)
        assert_true(trace_of(seed) == trace_of(seed));
    assert_true(trace_of(1) != trace_of(2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calm_weather_delivers_everything_in_order),
        cmocka_unit_test(breaks_lose_a_suffix_and_the_dialer_comes_back),
        cmocka_unit_test(the_dead_come_back_with_new_connections),
        cmocka_unit_test(the_same_seed_gives_the_same_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
