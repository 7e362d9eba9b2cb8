/* SPDX-License-Identifier: Apache-2.0 */
/* When which link acquires a block, and what comes out of it. */
#include "keypool/qkd/simulator_internal.h"

#include "common/util.h"
#include "keypool/qkd/sim_level_rate.h"

#include <math.h>

#define STEP_WORK 50000 /* events drawn and told in one step: a whole chunk is more */

static bool has_raw_clicks(const struct simulator *s)
{
    return s->level->ops->begin != NULL;
}

/* ---- grants ------------------------------------------------------------------------------- */

static bool both_granted(const struct sim_link *l)
{
    return l->grants[0].n > 0 && l->grants[1].n > 0;
}

static void take_grant(struct sim_grants *g)
{
    g->n--;
    memmove(g->max_bytes, g->max_bytes + 1, g->n * sizeof(g->max_bytes[0]));
}

/* The oldest grant of each end is used up. */
static void take_grants(struct sim_link *l)
{
    take_grant(&l->grants[0]);
    take_grant(&l->grants[1]);
}

/* 0 means no limit. */
static uint64_t smaller_room(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return MAX(a, b);
    return MIN(a, b);
}

static struct sim_request request(struct simulator *s, const struct sim_link *l, uint64_t prefill)
{
    struct sim_request q = {.link = l, .number = s->number++};
    q.prefill_bytes = prefill;
    q.seconds = prefill ? 0 : s->config.block_s;
    q.pulses = q.seconds * s->config.clock_hz;
    q.max_bytes = smaller_room(l->grants[0].max_bytes[0], l->grants[1].max_bytes[0]);
    return q;
}

/* ---- begin and end ------------------------------------------------------------------------ */

static double block_ms(const struct simulator *s, const struct sim_link *l)
{
    bool is_free = l->blocks + l->empty_blocks + l->off_blocks < s->config.full_speed_blocks;
    return s->config.speedup > 0 && !is_free ? 1000 * s->config.block_s / s->config.speedup : 0;
}

static int begin_raw(struct simulator *s, struct sim_link *l, struct update *u)
{
    struct sim_request q = request(s, l, 0);
    take_grants(l);
    return s->level->ops->begin(s->level, &q, u, &l->block);
}

static int acquire(struct simulator *s, struct sim_link *l, double from_ms, struct update *u)
{
    l->acquiring = true;
    l->running = l->attack;
    l->begun_ms = from_ms;
    l->due_ms = from_ms + block_ms(s, l);
    s->next_due_ms = 0; /* looked at when this step ends */
    s->turn = l;
    return has_raw_clicks(s) ? begin_raw(s, l, u) : 0;
}

static void stop(struct simulator *s, struct sim_link *l)
{
    l->acquiring = false;
    sim_block_free(steal(&l->block));
    if (s->turn == l)
        s->turn = NULL;
}

static bool may_acquire(const struct simulator *s, const struct sim_link *l)
{
    return !l->acquiring && both_granted(l) && (s->config.schedule == SIM_PARALLEL || !s->turn);
}

/* Round robin: the next link in turn that both its users want. */
static int pass_the_turn(struct simulator *s, double from_ms, struct update *u)
{
    size_t n = sim_topology_links(s->topology);
    for (size_t i = 0; i < n; i++) {
        size_t at = (s->next_turn + i) % n;
        struct sim_link *l = sim_topology_link(s->topology, at);
        if (!may_acquire(s, l))
            continue;
        s->next_turn = (at + 1) % n;
        return acquire(s, l, from_ms, u);
    }
    return 0;
}

/* This link has just stopped; NULL: some have. */
static int go_on(struct simulator *s, struct sim_link *l, double from_ms, struct update *u)
{
    if (s->config.schedule == SIM_ROUND_ROBIN)
        return s->turn ? 0 : pass_the_turn(s, from_ms, u);
    return l && may_acquire(s, l) ? acquire(s, l, from_ms, u) : 0;
}

/* ---- finished key ------------------------------------------------------------------------- */

