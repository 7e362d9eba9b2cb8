/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/world.h"

#include "common/util.h"
#include "tests/sim/need.h"
#include "tests/sim/net.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define STEPS_IN_ONE_MS_MAX 100000 /* more means that a core spins */

/* Something to come. */
struct item {
    uint64_t at_ms;
    uint64_t number; /* among equals the older first */
    world_fire *fire;
    void *arg;
    uint64_t a, b;
};

/* A job that a core has handed to a worker thread. */
struct running {
    struct running *next;
    struct node *node;
    uint32_t boots;
    struct job *job; /* owned; NULL once returned */
};

/* ---- the queue ---- */

static bool sooner(const struct item *x, const struct item *y)
{
    return x->at_ms != y->at_ms ? x->at_ms < y->at_ms : x->number < y->number;
}

static void swap(struct item *x, struct item *y)
{
    struct item z = *x;
    *x = *y;
    *y = z;
}

void world_at(struct world *w, uint64_t at_ms, world_fire *fire, void *arg, uint64_t a, uint64_t b)
{
    if (w->n_items == w->cap_items) {
        w->cap_items = w->cap_items ? 2 * w->cap_items : 256;
        w->heap = need(reallocarray(w->heap, w->cap_items, sizeof(*w->heap)));
    }
    size_t i = w->n_items++;
    w->heap[i] = (struct item){MAX(at_ms, w->now_ms), w->next_item++, fire, arg, a, b};
    for (; i > 0 && sooner(&w->heap[i], &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&w->heap[i], &w->heap[(i - 1) / 2]);
}

static struct item take_next(struct world *w)
{
    struct item first = w->heap[0];
    w->heap[0] = w->heap[--w->n_items];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < w->n_items; child++)
            if (sooner(&w->heap[child], &w->heap[least]))
                least = child;
        if (least == i)
            return first;
        swap(&w->heap[i], &w->heap[least]);
        i = least;
    }
}

/* ---- chance, trace, story ---- */

void world_struck(struct world *w, enum fault fault)
{
    w->struck[fault]++;
    if (fault != FAULT_LOSS && fault != FAULT_DELAY)
        world_tell(w, "** %s", fault_name(fault));
}

bool world_threatens(struct world *w, enum fault fault)
{
    double chance = w->weather.chance[fault];
    return chance > 0 && rnd_chance(&w->rnd, chance);
}

bool world_strikes(struct world *w, enum fault fault)
{
    bool strikes = world_threatens(w, fault);
    if (strikes)
        world_struck(w, fault);
    return strikes;
}

uint64_t world_about_ms(struct world *w, double mean_ms)
{
    double draw = -log(1 - rnd_uniform(&w->rnd));
    return (uint64_t)(mean_ms * MIN(draw, 10.0));
}

void world_mix(struct world *w, uint64_t v)
{
    uint64_t h = (w->trace ^ v) * 0x9fb21c651e98df25;
    w->trace = h ^ h >> 32;
}

void world_mix_bytes(struct world *w, const void *data, size_t len)
{
    const uint8_t *p = data;
    world_mix(w, len);
    for (; len >= 8; p += 8, len -= 8)
        world_mix(w, get_u64le(p));
    uint8_t rest[8] = {0};
    if (len > 0)
        memcpy(rest, p, len);
    world_mix(w, get_u64le(rest));
}

void world_tell(struct world *w, const char *format, ...)
{
    if (!w->story)
        return;
    fprintf(w->story, "%8" PRIu64 ".%03u  ", w->now_ms / 1000, (unsigned)(w->now_ms % 1000));
    va_list args;
    va_start(args, format);
    vfprintf(w->story, format, args);
    va_end(args);
    fputc('\n', w->story);
}

void world_violation(struct world *w, const char *format, ...)
{
    if (w->violation)
        return;
    va_list args;
    va_start(args, format);
    if (vasprintf(&w->violation, format, args) < 0)
        abort();
    va_end(args);
    world_tell(w, "VIOLATION: %s", w->violation);
}

/* ---- life and death of a node ---- */

static void node_boot(struct world *w, void *arg, uint64_t a, uint64_t b);

static void node_boot_later(struct node *n, uint64_t delay_ms)
{
    if (n->restarting || n->never_again)
        return;
    n->restarting = true;
    world_at(n->world, n->world->now_ms + delay_ms, node_boot, n, 0, 0);
}

