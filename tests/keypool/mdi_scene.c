/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/mdi_scene.h"

#include "common/util.h"
#include "keypool/kme/kme_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void count_delivered(void *arg, const struct message *message)
{
    ((struct mdi_scene *)arg)->delivered++;
}

static void on_note(void *arg, const struct node *n, const char *text)
{
    struct mdi_scene *s = arg;
    if (s->noted_len < sizeof(s->noted) - 1)
        s->noted_len += (size_t)snprintf(
            s->noted + s->noted_len, sizeof(s->noted) - s->noted_len, "%s: %s\n", n->name, text);
    s->noted_len = MIN(s->noted_len, sizeof(s->noted) - 1);
}

struct mdi_scene *scene_new(
    struct world *w, uint64_t seed, struct node *eve, const struct post_config post[2])
{
    struct mdi_scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->world = w;
    s->eve = eve;
    s->world->watcher = (struct watcher){.arg = s, .note = on_note, .delivered = count_delivered};
    memcpy(s->post, post, sizeof(s->post));
    s->vault[0] = vault_node_add(w, "alice", "bob", 2 * seed);
    s->vault[1] = vault_node_add(w, "bob", "alice", 2 * seed + 1);
    s->kme[0] = kme_node_add_mdi(w, "alice", "bob", &s->post[0]);
    s->kme[1] = kme_node_add_mdi(w, "bob", "alice", &s->post[1]);
    for (int i = 0; i < 2; i++) {
        net_dial(w->net, &s->kme[i]->node, &s->vault[i]->node, NET_LOCAL, &vault_exchange);
        net_dial(w->net, &s->kme[i]->node, eve, NET_WAN, &qkd_exchange);
    }
    net_dial(w->net, &s->kme[1]->node, &s->kme[0]->node, NET_WAN, &kme_exchange);
    return s;
}

void scene_free(struct mdi_scene *s)
{
    world_free(s->world);
    free(s);
}

void scene_run(struct mdi_scene *s, uint64_t ms)
{
    world_run(s->world, s->world->now_ms + ms, NULL, NULL);
    if (s->world->violation)
        fail_msg("at %llu ms: %s", (unsigned long long)s->world->now_ms, s->world->violation);
}

struct vault_account scene_account(const struct mdi_scene *s, int end, enum vault_purpose purpose)
{
    struct vault_account accounts[8];
    size_t n = vault_accounts(s->vault[end]->vault, accounts, ARRAY_SIZE(accounts));
    for (size_t i = 0; i < n && i < ARRAY_SIZE(accounts); i++)
        if (accounts[i].purpose == purpose)
            return accounts[i];
    fail_msg("%s has no such stream", s->vault[end]->node.name);
    return (struct vault_account){0};
}

bool scene_has_noted(const struct mdi_scene *s, const char *text)
{
    return strstr(s->noted, text) != NULL;
}

void scene_assert_noted(const struct mdi_scene *s, const char *text)
{
    if (!scene_has_noted(s, text))
        fail_msg("nobody says '%s' in:\n%s", text, s->noted);
}

void scene_assert_not_noted(const struct mdi_scene *s, const char *text)
{
    const char *at = strstr(s->noted, text);
    if (at)
        fail_msg("somebody says: ...%.200s", at - MIN(at - s->noted, 60));
}

/* Eve stops; a while later nothing is undecided and both ends hold the same. */
void scene_assert_equal_at_rest(struct mdi_scene *s)
{
    s->eve->never_again = true;
    node_die(s->eve, DEATH_KILLED);
    scene_run(s, 120000);
    struct vault_account a = scene_account(s, 0, VAULT_MASK);
    struct vault_account b = scene_account(s, 1, VAULT_MASK);
    assert_int_equal(a.end, b.end);
    assert_int_equal(
        scene_account(s, 0, VAULT_AUTH_TX).end, scene_account(s, 1, VAULT_AUTH_RX).end);
    assert_int_equal(
        scene_account(s, 0, VAULT_AUTH_RX).end, scene_account(s, 1, VAULT_AUTH_TX).end);
    assert_int_equal(
        scene_account(s, 0, VAULT_AUTH_TX).cursor, scene_account(s, 1, VAULT_AUTH_RX).cursor);
    assert_int_equal(
        scene_account(s, 0, VAULT_AUTH_RX).cursor, scene_account(s, 1, VAULT_AUTH_TX).cursor);
}

/* Key of all streams that this end has ever had. */
uint64_t scene_made(const struct mdi_scene *s)
{
    return scene_account(s, 0, VAULT_MASK).end + scene_account(s, 0, VAULT_AUTH_TX).end +
           scene_account(s, 0, VAULT_AUTH_RX).end;
}

void scene_assert_flows(struct mdi_scene *s, uint64_t at_least)
{
    uint64_t before = scene_made(s);
    scene_run(s, 60000);
    uint64_t got = scene_made(s) - before;
    if (got < at_least)
        fail_msg("%llu bytes in the last minute after:\n%s", (unsigned long long)got,
            s->noted + (s->noted_len > 600 ? s->noted_len - 600 : 0));
}

enum link_state scene_state_of(const struct mdi_scene *s, int end, struct err *why)
{
    const struct kme *k = s->kme[end]->kme;
    return kme_link_state(k, &k->links[0], why);
}

json_t *scene_ask(const struct mdi_scene *s, int end, const char *verb)
{
    struct err e;
    struct update u = {0};
    json_t *answer = NULL;
    assert_int_equal(kme_ctl_answer(s->kme[end]->kme, verb, NULL, &answer, &u, &e), 0);
    update_deinit(&u);
    assert_non_null(answer);
    return answer;
}