static int make(struct simulator *s, struct sim_link *l, uint64_t prefill, struct sim_made *made,
    struct update *u)
{
    struct sim_request q = request(s, l, prefill);
    int r = s->level->ops->make(s->level, &q, u, made);
    if (r < 0 || made->key_bytes == 0)
        return r;
    take_grants(l);
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

/* A link that goes on at once loses no time between two blocks. */
static int run_finished(struct simulator *s, struct sim_link *l, struct update *u)
{
    int r = 0;
    for (int i = 0; r == 0 && l->acquiring && l->due_ms <= (double)s->now_ms && i < SIM_GRANTS_MAX;
         i++) {
        stop(s, l);
        r = complete(s, l, u);
        if (r == 0)
            r = go_on(s, l, l->due_ms, u);
    }
    return r;
}

/* ---- raw clicks --------------------------------------------------------------------------- */

/* When enough light has passed for what the block tells next; INFINITY if an end has no credit. */
static double raw_due_ms(const struct sim_link *l)
{
    if (!sim_block_can_go_on(l->block))
        return INFINITY;
    return l->begun_ms + (l->due_ms - l->begun_ms) * sim_block_next(l->block);
}

static int complete_raw(struct simulator *s, struct sim_link *l, struct update *u)
{
    l->drawn = sim_block_counts(l->block);
    l->blocks++;
    l->events += (uint64_t)l->drawn.n;
    l->last_qber = l->drawn.n_x > 0 ? l->drawn.m_x / l->drawn.n_x : 0;
    stop(s, l);
    /* An end that took its time does not make the link owe more than a block. */
    return go_on(s, l, MAX(l->due_ms, (double)s->now_ms - block_ms(s, l)), u);
}

static int run_raw(struct simulator *s, struct sim_link *l, struct update *u, uint64_t *work)
{
    int r = 0;
    while (r == 0 && *work < STEP_WORK && l->acquiring && raw_due_ms(l) <= (double)s->now_ms) {
        r = sim_block_go_on(l->block, s->chunk, u, work);
        if (r == 0 && sim_block_is_complete(l->block))
            r = complete_raw(s, l, u);
    }
    return r;
}

int simulator_call_off(
    struct simulator *s, struct sim_link *l, unsigned ends, const char *reason, struct update *u)
{
    int r = l->block ? sim_block_call_off(l->block, ends, reason, u) : 0;
    if (l->block)
        l->off_blocks++;
    stop(s, l);
    return r;
}

int simulator_resume(struct simulator *s, struct sim_link *l, struct update *u)
{
    return go_on(s, l, (double)s->now_ms, u);
}

/* ---- time --------------------------------------------------------------------------------- */

static double due_ms(const struct sim_link *l)
{
    if (!l->acquiring)
        return INFINITY;
    return l->block ? raw_due_ms(l) : l->due_ms;
}

static int run_link(struct simulator *s, struct sim_link *l, struct update *u, uint64_t *work)
{
    return l->block ? run_raw(s, l, u, work) : run_finished(s, l, u);
}

/* Links take turns in being the first to be looked at: none waits while others are served. */
static int run_due(struct simulator *s, struct update *u)
{
    size_t n = sim_topology_links(s->topology);
    size_t first = s->first_link;
    uint64_t work = 0;
    double next = INFINITY;
    for (size_t i = 0; i < n && work < STEP_WORK; i++) {
        int r = run_link(s, sim_topology_link(s->topology, (first + i) % n), u, &work);
        if (r < 0)
            return r;
        s->first_link = (first + i + 1) % n;
    }
    for (size_t i = 0; i < n; i++)
        next = MIN(next, due_ms(sim_topology_link(s->topology, i)));
    s->next_due_ms = isfinite(next) ? (uint64_t)ceil(MAX(next, 0)) : NEVER_MS;
    return 0;
}

int simulator_run(struct simulator *s, struct update *u)
{
    return s->now_ms >= s->next_due_ms ? run_due(s, u) : 0;
}

int simulator_granted(struct simulator *s, struct sim_link *l, struct update *u)
{
    int r = has_raw_clicks(s) ? 0 : deliver_prefill(s, l, u);
    return r == 0 && may_acquire(s, l) ? acquire(s, l, (double)s->now_ms, u) : r;
}

void simulator_look_again(struct simulator *s)
{
    s->next_due_ms = 0;
}

/* What has passed has passed; the rest at the new speed. */
void simulator_replan(struct simulator *s)
{
    simulator_look_again(s);
    for (size_t i = 0; i < sim_topology_links(s->topology); i++) {
        struct sim_link *l = sim_topology_link(s->topology, i);
        double lasts = l->due_ms - l->begun_ms;
        if (!l->acquiring || !(lasts > 0))
            continue;
        double passed = fmin(1, ((double)s->now_ms - l->begun_ms) / lasts);
        l->begun_ms = (double)s->now_ms - passed * block_ms(s, l);
        l->due_ms = l->begun_ms + block_ms(s, l);
    }
}

void simulator_forget_turns(struct simulator *s)
{
    s->turn = NULL;
    s->next_turn = 0;
    s->first_link = 0;
}
