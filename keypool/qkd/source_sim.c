/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/source_sim.h"

#include "common/secret.h"
#include "common/util.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"

#include <errno.h>
#include <stdio.h>

#define NAME_BYTES    64
#define REFUSAL_BYTES 128

struct sim_peer {
    char name[SITE_NAME_MAX + 1];
    bool known;          /* the simulator has a link for it */
    uint32_t grants;     /* outstanding */
    uint64_t want_bytes; /* of the latest */
};

struct source_sim {
    struct source source; /* first */
    char site[SITE_NAME_MAX + 1];
    char simulator[SITE_NAME_MAX + 1]; /* empty: any */
    char name[NAME_BYTES];
    uint32_t conn; /* 0: none */
    struct link link;
    bool welcomed;
    char refusal[REFUSAL_BYTES]; /* empty, or why its welcome was not taken */
    struct arena *arena;         /* owned */
    struct sim_peer *peers;      /* owned */
    size_t n_peers;
};

static struct source_sim *of(const struct source *s)
{
    return (struct source_sim *)s;
}

static struct sim_peer *find_peer(const struct source_sim *s, const char *name)
{
    for (size_t i = 0; i < s->n_peers; i++)
        if (strcmp(s->peers[i].name, name) == 0)
            return &s->peers[i];
    return NULL;
}

/* ---- grants ------------------------------------------------------------------------------- */

static int say_grant(const struct source_sim *s, const struct sim_peer *peer, struct update *u)
{
    Qkd__Grant m = QKD__GRANT__INIT;
    m.peer = (char *)peer->name;
    m.max_bytes = peer->want_bytes;
    return link_send(u, s->conn, QKD_GRANT, &m.base);
}

static int grant(struct source *source, const char *name, uint64_t want_bytes, uint64_t deadline_ms,
    struct update *u)
{
    struct source_sim *s = of(source);
    struct sim_peer *peer = find_peer(s, name);
    if (!peer)
        return -ENOENT;
    peer->grants++;
    peer->want_bytes = want_bytes;
    return s->welcomed && peer->known ? say_grant(s, peer, u) : 0;
}

/* ---- the connection ----------------------------------------------------------------------- */

static void forget(struct source_sim *s)
{
    s->conn = 0;
    s->welcomed = false;
    for (size_t i = 0; i < s->n_peers; i++)
        s->peers[i].known = false;
}

static int drop(struct source_sim *s, struct update *u, const char *why)
{
    uint32_t conn = s->conn;
    forget(s);
    update_note(u, NOTE_WARNING, "the simulator is disconnected: %s", why);
    return update_close(u, conn, "%s", why);
}

static int open_link(struct source_sim *s, const struct event *event, struct update *u)
{
    Qkd__Hello m = QKD__HELLO__INIT;
    if (event->opened.role != ROLE_QKDSIM)
        return SOURCE_E_NOT_MINE;
    if (s->simulator[0] && strcmp(s->simulator, event->opened.site) != 0)
        return SOURCE_E_NOT_MINE;
    int r = s->conn ? drop(s, u, "replaced by a newer connection") : 0;
    if (r < 0)
        return r;
    s->conn = event->conn;
    link_init(&s->link, &qkd_exchange, LINK_INITIATOR, event->now_ms);
    m.version = QKD_VERSION;
    m.site = s->site;
    return link_send(u, s->conn, QKD_HELLO, &m.base);
}

static int welcome_peer(struct source_sim *s, const char *name, struct update *u)
{
    struct sim_peer *peer = find_peer(s, name);
    if (!peer || peer->known)
        return 0;
    peer->known = true;
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < peer->grants; i++)
        r = say_grant(s, peer, u);
    return r;
}

static int hear_welcome(struct source_sim *s, const Qkd__Welcome *m, struct update *u)
{
    if (m->version != QKD_VERSION)
        return drop(s, u, "it speaks another version of the exchange");
    if (strcmp(m->level, "rate") != 0) {
        snprintf(s->refusal, sizeof(s->refusal),
            "the simulator sends raw events (level %.16s): these links need a source of type "
            "mdi-qkd",
            m->level);
        return drop(s, u, s->refusal);
    }
    snprintf(s->name, sizeof(s->name), "qkdsim-%s", m->level);
    s->welcomed = true;
    s->refusal[0] = '\0';
    int r = update_limit(u, s->conn, exchange_body_max(&qkd_exchange, LINK_RESPONDER));
    for (size_t i = 0; r == 0 && i < m->n_peers; i++)
        r = welcome_peer(s, m->peers[i], u);
    return r;
}