static bool node_is_cut(const struct node *n)
{
    return n->ops->is_cut && n->ops->is_cut(n);
}

/* Its storage has given it a reason to fail. */
static bool node_may_fail(const struct node *n)
{
    return node_is_cut(n) || (n->ops->has_failed && n->ops->has_failed(n));
}

static void count_storage_fault(struct node *n)
{
    if (node_may_fail(n))
        world_struck(n->world, node_is_cut(n) ? FAULT_CUT_AT_WRITE : FAULT_DISK_ERROR);
}

/* Sometimes the power goes while the node starts. */
static void node_arm(struct node *n)
{
    struct world *w = n->world;
    if (n->ops->cut_at && world_threatens(w, FAULT_CUT_AT_WRITE))
        n->ops->cut_at(n, rnd_between(&w->rnd, 1, 12));
    if (n->ops->fail_at && world_threatens(w, FAULT_DISK_ERROR)) {
        int error = rnd_chance(&w->rnd, 0.5) ? -EIO : -ENOSPC;
        n->ops->fail_at(n, rnd_between(&w->rnd, 1, 12), error);
    }
}

static void node_boot(struct world *w, void *arg, uint64_t a, uint64_t b)
{
    struct node *n = arg;
    n->restarting = false;
    if (n->up || n->never_again)
        return;
    n->boots++;
    n->next_conn = 1;
    n->paused_until_ms = 0;
    n->is_full = false;
    world_mix(w, n->index << 8 | 1);
    if (n->boots > 1)
        node_arm(n);
    int r = n->ops->boot(n);
    world_tell(w, "%s starts%s", n->name, r < 0 ? ": no" : "");
    if (r < 0) {
        if (!node_may_fail(n))
            world_violation(w, "%s does not start: %s", n->name, strerror(-r));
        count_storage_fault(n);
        n->ops->halt(n, DEATH_POWER);
        node_boot_later(n, world_about_ms(w, w->weather.down_ms));
        return;
    }
    n->up = true;
    n->deadline_ms = n->ops->deadline_ms(n);
    net_node_up(w->net, n);
}

void node_die(struct node *n, enum death death)
{
    struct world *w = n->world;
    if (!n->up)
        return;
    world_tell(w, "%s dies%s", n->name, death == DEATH_POWER ? " (power)" : "");
    world_mix(w, n->index << 8 | 2);
    n->up = false;
    n->deadline_ms = NEVER_MS;
    n->ops->halt(n, death);
    net_node_down(w->net, n, death);
    node_boot_later(n, 1 + world_about_ms(w, w->weather.down_ms));
}

static void site_dies(struct world *w, const char *site)
{
    for (size_t i = 0; i < w->n_nodes; i++)
        if (strcmp(w->nodes[i]->site, site) == 0)
            node_die(w->nodes[i], DEATH_POWER);
}

bool node_is_paused(const struct node *n)
{
    return n->paused_until_ms > n->world->now_ms;
}

/* What the weather does to a process that is about to get an event. True: it is dead. */
static bool node_struck(struct node *n)
{
    struct world *w = n->world;
    if (world_strikes(w, FAULT_SITE_DOWN))
        site_dies(w, n->site);
    else if (world_strikes(w, FAULT_POWER_CUT))
        node_die(n, DEATH_POWER);
    else if (world_strikes(w, FAULT_KILL))
        node_die(n, DEATH_KILLED);
    if (!n->up)
        return true;
    node_arm(n);
    if (world_strikes(w, FAULT_PAUSE))
        n->paused_until_ms = w->now_ms + world_about_ms(w, 3000);
    return false;
}

/* ---- jobs ---- */

static void job_returns(struct world *w, void *arg, uint64_t a, uint64_t b)
{
    struct running *r = arg;
    if (r->node->up && r->node->boots == r->boots && node_is_paused(r->node)) {
        world_at(w, r->node->paused_until_ms, job_returns, r, 0, 0);
        return;
    }
    for (struct running **p = &w->running; *p; p = &(*p)->next)
        if (*p == r) {
            *p = r->next;
            break;
        }
    if (r->node->up && r->node->boots == r->boots)
        node_feed(r->node, &(struct event){.kind = EVENT_JOB, .job = steal(&r->job)});
    if (r->job)
        r->job->free(r->job);
    free(r);
}

