/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/kme/kme_internal.h"

#include "common/util.h"

#include <errno.h>
#include <stdio.h>

/* ---- life --------------------------------------------------------------------------------- */

bool kme_dials(const char *site, const char *peer)
{
    return strcmp(site, peer) > 0;
}

struct kme_link *kme_find_link(const struct kme *k, const char *peer)
{
    for (size_t i = 0; i < k->n_links; i++)
        if (strcmp(k->links[i].peer, peer) == 0)
            return &k->links[i];
    return NULL;
}

/* A source speaks to its other end. */
static int on_send(void *owner, const char *peer, const void *data, size_t len, struct update *u)
{
    struct kme *k = owner;
    const struct kme_link *l = kme_find_link(k, peer);
    return l && l->is_up ? kme_peer_source(l, data, len, u) : 0;
}

static int on_draw(void *owner, const struct source_draw *d, struct update *u)
{
    struct kme *k = owner;
    const struct kme_link *l = kme_find_link(k, d->peer);
    return l ? kme_vault_draw(k, l, d, u) : 0;
}

static void free_sources(struct source **sources, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sources[i]->ops->free(sources[i]);
}

static int take_sources(struct kme *k, const struct kme_config *config)
{
    k->sources = calloc(config->n_sources + 1, sizeof(struct source *));
    if (!k->sources) {
        free_sources(config->sources, config->n_sources);
        return -ENOMEM;
    }
    k->n_sources = config->n_sources;
    memcpy(k->sources, config->sources, k->n_sources * sizeof(struct source *));
    for (size_t i = 0; i < k->n_sources; i++) {
        k->sources[i]->on_block = kme_blocks_on_block;
        k->sources[i]->on_void = kme_blocks_on_void;
        k->sources[i]->send = on_send;
        k->sources[i]->draw = on_draw;
        k->sources[i]->owner = k;
    }
    return 0;
}

static int make_links(struct kme *k, const struct kme_config *config)
{
    k->links = calloc(config->n_links + 1, sizeof(*k->links));
    if (!k->links)
        return -ENOMEM;
    for (size_t i = 0; i < config->n_links; i++) {
        struct kme_link *l = &k->links[k->n_links++];
        snprintf(l->peer, sizeof(l->peer), "%s", config->links[i].peer);
        l->source = config->links[i].source;
        l->block_bytes = KME_FIRST_GUESS;
    }
    return 0;
}

int kme_new(struct kme **out, const struct kme_config *config)
{
    struct kme *k = calloc(1, sizeof(*k));
    if (!k) {
        free_sources(config->sources, config->n_sources);
        return -ENOMEM;
    }
    snprintf(k->site, sizeof(k->site), "%s", config->site);
    memcpy(k->nonce, config->nonce, sizeof(k->nonce));
    k->ctl = (struct ctl_responder){.answer = kme_ctl_answer, .owner = k};
    int r = take_sources(k, config);
    if (r == 0)
        r = make_links(k, config);
    k->arena = r == 0 ? arena_new(EXCHANGE_HELLO_MAX) : NULL;
    if (k->arena) {
        *out = k;
        return 0;
    }
    kme_free(k);
    return -ENOMEM;
}

void kme_free(struct kme *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n_links; i++)
        kme_blocks_deinit(&k->links[i]);
    free_sources(k->sources, k->n_sources);
    if (k->arena)
        arena_free(k->arena);
    free(k->sources);
    free(k->links);
    free(k);
}

/* ---- is the link up? ---------------------------------------------------------------------- */

static bool should_be_up(const struct kme *k, const struct kme_link *l)
{
    return k->is_attached && l->is_paired && l->session.conn && l->peer_attached;
}

static int tell_source(struct kme_link *l, bool up, struct update *u)
{
    l->source_up = up;
    return l->source->ops->channel ? l->source->ops->channel(l->source, l->peer, up, u) : 0;
}

/* A source that draws pads needs a vault that has compared its cursors with the other. */
static int refresh_source(struct kme_link *l, struct update *u)
{
    bool up = l->is_up && (l->in_step || !l->source->ops->drawn);
    return up == l->source_up ? 0 : tell_source(l, up, u);
}

static int change(struct kme *k, struct kme_link *l, bool up, struct update *u)
{
    l->is_up = up;
    update_note(u, NOTE_INFO, "link with %s is %s", l->peer, up ? "up" : "down");
    int r = kme_vault_link_state(k, l, up, u);
    if (r == 0 && !up) /* also one that was not up yet: it may have heard of the other end */
        r = tell_source(l, false, u);
    return r < 0 ? r : refresh_source(l, u);
}

int kme_refresh(struct kme *k, struct kme_link *l, struct update *u)
{
    bool up = should_be_up(k, l);
    return up == l->is_up ? refresh_source(l, u) : change(k, l, up, u);
}

int kme_renew(struct kme *k, struct kme_link *l, struct update *u)
{
    int r = l->is_up ? change(k, l, false, u) : 0;
    return r < 0 ? r : kme_refresh(k, l, u);
}