static int hear_block(struct source_sim *s, const Qkd__RateBlock *m, struct update *u)
{
    struct sim_peer *peer = find_peer(s, m->peer);
    if (!peer || peer->grants == 0)
        return drop(s, u, "it sends a block that was not granted");
    if (m->block.len != SOURCE_BLOCK_ID_BYTES || m->key.len == 0)
        return drop(s, u, "it sends a block without id or key");
    peer->grants--;
    struct source_block block = {.peer = peer->name,
        .key = m->key.data,
        .len = m->key.len,
        .simulated = true,
        .rate_kbps = m->rate_kbps,
        .qber = m->qber,
        .seconds = m->seconds};
    memcpy(block.id, m->block.data, sizeof(block.id));
    return s->source.on_block(s->source.owner, &block, u);
}

static int hear(struct source_sim *s, const struct event *event, struct update *u)
{
    struct err e = {{0}};
    ProtobufCMessage *message;
    arena_reset(s->arena, false);
    int r = link_frame(&s->link, event, s->arena, u, &message, &e);
    if (r > 0)
        return drop(s, u, e.text);
    if (r < 0 || !message)
        return r;
    if (event->frame.type == QKD_WELCOME)
        return hear_welcome(s, (const Qkd__Welcome *)message, u);
    if (event->frame.type != QKD_RATE_BLOCK)
        return drop(s, u, "it sends raw events at level rate");
    return hear_block(s, (const Qkd__RateBlock *)message, u);
}

/* The frame held key bytes, whether or not it was legal. */
static int on_frame(struct source_sim *s, const struct event *event, struct update *u)
{
    int r = hear(s, event, u);
    if (event->frame.type == QKD_RATE_BLOCK)
        secret_wipe(event->frame.body, event->frame.len);
    return r;
}

static int tick(struct source_sim *s, uint64_t now_ms, struct update *u)
{
    struct err e = {{0}};
    int r = s->conn ? link_tick(&s->link, now_ms, s->conn, u, &e) : 0;
    return r > 0 ? drop(s, u, e.text) : r;
}

static int step(struct source *source, const struct event *event, struct update *u)
{
    struct source_sim *s = of(source);
    if (event->kind == EVENT_TICK)
        return tick(s, event->now_ms, u);
    if (event->kind == EVENT_OPENED)
        return open_link(s, event, u);
    if (event->kind == EVENT_JOB || s->conn == 0 || event->conn != s->conn)
        return SOURCE_E_NOT_MINE;
    if (event->kind == EVENT_FRAME)
        return on_frame(s, event, u);
    forget(s);
    return 0;
}

/* ---- the rest ----------------------------------------------------------------------------- */

static uint64_t deadline_ms(const struct source *source)
{
    const struct source_sim *s = of(source);
    return s->conn ? link_deadline_ms(&s->link) : NEVER_MS;
}

/* At level `rate` nothing is kept of a block. */
static int close_block(struct source *source, const char *peer, const uint8_t *id, bool confirmed)
{
    return 0;
}

static bool is_ready(const struct source *source, const char *name, struct err *why)
{
    const struct source_sim *s = of(source);
    const struct sim_peer *peer = find_peer(s, name);
    if (s->welcomed && peer && peer->known)
        return true;
    if (s->welcomed)
        err_set(why, 0, "the simulator has no link with %s", name);
    else
        err_set(why, 0, "%s", s->refusal[0] ? s->refusal : "the simulator is not connected");
    return false;
}

static void free_sim(struct source *source)
{
    struct source_sim *s = of(source);
    if (s->arena)
        arena_free(s->arena);
    free(s->peers);
    free(s);
}

static const struct source_ops ops = {
    .grant = grant,
    .step = step,
    .deadline_ms = deadline_ms,
    .close_block = close_block,
    .is_ready = is_ready,
    .free = free_sim,
};

int source_sim_new(struct source **out, const struct source_sim_config *config)
{
    struct source_sim *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    snprintf(s->site, sizeof(s->site), "%s", config->site);
    snprintf(s->simulator, sizeof(s->simulator), "%s", config->simulator ? config->simulator : "");
    snprintf(s->name, sizeof(s->name), "qkdsim");
    s->source = (struct source){.ops = &ops, .name = s->name, .simulated = true};
    s->arena = arena_new(EXCHANGE_HELLO_MAX);
    s->peers = calloc(config->n_peers + 1, sizeof(*s->peers));
    if (!s->arena || !s->peers) {
        free_sim(&s->source);
        return -ENOMEM;
    }
    s->n_peers = config->n_peers;
    for (size_t i = 0; i < s->n_peers; i++)
        snprintf(s->peers[i].name, sizeof(s->peers[i].name), "%s", config->peers[i]);
    *out = &s->source;
    return 0;
}