static void node_starts_job(struct node *n, struct job *job)
{
    struct world *w = n->world;
    struct running *r = need(calloc(1, sizeof(*r)));
    *r = (struct running){w->running, n, n->boots, job};
    w->running = r;
    job->run(job);
    uint64_t takes_ms = rnd_below(&w->rnd, 3);
    if (n->role == ROLE_CLIENT)
        takes_ms = 1 + world_about_ms(w, w->weather.training_ms);
    if (n->role == ROLE_CLIENT && world_strikes(w, FAULT_SLOW_TRAINING))
        takes_ms += world_about_ms(w, 30000);
    world_at(w, w->now_ms + takes_ms, job_returns, r, 0, 0);
}

/* ---- steps ---- */

static void node_send(struct node *n, struct effect *e)
{
    net_send(n->world->net, n, e->conn, e->type, e->body->data, e->body->len);
}

static void node_notes(struct node *n, const char *text)
{
    struct world *w = n->world;
    world_tell(w, "%s: %s", n->name, text);
    if (w->watcher.note)
        w->watcher.note(w->watcher.arg, n, text);
}

static void node_stops(struct node *n, const struct effect *e)
{
    node_notes(n, e->text);
    n->stop_code = e->code;
    node_die(n, DEATH_KILLED);
}

static void node_does(struct node *n, struct effect *e)
{
    struct world *w = n->world;
    world_mix(w, (uint64_t)e->kind << 48 | (uint64_t)e->type << 32 | e->conn);
    switch (e->kind) {
    case EFFECT_SEND:
        node_send(n, e);
        break;
    case EFFECT_CLOSE:
        world_tell(w, "%s closes %u: %s", n->name, e->conn, e->text);
        net_close(w->net, n, e->conn);
        break;
    case EFFECT_LIMIT:
        net_limit(w->net, n, e->conn, e->limit);
        break;
    case EFFECT_JOB:
        node_starts_job(n, steal(&e->job));
        break;
    case EFFECT_NOTE:
        node_notes(n, e->text);
        break;
    case EFFECT_STOP:
        node_stops(n, e);
        break;
    }
}

/* Carries out the effects in order; a process killed midway has done only the first of them. */
static void node_acts(struct node *n, struct update *u)
{
    size_t until = u->n;
    bool killed = u->n > 0 && world_strikes(n->world, FAULT_KILL_MIDWAY);
    if (killed)
        until = rnd_below(&n->world->rnd, u->n + 1);
    for (size_t i = 0; i < until && n->up; i++)
        node_does(n, &u->effects[i]);
    if (killed)
        node_die(n, rnd_chance(&n->world->rnd, 0.5) ? DEATH_KILLED : DEATH_POWER);
}

static void mix_event(struct world *w, const struct node *n, const struct event *e)
{
    world_mix(w, w->now_ms);
    world_mix(w, (uint64_t)n->index << 40 | (uint64_t)e->kind << 32 | e->conn);
    if (e->kind != EVENT_FRAME)
        return;
    world_mix(w, e->frame.type);
    world_mix_bytes(w, e->frame.body, e->frame.len);
}

static void node_fails(struct node *n, int error)
{
    if (!node_may_fail(n))
        world_violation(n->world, "%s fails: %s", n->name, strerror(-error));
    count_storage_fault(n);
    node_die(n, node_is_cut(n) ? DEATH_POWER : DEATH_KILLED);
}

/* An operator has made room on the disk. */
static void operator_restarts(struct world *w, void *arg, uint64_t boots, uint64_t unused)
{
    struct node *n = arg;
    if (n->up && n->boots == boots)
        node_die(n, DEATH_KILLED);
}

/* Its storage has failed and the core wants to go on. */
static void node_goes_on(struct node *n)
{
    struct world *w = n->world;
    if (!n->outlives_full || node_is_cut(n))
        world_violation(w, "%s goes on after its storage has failed", n->name);
    if (n->is_full || w->violation)
        return;
    count_storage_fault(n);
    world_at(w, w->now_ms + world_about_ms(w, 10000), operator_restarts, n, n->boots, 0);
    n->is_full = true;
}

