/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/sim_topology.h"

#include "common/util.h"
#include "keypool/qkd/sim_block.h"

#include <errno.h>
#include <math.h>

struct sim_topology {
    struct sim_topology_config config; /* users: not kept */
    uint64_t prefill_bytes;
    struct sim_user **users; /* owned, sorted by name */
    size_t n_users;
    struct sim_link **links; /* owned, sorted by names */
    size_t n_links;
};

/* ---- order and search --------------------------------------------------------------------- */

static int compare_users(const void *a, const void *b)
{
    const struct sim_user *const *x = a;
    const struct sim_user *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int compare_links(const void *a, const void *b)
{
    const struct sim_link *const *x = a;
    const struct sim_link *const *y = b;
    int r = strcmp((*x)->user[0]->name, (*y)->user[0]->name);
    return r ? r : strcmp((*x)->user[1]->name, (*y)->user[1]->name);
}

size_t sim_topology_users(const struct sim_topology *t)
{
    return t->n_users;
}

struct sim_user *sim_topology_user(const struct sim_topology *t, size_t i)
{
    return t->users[i];
}

struct sim_user *sim_topology_find_user(const struct sim_topology *t, const char *name)
{
    struct sim_user key;
    const struct sim_user *wanted = &key;
    if (t->n_users == 0 || strlen(name) > SITE_NAME_MAX)
        return NULL;
    memcpy(key.name, name, strlen(name) + 1);
    struct sim_user **found =
        bsearch(&wanted, t->users, t->n_users, sizeof(struct sim_user *), compare_users);
    return found ? *found : NULL;
}

size_t sim_topology_links(const struct sim_topology *t)
{
    return t->n_links;
}

struct sim_link *sim_topology_link(const struct sim_topology *t, size_t i)
{
    return t->links[i];
}

struct sim_link *sim_topology_find_link(
    const struct sim_topology *t, const struct sim_user *a, const char *b)
{
    struct sim_user *peer = sim_topology_find_user(t, b);
    if (!peer || peer == a || t->n_links == 0)
        return NULL;
    bool in_order = strcmp(a->name, peer->name) < 0;
    struct sim_link key = {.user = {(struct sim_user *)(in_order ? a : peer),
                               (struct sim_user *)(in_order ? peer : a)}};
    const struct sim_link *wanted = &key;
    struct sim_link **found =
        bsearch(&wanted, t->links, t->n_links, sizeof(struct sim_link *), compare_links);
    return found ? *found : NULL;
}

int sim_link_end(const struct sim_link *l, const struct sim_user *user)
{
    return l->user[1] == user;
}

struct keyrate_counts sim_link_expect(
    const struct link_params *p, const struct eve *light, double pulses)
{
    struct keyrate_counts quiet = link_model_expect(p, pulses);
    if (light->intercept == 0 && light->phase_noise == 0)
        return quiet;
    struct optics o;
    eve_optics(&o, p, light);
    struct keyrate_counts c = optics_expect(&o, pulses);
    c.mu = quiet.mu;
    c.expected_e_y = quiet.expected_e_y; /* she is not expected */
    return c;
}

/* ---- links -------------------------------------------------------------------------------- */

static bool rule_is_for(const struct sim_rule *rule, const char *a, const char *b)
{
    return (strcmp(rule->a, a) == 0 && strcmp(rule->b, b) == 0) ||
           (strcmp(rule->a, b) == 0 && strcmp(rule->b, a) == 0);
}

double sim_eta(double loss_db, double eve)
{
    return pow(10, -loss_db / 10) * eve;
}

static const struct sim_loss *find_loss(const struct sim_topology_config *c, const char *user)
{
    for (size_t i = 0; i < c->n_losses; i++)
        if (strcmp(c->losses[i].user, user) == 0)
            return &c->losses[i];
    return NULL;
}

static void apply_losses(
    const struct sim_topology_config *c, const char *a, const char *b, struct link_params *p)
{
    const struct sim_loss *x = find_loss(c, a), *y = find_loss(c, b);
    if (x && y)
        p->eta = sim_eta((x->loss_db + y->loss_db) / 2, c->eve);
}

static bool find_params(
    const struct sim_topology_config *c, const char *a, const char *b, struct link_params *out)
{
    for (size_t i = 0; i < c->n_rules; i++) {
        if (!rule_is_for(&c->rules[i], a, b))
            continue;
        *out = c->rules[i].params;
        if (c->rules[i].takes_losses)
            apply_losses(c, a, b, out);
        return true;
    }
    const struct link_paper *paper = c->network ? link_paper_find(c->network, a, b) : NULL;
    if (!paper && !c->fallback)
        return false;
    *out = paper ? paper->params : *c->fallback;
    if (!paper)
        apply_losses(c, a, b, out);
    return true;
}

static int push_link(struct sim_topology *t, struct sim_user *a, struct sim_user *b)
{
    struct link_params params;
    if (!find_params(&t->config, a->name, b->name, &params))
        return 0;
    struct sim_link **links = realloc(t->links, (t->n_links + 1) * sizeof(struct sim_link *));
    if (!links)
        return -ENOMEM;
    t->links = links;
    struct sim_link *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    bool in_order = strcmp(a->name, b->name) < 0;
    l->user[0] = in_order ? a : b;
    l->user[1] = in_order ? b : a;
    l->params = params;
    l->prefill_bytes = t->prefill_bytes;
    t->links[t->n_links++] = l;
    return 0;
}

static void free_link(struct sim_link *l)
{
    sim_block_free(l->block);
    free(l);
}

static void drop_links(struct sim_topology *t, const struct sim_user *user)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->n_links; i++) {
        struct sim_link *l = t->links[i];
        if (l->user[0] == user || l->user[1] == user)
            free_link(l);
        else
            t->links[kept++] = l;
    }
    t->n_links = kept;
}

