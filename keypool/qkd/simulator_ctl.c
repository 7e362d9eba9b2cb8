/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's answers to its operator. */
#include "keypool/qkd/simulator_internal.h"

#include "common/util.h"

#include <errno.h>
#include <math.h>
#include <sysexits.h>

#define SPEEDUP_MAX 1e9

/* ---- status ------------------------------------------------------------------------------- */

static json_t *users_json(const struct simulator *s)
{
    json_t *users = json_array();
    for (size_t i = 0; i < sim_topology_users(s->topology); i++) {
        const struct sim_user *user = sim_topology_user(s->topology, i);
        json_array_append_new(
            users, json_pack("{s:s, s:b}", "user", user->name, "connected", user->welcomed));
    }
    return users;
}

struct totals {
    json_int_t blocks, empty_blocks, key_bits;
};

static struct totals add_up(const struct simulator *s)
{
    struct totals t = {0};
    for (size_t i = 0; i < sim_topology_links(s->topology); i++) {
        const struct sim_link *l = sim_topology_link(s->topology, i);
        t.blocks += (json_int_t)l->blocks;
        t.empty_blocks += (json_int_t)l->empty_blocks;
        t.key_bits += 8 * (json_int_t)l->key_bytes;
    }
    return t;
}

static const char *schedule_name(const struct simulator *s)
{
    return s->config.schedule == SIM_PARALLEL ? "parallel" : "round-robin";
}

static int show_status(struct simulator *s, json_t **result)
{
    struct totals t = add_up(s);
    *result = json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:o, s:I, s:I, s:I, s:I}", "label",
        "SIMULATED", "level", s->level->name, "schedule", schedule_name(s), "speedup",
        s->config.speedup, "block_s", s->config.block_s, "clock_hz", s->config.clock_hz, "users",
        users_json(s), "links", (json_int_t)sim_topology_links(s->topology), "blocks", t.blocks,
        "empty_blocks", t.empty_blocks, "key_bits", t.key_bits);
    return *result ? 0 : -ENOMEM;
}

static int show_metrics(struct simulator *s, json_t **result)
{
    struct totals t = add_up(s);
    json_int_t connected = 0;
    for (size_t i = 0; i < sim_topology_users(s->topology); i++)
        connected += sim_topology_user(s->topology, i)->welcomed;
    *result = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "qfl_qkdsim_users",
        (json_int_t)sim_topology_users(s->topology), "qfl_qkdsim_users_connected", connected,
        "qfl_qkdsim_links", (json_int_t)sim_topology_links(s->topology), "qfl_qkdsim_blocks_total",
        t.blocks, "qfl_qkdsim_empty_blocks_total", t.empty_blocks, "qfl_qkdsim_key_bits_total",
        t.key_bits);
    return *result ? 0 : -ENOMEM;
}

/* ---- links -------------------------------------------------------------------------------- */

/* NULL while both ends are connected. */
static const struct sim_user *missing_user(const struct sim_link *l)
{
    if (!l->user[0]->welcomed)
        return l->user[0];
    return l->user[1]->welcomed ? NULL : l->user[1];
}

static json_t *link_json(const struct simulator *s, const struct sim_link *l)
{
    struct keyrate k = simulator_expect(&s->config, &l->params);
    const struct sim_user *missing = missing_user(l);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:b, s:I, s:I, s:I, s:I}", "a",
        l->user[0]->name, "b", l->user[1]->name, "label", "SIMULATED", "state",
        missing ? "DOWN" : "UP", "rate_kbps", k.rate_kbps, "qber_expected", k.e_x, "qber",
        l->last_qber, "acquiring", l->acquiring, "blocks", (json_int_t)l->blocks, "empty_blocks",
        (json_int_t)l->empty_blocks, "key_bits", 8 * (json_int_t)l->key_bytes, "prefill_bits",
        8 * (json_int_t)l->prefill_bytes);
    if (o && missing)
        json_object_set_new(
            o, "reason", json_sprintf("the KME of %s is not connected", missing->name));
    return o;
}