void node_feed(struct node *n, struct event *event)
{
    struct world *w = n->world;
    bool dead = node_struck(n);
    if (dead && event->kind == EVENT_JOB)
        event->job->free(event->job);
    if (dead)
        return;
    event->now_ms = w->now_ms;
    mix_event(w, n, event);
    struct update u = {0};
    int r = n->ops->step(n, event, &u);
    if (r >= 0 && node_may_fail(n))
        node_goes_on(n);
    if (r < 0) {
        node_fails(n, r);
    } else {
        node_acts(n, &u);
        if (n->up)
            n->deadline_ms = n->ops->deadline_ms(n);
        n->late_ms = rnd_below(&w->rnd, 3);
    }
    update_deinit(&u);
    if (n->up && w->watcher.stepped)
        w->watcher.stepped(w->watcher.arg, n);
}

/* ---- time ---- */

static uint64_t node_due_ms(const struct node *n)
{
    if (!n->up || n->deadline_ms == NEVER_MS)
        return NEVER_MS;
    return MAX(n->deadline_ms + n->late_ms, n->paused_until_ms);
}

static struct node *next_due(const struct world *w, uint64_t *due_ms)
{
    struct node *next = NULL;
    *due_ms = NEVER_MS;
    for (size_t i = 0; i < w->n_nodes; i++) {
        uint64_t ms = node_due_ms(w->nodes[i]);
        if (ms < *due_ms) {
            *due_ms = ms;
            next = w->nodes[i];
        }
    }
    return next;
}

static void time_becomes(struct world *w, uint64_t now_ms)
{
    if (now_ms > w->now_ms)
        w->steps_in_this_ms = 0;
    w->now_ms = MAX(w->now_ms, now_ms);
    w->steps++;
    if (++w->steps_in_this_ms > STEPS_IN_ONE_MS_MAX)
        world_violation(w, "time stands still: a core spins");
}

bool world_step(struct world *w)
{
    if (w->violation)
        return false;
    uint64_t due_ms;
    struct node *due = next_due(w, &due_ms);
    if (!due && w->n_items == 0)
        return false;
    if (w->n_items > 0 && w->heap[0].at_ms <= due_ms) {
        struct item next = take_next(w);
        time_becomes(w, next.at_ms);
        next.fire(w, next.arg, next.a, next.b);
    } else {
        time_becomes(w, due_ms);
        node_feed(due, &(struct event){.kind = EVENT_TICK});
    }
    return !w->violation;
}

bool world_run(struct world *w, uint64_t until_ms, bool (*done)(void *arg), void *arg)
{
    while (w->now_ms < until_ms) {
        if (done && done(arg))
            return true;
        if (!world_step(w))
            break;
    }
    return false;
}

void world_heal(struct world *w)
{
    world_tell(w, "** the weather becomes calm");
    w->weather = weather_calm();
    for (size_t i = 0; i < w->n_nodes; i++) {
        struct node *n = w->nodes[i];
        n->paused_until_ms = 0;
        if (n->ops->cut_at)
            n->ops->cut_at(n, 0);
        if (n->ops->fail_at)
            n->ops->fail_at(n, 0, 0);
    }
    net_heal(w->net);
}

/* ---- beginning and end ---- */

struct world *world_new(uint64_t seed)
{
    struct world *w = need(calloc(1, sizeof(*w)));
    w->now_ms = 1000; /* monotonic clocks do not begin at 0 */
    w->weather = weather_calm();
    rnd_init(&w->rnd, seed);
    w->net = net_new(w);
    return w;
}

void world_add(struct world *w, struct node *n)
{
    w->nodes = need(reallocarray(w->nodes, w->n_nodes + 1, sizeof(*w->nodes)));
    n->world = w;
    n->index = (uint32_t)w->n_nodes;
    n->deadline_ms = NEVER_MS;
    w->nodes[w->n_nodes++] = n;
    node_boot(w, n, 0, 0);
}

void world_free(struct world *w)
{
    if (!w)
        return;
    while (w->running) {
        struct running *r = w->running;
        w->running = r->next;
        r->job->free(r->job);
        free(r);
    }
    for (size_t i = 0; i < w->n_nodes; i++) {
        if (w->nodes[i]->up)
            w->nodes[i]->ops->halt(w->nodes[i], DEATH_KILLED);
        w->nodes[i]->ops->free(w->nodes[i]);
    }
    net_free(w->net);
    free(w->nodes);
    free(w->heap);
    free(w->violation);
    free(w);
}
