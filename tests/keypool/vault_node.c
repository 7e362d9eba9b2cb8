/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/vault_node.h"

#include "common/util.h"
#include "tests/sim/need.h"

#include <errno.h>
#include <stdio.h>

static struct vault_node *of(const struct node *n)
{
    return (struct vault_node *)n;
}

static int enrol(struct vault_node *v)
{
    uint8_t key[VAULT_PAIRING_BYTES];
    struct vault_pairing p = {.peer = v->peer,
        .mask_stream = {1},
        .auth_low_high = {2},
        .auth_high_low = {3},
        .key = key};
    struct rnd r;
    struct err e;
    rnd_init(&r, 99); /* the same at both ends */
    rnd_bytes(&r, key, sizeof(key));
    int result = vault_pair(v->vault, &p, &e);
    return result == -EEXIST ? 0 : result;
}

static int vault_boot(struct node *n)
{
    struct vault_node *v = of(n);
    struct err e = {{0}};
    struct vault_config c = {.site = n->site,
        .kek = {7},
        .machine = {8},
        .epoch = v->witness,
        .capacity_bytes = 1 << 24,
        .allow_simulated = true};
    rnd_bytes(&n->world->rnd, c.entropy, sizeof(c.entropy));
    int r = vault_new(&v->vault, &c, disk_sim_disk(v->disk), n->world->now_ms, &e);
    if (r > 0)
        world_violation(n->world, "%s: %s", n->name, e.text);
    if (r == 0)
        r = enrol(v);
    if (r == 0)
        v->witness = vault_epoch(v->vault);
    return r;
}

static void vault_halt(struct node *n, enum death death)
{
    struct vault_node *v = of(n);
    vault_free(v->vault);
    v->vault = NULL;
    if (death == DEATH_POWER)
        disk_sim_crash(v->disk);
    else
        disk_sim_kill(v->disk);
}

static int vault_node_step(struct node *n, const struct event *event, struct update *u)
{
    struct vault_node *v = of(n);
    int r = vault_step(v->vault, event, u);
    if (r == 0)
        v->witness = vault_epoch(v->vault);
    for (size_t i = 0; i < u->n; i++)
        if (u->effects[i].kind == EFFECT_CLOSE)
            world_violation(n->world, "%s hangs up: %s", n->name, u->effects[i].text);
    return r;
}

static uint64_t vault_deadline(const struct node *n)
{
    return vault_deadline_ms(of(n)->vault);
}

static void vault_node_free(struct node *n)
{
    disk_sim_free(of(n)->disk);
    free(n);
}

static void vault_cut_at(struct node *n, uint64_t operations)
{
    disk_sim_cut_at(of(n)->disk, operations);
}

static bool vault_is_cut(const struct node *n)
{
    return disk_sim_is_cut(of(n)->disk);
}

static bool vault_has_failed(const struct node *n)
{
    return disk_sim_has_failed(of(n)->disk);
}

static const struct node_ops vault_ops = {.boot = vault_boot,
    .halt = vault_halt,
    .step = vault_node_step,
    .deadline_ms = vault_deadline,
    .free = vault_node_free,
    .cut_at = vault_cut_at,
    .is_cut = vault_is_cut,
    .has_failed = vault_has_failed};

struct vault_node *vault_node_add(
    struct world *w, const char *site, const char *peer, uint64_t seed)
{
    struct vault_node *v = need(calloc(1, sizeof(*v)));
    v->node = (struct node){.ops = &vault_ops, .site = site, .role = ROLE_VAULT};
    snprintf(v->node.name, sizeof(v->node.name), "vault %s", site);
    v->peer = peer;
    v->disk = disk_sim_new(seed);
    world_add(w, &v->node);
    return v;
}
