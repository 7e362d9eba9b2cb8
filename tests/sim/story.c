/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/story.h"

#include "common/util.h"
#include "tests/sim/need.h"
#include "tests/sim/net.h"

#include <inttypes.h>

#define ROUND_MS      60000  /* of bad weather for one round, at most on average */
#define CALM_ROUNDS   2      /* that must be summed in calm weather */
#define CALM_MS       300000 /* within this time */
#define CALM_ATTEMPTS 12     /* and as many attempts */
#define REST_MS       150000 /* longer than an undecided block lives */

struct story {
    struct federation *federation;
    uint64_t target; /* rounds ended, or summed */
};

static const struct store_sim *store_of(const struct story *s)
{
    return server_node_store(s->federation->server);
}

static bool has_ended(void *arg)
{
    const struct story *s = arg;
    return store_sim_count(store_of(s), STORE_SUMMED) +
               store_sim_count(store_of(s), STORE_SKIPPED) >=
           s->target;
}

static bool has_summed(void *arg)
{
    const struct story *s = arg;
    return store_sim_count(store_of(s), STORE_SUMMED) >= s->target;
}

static void bad_weather(struct story *s, const struct story_setting *setting)
{
    struct world *w = s->federation->world;
    struct rnd r = rnd_fork(&w->rnd);
    w->weather = setting->weather ? *setting->weather : weather_draw(&r);
    s->target = setting->rounds;
    world_run(w, w->now_ms + setting->rounds * ROUND_MS, has_ended, s);
}

static bool is_together(void *arg)
{
    const struct story *s = arg;
    return !net_who_is_cut_off(s->federation->world->net);
}

/* Rounds may go on without those who were cut off: they must come back, and hear what they missed. */
static void gather(struct story *s)
{
    struct world *w = s->federation->world;
    if (!world_run(w, w->now_ms + CALM_MS, is_together, s))
        world_violation(w, "invariant 7: %s is not connected after %d s of calm",
            net_who_is_cut_off(w->net), CALM_MS / 1000);
}

/* Invariant 7. */
static void calm(struct story *s)
{
    struct world *w = s->federation->world;
    world_heal(w);
    keysource_heal(s->federation->keys);
    gather(s);
    uint64_t aborted = store_sim_count(store_of(s), STORE_ABORTED);
    s->target = store_sim_count(store_of(s), STORE_SUMMED) + CALM_ROUNDS;
    bool in_time = world_run(w, w->now_ms + CALM_MS, has_summed, s);
    uint64_t attempts = store_sim_count(store_of(s), STORE_ABORTED) - aborted;
    if (!in_time)
        world_violation(
            w, "invariant 7: no %d rounds within %d s of calm", CALM_ROUNDS, CALM_MS / 1000);
    else if (attempts > CALM_ATTEMPTS)
        world_violation(w, "invariant 7: %" PRIu64 " attempts aborted in calm weather", attempts);
}

/* Invariant 6. The links between vaults are opened once more, so that they compare notes. */
static void rest(struct story *s)
{
    struct federation *f = s->federation;
    struct world *w = f->world;
    f->server->never_again = true;
    node_die(f->server, DEATH_KILLED);
    w->weather.key_period_ms = 1e9;
    world_run(w, w->now_ms + REST_MS, NULL, NULL);
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = i + 1; j < f->n; j++)
            net_break(w->net, f->kmes[i], f->kmes[j]);
    world_run(w, w->now_ms + REST_MS, NULL, NULL);
    if (!w->violation)
        oracle_at_rest(f->oracle);
}

struct story_result story_tell(const struct story_setting *setting)
{
    struct story s = {.federation = federation_new(setting->seed, setting->parts)};
    struct world *w = s.federation->world;
    w->story = setting->narrate;
    if (setting->prepare)
        setting->prepare(s.federation);
    bad_weather(&s, setting);
    if (!w->violation)
        calm(&s);
    struct story_result result = {.completed = store_sim_count(store_of(&s), STORE_SUMMED),
        .skipped = store_sim_count(store_of(&s), STORE_SKIPPED),
        .aborted = store_sim_count(store_of(&s), STORE_ABORTED)};
    if (!w->violation)
        rest(&s);
    memcpy(result.struck, w->struck, sizeof(result.struck));
    result.trace = w->trace;
    result.steps = w->steps;
    result.virtual_ms = w->now_ms;
    result.violation = steal(&w->violation);
    federation_free(s.federation);
    return result;
}
