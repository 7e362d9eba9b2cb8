/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/sim_level_raw.h"

#include "common/secret.h"
#include "common/util.h"
#include "keypool/qkd/sim_seed.h"

#include <errno.h>

struct sim_level_raw {
    struct sim_level level; /* first */
    uint8_t seed[RNG_SEED_BYTES];
    struct sim_draw *(*draw_new)(const struct link_params *p, const struct eve *eve,
        uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES]);
};

static struct sim_draw *begin_draw(const struct sim_level_raw *l, const struct sim_request *q)
{
    uint8_t seed[RNG_SEED_BYTES];
    sim_seed_derive(seed, l->seed, "qfl simulated light", q->link, q->number);
    struct sim_draw *d =
        l->draw_new(&q->link->params, &q->link->running.light, (uint64_t)q->pulses, seed);
    secret_wipe(seed, sizeof(seed));
    return d;
}

static int begin(
    struct sim_level *level, const struct sim_request *q, struct update *u, struct sim_block **out)
{
    const struct sim_level_raw *l = (const struct sim_level_raw *)level;
    uint8_t id[RNG_SEED_BYTES], lies[RNG_SEED_BYTES];
    sim_seed_derive(id, l->seed, "qfl simulated block id", q->link, q->number);
    sim_seed_derive(lies, l->seed, "qfl simulated lies", q->link, q->number);
    const struct sim_block_plan plan = {
        .link = q->link,
        .id = id,
        .seed = lies,
        .draw = begin_draw(l, q),
        .pulses = (uint64_t)q->pulses,
        .seconds = q->seconds,
    };
    return plan.draw ? sim_block_new(out, &plan, u) : -ENOMEM;
}

static void free_raw(struct sim_level *level)
{
    struct sim_level_raw *l = (struct sim_level_raw *)level;
    secret_wipe(l->seed, sizeof(l->seed));
    free(l);
}

static const struct sim_level_ops ops = {.begin = begin, .free = free_raw};

static struct sim_level_raw *raw_new(const char *name, const uint8_t seed[RNG_SEED_BYTES])
{
    struct sim_level_raw *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->level = (struct sim_level){.ops = &ops, .name = name};
    memcpy(l->seed, seed, sizeof(l->seed));
    return l;
}

struct sim_level *sim_level_event_new(const uint8_t seed[RNG_SEED_BYTES])
{
    struct sim_level_raw *l = raw_new("event", seed);
    if (!l)
        return NULL;
    l->draw_new = sim_draw_events_new;
    return &l->level;
}

struct sim_level *sim_level_pulse_new(const uint8_t seed[RNG_SEED_BYTES])
{
    struct sim_level_raw *l = raw_new("pulse", seed);
    if (!l)
        return NULL;
    l->draw_new = sim_draw_pulses_new;
    return &l->level;
}
