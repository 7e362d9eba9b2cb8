/* SPDX-License-Identifier: Apache-2.0 */
/* Does a simulated network make key at all? */
#include "keypool/qkd/sim_level_rate.h"
#include "keypool/qkd/simulator.h"

#include <errno.h>
#include <math.h>

static struct keyrate_options block_options(const struct simulator_config *config, double seconds)
{
    struct keyrate_options o = config->options;
    o.seconds = seconds;
    o.pulses = seconds * config->clock_hz;
    return o;
}

static struct keyrate expect(const struct simulator_config *config,
    const struct link_params *params, const struct eve *light)
{
    struct keyrate_options o = block_options(config, config->block_s);
    struct keyrate_counts c = sim_link_expect(params, light, o.pulses);
    return keyrate_compute(&c, &o);
}

struct keyrate simulator_expect(
    const struct simulator_config *config, const struct link_params *params)
{
    return expect(config, params, &(struct eve){0});
}

struct keyrate simulator_expect_link(
    const struct simulator_config *config, const struct sim_link *link)
{
    return expect(config, &link->params, &link->attack.light);
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

static int check_raw(
    const struct simulator_config *config, const struct sim_topology *t, struct err *e)
{
    if (sim_topology_users(t) > SIM_USERS_RAW_MAX)
        return err_set(
            e, -EINVAL, "at most %d users are told raw clicks; take level rate", SIM_USERS_RAW_MAX);
    if (config->block_s * config->clock_hz > (double)SIM_PULSES_RAW_MAX)
        return err_set(e, -EINVAL, "a block of %g s has more than %g pulses", config->block_s,
            (double)SIM_PULSES_RAW_MAX);
    return 0;
}

int simulator_check(
    const struct simulator_config *config, const struct sim_topology *topology, struct err *e)
{
    int raw = config->level == SIM_RATE ? 0 : check_raw(config, topology, e);
    if (raw < 0)
        return raw;
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