static int show_links(struct simulator *s, json_t **result)
{
    json_t *links = json_array();
    for (size_t i = 0; i < sim_topology_links(s->topology); i++)
        json_array_append_new(links, link_json(s, sim_topology_link(s->topology, i)));
    *result = links;
    return links ? 0 : -ENOMEM;
}

/* ---- set ---------------------------------------------------------------------------------- */

static int set_speedup(struct simulator *s, const json_t *value, struct update *u, struct err *e)
{
    double speedup = json_number_value(value);
    if (!json_is_number(value) || !(speedup >= 0) || !(speedup <= SPEEDUP_MAX))
        return err_set(
            e, EX_USAGE, "speedup must be a number from 0 (full speed) to %g", SPEEDUP_MAX);
    s->config.speedup = speedup;
    simulator_replan(s);
    update_note(u, NOTE_INFO, "speedup is now %g (SIMULATED)", speedup);
    return 0;
}

/* The users learn their links when they connect. */
static int reconnect_all(struct simulator *s, struct update *u)
{
    for (size_t i = 0; i < sim_topology_users(s->topology); i++) {
        int r = simulator_drop(
            s, sim_topology_user(s->topology, i), u, "the simulated network has changed");
        if (r < 0)
            return r;
    }
    simulator_forget_turns(s);
    return 0;
}

static int add_user(struct simulator *s, const json_t *value, struct update *u, struct err *e)
{
    const char *name = json_string_value(value);
    if (!name)
        return err_set(e, EX_USAGE, "add_user must be the name of a site");
    int r = sim_topology_add(s->topology, name, e);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return EX_USAGE;
    r = simulator_check(&s->config, s->topology, e);
    if (r < 0) {
        struct err ignored;
        r = sim_topology_remove(s->topology, name, &ignored);
        return r < 0 ? r : EX_CONFIG;
    }
    update_note(u, NOTE_INFO, "%s joins the simulated network", name);
    return reconnect_all(s, u);
}

static int remove_user(struct simulator *s, const json_t *value, struct update *u, struct err *e)
{
    const char *name = json_string_value(value);
    if (!name || !sim_topology_find_user(s->topology, name))
        return err_set(e, EX_USAGE, "remove_user must be the name of a user");
    int r = reconnect_all(s, u);
    if (r < 0)
        return r;
    update_note(u, NOTE_INFO, "%s leaves the simulated network", name);
    return sim_topology_remove(s->topology, name, e);
}

static const struct setting {
    const char *name;
    int (*set)(struct simulator *s, const json_t *value, struct update *u, struct err *e);
} settings[] = {{"speedup", set_speedup}, {"add_user", add_user}, {"remove_user", remove_user}};

static int set_one(
    struct simulator *s, const char *name, const json_t *value, struct update *u, struct err *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].set(s, value, u, e);
    return err_set(
        e, EX_USAGE, "\"%.40s\" cannot be set; speedup, add_user, remove_user can", name);
}

static int set_all(
    struct simulator *s, const json_t *arguments, json_t **result, struct update *u, struct err *e)
{
    const char *name;
    json_t *value;
    if (json_object_size(arguments) == 0)
        return err_set(e, EX_USAGE, "set what? speedup, add_user, remove_user");
    json_object_foreach((json_t *)arguments, name, value)
    {
        int r = set_one(s, name, value, u, e);
        if (r != 0)
            return r;
    }
    return show_status(s, result);
}

int simulator_answer(void *owner, const char *verb, const json_t *arguments, json_t **result,
    struct update *u, struct err *e)
{
    struct simulator *s = owner;
    if (strcmp(verb, "status") == 0)
        return show_status(s, result);
    if (strcmp(verb, "links") == 0)
        return show_links(s, result);
    if (strcmp(verb, "metrics") == 0)
        return show_metrics(s, result);
    if (strcmp(verb, "set") == 0)
        return set_all(s, arguments, result, u, e);
    return err_set(e, EX_USAGE, "unknown verb \"%.40s\": status, links, set, metrics", verb);
}
