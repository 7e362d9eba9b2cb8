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
    json_int_t blocks, empty_blocks, off_blocks, key_bits, events;
};

static struct totals add_up(const struct simulator *s)
{
    struct totals t = {0};
    for (size_t i = 0; i < sim_topology_links(s->topology); i++) {
        const struct sim_link *l = sim_topology_link(s->topology, i);
        t.blocks += (json_int_t)l->blocks;
        t.empty_blocks += (json_int_t)l->empty_blocks;
        t.off_blocks += (json_int_t)l->off_blocks;
        t.key_bits += 8 * (json_int_t)l->key_bytes;
        t.events += (json_int_t)l->events;
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
    *result = json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I}",
        "label", "SIMULATED", "level", s->level->name, "schedule", schedule_name(s), "speedup",
        s->config.speedup, "block_s", s->config.block_s, "clock_hz", s->config.clock_hz,
        "full_speed_blocks", (json_int_t)s->config.full_speed_blocks, "users", users_json(s),
        "links", (json_int_t)sim_topology_links(s->topology), "blocks", t.blocks, "empty_blocks",
        t.empty_blocks, "off_blocks", t.off_blocks, "key_bits", t.key_bits, "events", t.events);
    return *result ? 0 : -ENOMEM;
}

static int show_metrics(struct simulator *s, json_t **result)
{
    struct totals t = add_up(s);
    json_int_t connected = 0;
    for (size_t i = 0; i < sim_topology_users(s->topology); i++)
        connected += sim_topology_user(s->topology, i)->welcomed;
    *result = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "qfl_qkdsim_users",
        (json_int_t)sim_topology_users(s->topology), "qfl_qkdsim_users_connected", connected,
        "qfl_qkdsim_links", (json_int_t)sim_topology_links(s->topology), "qfl_qkdsim_blocks_total",
        t.blocks, "qfl_qkdsim_empty_blocks_total", t.empty_blocks, "qfl_qkdsim_off_blocks_total",
        t.off_blocks, "qfl_qkdsim_key_bits_total", t.key_bits, "qfl_qkdsim_events_total", t.events);
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

/* What is done to it: now, or from the next block on. */
static json_t *attack_json(const struct sim_link *l)
{
    const struct sim_attack *next = &l->attack, *now = &l->running;
    bool is_pending = l->acquiring && (next->light.intercept != now->light.intercept ||
                                          next->light.phase_noise != now->light.phase_noise ||
                                          next->lie != now->lie);
    return json_pack("{s:f, s:f, s:s, s:b}", "intercept", next->light.intercept, "phase_noise",
        next->light.phase_noise, "lie", eve_lie_name(next->lie), "from_next_block", is_pending);
}

/* The truth of the last complete block of raw clicks, which no user knows. */
static json_t *drawn_json(const struct sim_link *l)
{
    const struct keyrate_counts *c = &l->drawn;
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "n", c->n, "n_x", c->n_x, "m_x", c->m_x, "n_y",
        c->n_y, "m_y", c->m_y);
}

static json_t *link_json(const struct simulator *s, const struct sim_link *l)
{
    struct keyrate k = simulator_expect_link(&s->config, l);
    const struct sim_user *missing = missing_user(l);
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:b, s:o, s:I, s:I, s:I, s:I}",
        "a", l->user[0]->name, "b", l->user[1]->name, "label", "SIMULATED", "level", s->level->name,
        "state", missing ? "DOWN" : "UP", "rate_kbps", k.rate_kbps, "qber_expected", k.e_x, "qber",
        l->last_qber, "acquiring", l->acquiring, "eve", attack_json(l), "blocks",
        (json_int_t)l->blocks, "empty_blocks", (json_int_t)l->empty_blocks, "off_blocks",
        (json_int_t)l->off_blocks, "prefill_bits", 8 * (json_int_t)l->prefill_bytes);
    if (!o)
        return NULL;
    if (s->level->ops->make)
        json_object_set_new(o, "key_bits", json_integer(8 * (json_int_t)l->key_bytes));
    else {
        json_object_set_new(o, "events", json_integer((json_int_t)l->events));
        json_object_set_new(o, "drawn", drawn_json(l));
    }
    if (missing)
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