bool kme_link_works(const struct kme *k, const struct kme_link *l, struct err *why)
{
    if (!k->is_attached)
        err_set(why, 0, "the key pool is not connected");
    else if (!l->is_paired)
        err_set(why, 0, "the key pool is not paired with %s", l->peer);
    else if (!l->session.conn)
        err_set(why, 0, "the KME of %s is not connected", l->peer);
    else if (!l->peer_attached)
        err_set(why, 0, "the key pool of %s is not connected", l->peer);
    else
        return l->source->ops->is_ready(l->source, l->peer, why);
    return false;
}

bool kme_link_is_up(const struct kme *k, const char *peer, struct err *why)
{
    const struct kme_link *l = kme_find_link(k, peer);
    return l ? kme_link_works(k, l, why) : err_set(why, 0, "no link with %s", peer);
}

/* ---- events ------------------------------------------------------------------------------- */

/* Whose it is: the first source that does not say NOT_MINE has it. */
static int offer_to_sources(struct kme *k, const struct event *event, struct update *u)
{
    for (size_t i = 0; i < k->n_sources; i++) {
        int r = k->sources[i]->ops->step(k->sources[i], event, u);
        if (r != SOURCE_E_NOT_MINE)
            return r;
    }
    return SOURCE_E_NOT_MINE;
}

static int on_opened(struct kme *k, const struct event *event, struct update *u)
{
    switch (event->opened.role) {
    case ROLE_VAULT:
        return kme_vault_open(k, event, u);
    case ROLE_KME:
        return kme_peer_open(k, event, u);
    case ROLE_CTL:
        return ctl_responder_open(&k->ctl, event, u);
    default:
        break;
    }
    int r = offer_to_sources(k, event, u);
    if (r == SOURCE_E_NOT_MINE)
        return update_close(
            u, event->conn, "role %s has no business here", role_name(event->opened.role));
    return r;
}

static int on_frame(struct kme *k, const struct event *event, struct update *u)
{
    struct kme_link *l = kme_peer_of(k, event->conn);
    if (event->conn == k->vault)
        return kme_vault_frame(k, event, u);
    if (l)
        return kme_peer_frame(k, l, event, u);
    if (ctl_responder_owns(&k->ctl, event->conn))
        return ctl_responder_frame(&k->ctl, event, k->arena, u);
    int r = offer_to_sources(k, event, u);
    return r == SOURCE_E_NOT_MINE ? 0 : r; /* was closed by us */
}

static int on_closed(struct kme *k, const struct event *event, struct update *u)
{
    struct kme_link *l = kme_peer_of(k, event->conn);
    if (event->conn == k->vault)
        return kme_vault_lost(k, u);
    if (l)
        return kme_peer_closed(k, l, event->conn, u);
    ctl_responder_closed(&k->ctl, event->conn);
    int r = offer_to_sources(k, event, u);
    return r == SOURCE_E_NOT_MINE ? 0 : r;
}

static int on_tick(struct kme *k, const struct event *event, struct update *u)
{
    int r = kme_vault_tick(k, u);
    for (size_t i = 0; r == 0 && i < k->n_links; i++) {
        r = kme_peer_tick(k, &k->links[i], u);
        if (r == 0)
            r = kme_blocks_tick(k, &k->links[i], u);
    }
    for (size_t i = 0; r == 0 && i < k->n_sources; i++)
        r = k->sources[i]->ops->step(k->sources[i], event, u);
    return r;
}

static int on_job(struct kme *k, const struct event *event, struct update *u)
{
    int r = offer_to_sources(k, event, u);
    if (r != SOURCE_E_NOT_MINE)
        return r;
    event->job->free(event->job);
    return 0;
}

static int dispatch(struct kme *k, const struct event *event, struct update *u)
{
    switch (event->kind) {
    case EVENT_TICK:
        return on_tick(k, event, u);
    case EVENT_OPENED:
        return on_opened(k, event, u);
    case EVENT_FRAME:
        return on_frame(k, event, u);
    case EVENT_CLOSED:
        return on_closed(k, event, u);
    case EVENT_JOB:
        return on_job(k, event, u);
    }
    return 0;
}

int kme_step(struct kme *k, const struct event *event, struct update *u)
{
    k->now_ms = MAX(k->now_ms, event->now_ms);
    for (size_t i = 0; i < k->n_sources; i++)
        k->sources[i]->now_ms = k->now_ms;
    int r = dispatch(k, event, u);
    return r < 0 ? r : kme_blocks_grant(k, u);
}

uint64_t kme_deadline_ms(const struct kme *k)
{
    uint64_t deadline = k->vault ? link_deadline_ms(&k->vault_link) : NEVER_MS;
    for (size_t i = 0; i < k->n_links; i++) {
        deadline = MIN(deadline, kme_peer_deadline_ms(&k->links[i]));
        deadline = MIN(deadline, kme_blocks_deadline_ms(k, &k->links[i]));
    }
    for (size_t i = 0; i < k->n_sources; i++)
        deadline = MIN(deadline, k->sources[i]->ops->deadline_ms(k->sources[i]));
    return deadline;
}
