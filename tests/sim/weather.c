/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/weather.h"

#include <math.h>

/* The largest probability that a swarm draw may take, per occasion. Faults of the network and of
 * processes are asked for at every event (some 200 in a round), those of keys per block. */
static const struct {
    const char *name;
    double worst;
} kinds[FAULTS] = {
    [FAULT_DELAY] = {"delay", 0.05},
    [FAULT_BREAK] = {"break", 0.01},
    [FAULT_STALL] = {"stall", 0.005},
    [FAULT_PARTITION] = {"partition", 0.002},
    [FAULT_LOCAL_BREAK] = {"local_break", 0.005},
    [FAULT_LOSS] = {"loss", 0},
    [FAULT_RELAY_LOSS] = {"relay_loss", 0.02},
    [FAULT_RELAY_LATE] = {"relay_late", 0.02},
    [FAULT_RELAY_DUPLICATE] = {"relay_duplicate", 0.02},
    [FAULT_KILL] = {"kill", 0.003},
    [FAULT_KILL_MIDWAY] = {"kill_midway", 0.003},
    [FAULT_POWER_CUT] = {"power_cut", 0.003},
    [FAULT_CUT_AT_WRITE] = {"cut_at_write", 0.005},
    [FAULT_SITE_DOWN] = {"site_down", 0.001},
    [FAULT_TORN] = {"torn", 0},
    [FAULT_DISK_ERROR] = {"disk_error", 0.002},
    [FAULT_ROLLBACK] = {"rollback", 0.5},
    [FAULT_SERVER_ROLLBACK] = {"server_rollback", 0.5},
    [FAULT_PAUSE] = {"pause", 0.003},
    [FAULT_BLOCK_ONE_SIDED] = {"block_one_sided", 0.1},
    [FAULT_BLOCK_DIFFERS] = {"block_differs", 0.1},
    [FAULT_BLOCK_ORDER] = {"block_order", 0.1},
    [FAULT_BLOCK_REPEATED] = {"block_repeated", 0.1},
    [FAULT_KEY_DROUGHT] = {"key_drought", 0.05},
    [FAULT_SLOW_TRAINING] = {"slow_training", 0.05},
    [FAULT_FAILED_TRAINING] = {"failed_training", 0.02},
    [FAULT_LIE] = {"lie", 0},
};

const char *fault_name(enum fault fault)
{
    return kinds[fault].name;
}

/* None in half of the stories, else spread evenly over two decades below the worst. */
static double swarm(struct rnd *r, double worst)
{
    double exponent = 2 * rnd_uniform(r);
    return rnd_chance(r, 0.5) ? 0 : worst * pow(10, -exponent);
}

/* Draws are statements of their own here and elsewhere: the order within an expression would be the
 * compiler's. */
struct weather weather_draw(struct rnd *r)
{
    struct weather w = {0};
    w.latency_ms = 0.5 * pow(100, rnd_uniform(r));
    w.down_ms = 100 * pow(100, rnd_uniform(r));
    double scarcity = rnd_chance(r, 0.8) ? 10 : 200;
    w.key_period_ms = 100 * pow(scarcity, rnd_uniform(r));
    w.training_ms = 10 * pow(50, rnd_uniform(r));
    for (int i = 0; i < FAULTS; i++)
        w.chance[i] = swarm(r, kinds[i].worst);
    return w;
}

struct weather weather_calm(void)
{
    return (struct weather){
        .latency_ms = 2, .down_ms = 100, .key_period_ms = 100, .training_ms = 20};
}