/* The users learn their links when they connect. Nothing begins in between. */
static int reconnect_all(struct simulator *s, struct update *u)
{
    for (size_t i = 0; i < sim_topology_links(s->topology); i++) {
        struct sim_link *l = sim_topology_link(s->topology, i);
        l->grants[0].n = l->grants[1].n = 0;
    }
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

static const struct setting *find_setting(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

/* ---- set, of one link --------------------------------------------------------------------- */

static const char *const link_settings[] = {"intercept", "phase_noise", "lie"};

static bool is_link_setting(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(link_settings); i++)
        if (strcmp(link_settings[i], name) == 0)
            return true;
    return false;
}

/* "A-B", where the names may hold dashes too. */
static struct sim_link *find_link(const struct simulator *s, const char *pair)
{
    for (const char *dash = strchr(pair, '-'); dash; dash = strchr(dash + 1, '-')) {
        char name[SITE_NAME_MAX + 1] = "";
        if ((size_t)(dash - pair) > SITE_NAME_MAX)
            return NULL;
        memcpy(name, pair, (size_t)(dash - pair));
        const struct sim_user *a = sim_topology_find_user(s->topology, name);
        struct sim_link *l = a ? sim_topology_find_link(s->topology, a, dash + 1) : NULL;
        if (l)
            return l;
    }
    return NULL;
}

static int read_number(const json_t *value, const char *name, double *out, struct err *e)
{
    if (!value)
        return 0;
    if (!json_is_number(value))
        return err_set(e, EX_USAGE, "%s must be a number", name);
    *out = json_number_value(value);
    return 0;
}

static int read_lie(
    const struct simulator *s, const json_t *value, enum eve_lie *out, struct err *e)
{
    if (!value)
        return 0;
    if (eve_lie_parse(json_is_string(value) ? json_string_value(value) : "", out, e) < 0)
        return EX_USAGE;
    if (*out != EVE_HONEST && s->level->ops->make)
        return err_set(e, EX_USAGE, "level %s has no announcement to lie in", s->level->name);
    return 0;
}

/* Changes of what is done to a link; nothing is changed before all is known to be right. */
static int read_attack(
    const struct simulator *s, const json_t *arguments, struct sim_attack *a, struct err *e)
{
    int r =
        read_number(json_object_get(arguments, "intercept"), "intercept", &a->light.intercept, e);
    if (r == 0)
        r = read_number(
            json_object_get(arguments, "phase_noise"), "phase_noise", &a->light.phase_noise, e);
    if (r == 0)
        r = read_lie(s, json_object_get(arguments, "lie"), &a->lie, e);
    return r == 0 && eve_check(&a->light, e) < 0 ? EX_USAGE : r;
}

static int set_link(struct simulator *s, struct sim_link *l, const json_t *arguments,
    struct update *u, struct err *e)
{
    struct sim_attack attack = l->attack;
    int r = read_attack(s, arguments, &attack, e);
    if (r != 0)
        return r;
    l->attack = attack;
    update_note(u, NOTE_INFO,
        "%s-%s: from the next block on %g of the pulses intercepted, phase noise %g rad, lie: %s "
        "(SIMULATED)",
        l->user[0]->name, l->user[1]->name, attack.light.intercept, attack.light.phase_noise,
        eve_lie_name(attack.lie));
    return 0;
}

static int set_links(struct simulator *s, const char *which, const json_t *arguments,
    json_t **result, struct update *u, struct err *e)
{
    bool is_all = strcmp(which, "all") == 0;
    struct sim_link *one = is_all ? NULL : find_link(s, which);
    if (!is_all && !one)
        return err_set(e, EX_USAGE, "\"%.140s\" is no link: A-B, or all", which);
    json_t *links = json_array();
    int r = 0;
    for (size_t i = 0; r == 0 && i < sim_topology_links(s->topology); i++) {
        struct sim_link *l = sim_topology_link(s->topology, i);
        if (one && l != one)
            continue;
        r = set_link(s, l, arguments, u, e);
        json_array_append_new(links, link_json(s, l));
    }
    if (r == 0)
        *result = links;
    else
        json_decref(links);
    return r;
}

/* ---- set, all of it ----------------------------------------------------------------------- */

#define SETTINGS "speedup, add_user, remove_user; of a link: intercept, phase_noise, lie"

static int check_names(const json_t *arguments, bool *has_link_settings, struct err *e)
{
    const char *name;
    json_t *value;
    size_t others = 0;
    *has_link_settings = false;
    json_object_foreach((json_t *)arguments, name, value)
    {
        bool is_of_link = is_link_setting(name);
        *has_link_settings |= is_of_link;
        others += !is_of_link && strcmp(name, "link") != 0;
        if (!is_of_link && strcmp(name, "link") != 0 && !find_setting(name))
            return err_set(e, EX_USAGE, "\"%.40s\" cannot be set; %s can", name, SETTINGS);
    }
    const char *link = json_string_value(json_object_get(arguments, "link"));
    if (*has_link_settings != (link != NULL))
        return err_set(e, EX_USAGE,
            link ? "set what on the link? intercept, phase_noise, lie"
                 : "name the link: A-B, or all");
    if (others == 0 && !link)
        return err_set(e, EX_USAGE, "set what? %s", SETTINGS);
    return others && link ? err_set(e, EX_USAGE, "a link's settings come by themselves") : 0;
}

static int set_all(
    struct simulator *s, const json_t *arguments, json_t **result, struct update *u, struct err *e)
{
    bool is_of_link;
    const char *name;
    json_t *value;
    int r = check_names(arguments, &is_of_link, e);
    if (r == 0 && is_of_link)
        return set_links(
            s, json_string_value(json_object_get(arguments, "link")), arguments, result, u, e);
    json_object_foreach((json_t *)arguments, name, value)
    {
        if (r == 0)
            r = find_setting(name)->set(s, value, u, e);
    }
    return r == 0 ? show_status(s, result) : r;
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