/* ---- users -------------------------------------------------------------------------------- */

static int push_user(struct sim_topology *t, const char *name)
{
    struct sim_user **users = realloc(t->users, (t->n_users + 1) * sizeof(struct sim_user *));
    if (!users)
        return -ENOMEM;
    t->users = users;
    struct sim_user *user = calloc(1, sizeof(*user));
    if (!user)
        return -ENOMEM;
    memcpy(user->name, name, strlen(name) + 1);
    t->users[t->n_users++] = user;
    for (size_t i = 0; i + 1 < t->n_users; i++) {
        int r = push_link(t, t->users[i], user);
        if (r < 0)
            return r;
    }
    return 0;
}

static void sort_all(struct sim_topology *t)
{
    if (t->n_users)
        qsort(t->users, t->n_users, sizeof(struct sim_user *), compare_users);
    if (t->n_links)
        qsort(t->links, t->n_links, sizeof(struct sim_link *), compare_links);
}

/* Leaves users and links to be sorted. */
static int add_user(struct sim_topology *t, const char *name, struct err *e)
{
    if (!site_name_is_valid(name))
        return err_set(e, -EINVAL, "\"%.80s\" is no name of a site", name);
    for (size_t i = 0; i < t->n_users; i++)
        if (strcmp(t->users[i]->name, name) == 0)
            return err_set(e, -EINVAL, "%s is a user already", name);
    if (t->n_users == SIM_USERS_MAX)
        return err_set(e, -EINVAL, "more than %d users", SIM_USERS_MAX);
    int r = push_user(t, name);
    return r < 0 ? err_set(e, r, "out of memory") : 0;
}

int sim_topology_add(struct sim_topology *t, const char *name, struct err *e)
{
    int r = add_user(t, name, e);
    sort_all(t);
    return r;
}

int sim_topology_remove(struct sim_topology *t, const char *name, struct err *e)
{
    struct sim_user *user = sim_topology_find_user(t, name);
    if (!user)
        return err_set(e, -EINVAL, "\"%.80s\" is no user", name);
    drop_links(t, user);
    size_t kept = 0;
    for (size_t i = 0; i < t->n_users; i++)
        if (t->users[i] != user)
            t->users[kept++] = t->users[i];
    t->n_users = kept;
    free(user);
    return 0;
}

/* ---- configuration ------------------------------------------------------------------------ */

static int check_rule(const struct sim_topology *t, size_t i, struct err *e)
{
    const struct sim_rule *rule = &t->config.rules[i];
    if (!sim_topology_find_user(t, rule->a) || !sim_topology_find_user(t, rule->b))
        return err_set(e, -EINVAL, "one of them is no user");
    if (strcmp(rule->a, rule->b) == 0)
        return err_set(e, -EINVAL, "a link joins two different users");
    for (size_t j = 0; j < i; j++)
        if (rule_is_for(&t->config.rules[j], rule->a, rule->b))
            return err_set(e, -EINVAL, "given twice");
    return link_params_check(&rule->params, e);
}

static int check_rules(const struct sim_topology *t, struct err *e)
{
    for (size_t i = 0; i < t->config.n_rules; i++) {
        const struct sim_rule *rule = &t->config.rules[i];
        int r = check_rule(t, i, e);
        if (r < 0)
            return err_wrap(e, r, "link %s-%s", rule->a, rule->b);
    }
    if (!t->config.fallback)
        return 0;
    int r = link_params_check(t->config.fallback, e);
    return r < 0 ? err_wrap(e, r, "default_link") : 0;
}

/* A user may be listed that joins later. */
static int check_losses(const struct sim_topology_config *c, struct err *e)
{
    for (size_t i = 0; i < c->n_losses; i++)
        if (!site_name_is_valid(c->losses[i].user))
            return err_set(e, -EINVAL, "losses: \"%.80s\" is no name of a site", c->losses[i].user);
    return 0;
}

static int fill(struct sim_topology *t, const struct sim_topology_config *config, struct err *e)
{
    for (size_t i = 0; i < config->n_users; i++) {
        int r = add_user(t, config->users[i], e);
        if (r < 0)
            return err_wrap(e, r, "users");
    }
    sort_all(t);
    int r = check_losses(config, e);
    return r < 0 ? r : check_rules(t, e);
}

int sim_topology_new(struct sim_topology **out, const struct sim_topology_config *config,
    uint64_t prefill_bytes, struct err *e)
{
    struct sim_topology *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "out of memory");
    t->config = *config;
    t->config.users = NULL;
    t->prefill_bytes = prefill_bytes;
    int r = fill(t, config, e);
    if (r < 0)
        sim_topology_free(t);
    else
        *out = t;
    return r;
}

void sim_topology_free(struct sim_topology *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_links; i++)
        free_link(t->links[i]);
    for (size_t i = 0; i < t->n_users; i++)
        free(t->users[i]);
    free(t->links);
    free(t->users);
    free(t);
}
