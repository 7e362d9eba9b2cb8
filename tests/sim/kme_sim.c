/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/kme_sim.h"

#include "common/util.h"
#include "proto/kme.h"
#include "proto/kme.pb-c.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"
#include "tests/sim/need.h"

#include <errno.h>

/* A block that the vault has not acknowledged. */
struct block {
    struct block *next;
    const char *peer;
    uint8_t id[KME_SIM_BLOCK_ID_BYTES];
    bool offered; /* on the present connection to the vault */
    size_t len;
    uint8_t key[];
};

/* A vault-to-vault message that comes late. */
struct late {
    struct late *next;
    const char *peer;
    uint64_t due_ms;
    size_t len;
    uint8_t data[];
};

struct peer {
    const char *site;
    uint32_t conn; /* 0: none */
    struct link link;
    bool attached; /* its vault is there */
    bool told_up;  /* what our vault believes */
    uint64_t room;
};

struct kme {
    struct node node; /* first */
    const char *const *sites;
    size_t n_peers;
    struct peer *peers; /* owned */
    uint32_t vault;     /* connection, 0: none */
    bool ready;         /* WELCOME was heard */
    struct link vault_link;
    struct block *blocks; /* owned, oldest first */
    struct late *late;    /* owned */
    struct arena *arena;
};

static struct kme *of(const struct node *n)
{
    return (struct kme *)n;
}

static struct peer *find_peer(const struct kme *k, const char *site)
{
    for (size_t i = 0; i < k->n_peers; i++)
        if (strcmp(k->peers[i].site, site) == 0)
            return &k->peers[i];
    return NULL;
}

static struct peer *find_conn(const struct kme *k, uint32_t conn)
{
    for (size_t i = 0; i < k->n_peers; i++)
        if (k->peers[i].conn == conn)
            return &k->peers[i];
    return NULL;
}

/* ---- to the vault ---- */

static void offer_blocks(struct kme *k, struct update *u)
{
    for (struct block *b = k->blocks; k->ready && b; b = b->next) {
        if (b->offered)
            continue;
        b->offered = true;
        Vault__Ingest m = VAULT__INGEST__INIT;
        m.peer = (char *)b->peer;
        m.block = (ProtobufCBinaryData){sizeof(b->id), b->id};
        m.source = (char *)"sim";
        m.simulated = 1;
        m.key = (ProtobufCBinaryData){b->len, b->key};
        need_ok(link_send(u, k->vault, VAULT_INGEST, &m.base));
    }
}

static void tell_link(struct kme *k, struct peer *p, struct update *u)
{
    bool up = k->ready && p->conn && p->link.heard_hello && p->attached;
    if (!k->ready || up == p->told_up)
        return;
    p->told_up = up;
    Vault__LinkState m = VAULT__LINK_STATE__INIT;
    m.peer = (char *)p->site;
    m.up = up;
    need_ok(link_send(u, k->vault, VAULT_LINK_STATE, &m.base));
}

static void carry_to_vault(
    struct kme *k, const char *peer, const uint8_t *data, size_t len, struct update *u)
{
    Vault__Carry m = VAULT__CARRY__INIT;
    m.peer = (char *)peer;
    m.data = (ProtobufCBinaryData){len, (uint8_t *)data};
    need_ok(link_send(u, k->vault, VAULT_CARRY, &m.base));
}

static void vault_opened(struct kme *k, const struct event *e, struct update *u)
{
    k->vault = e->conn;
    k->ready = false;
    link_init(&k->vault_link, &vault_exchange, LINK_INITIATOR, e->now_ms);
    need_ok(update_limit(u, e->conn, exchange_body_max(&vault_exchange, LINK_RESPONDER)));
    Vault__Hello m = VAULT__HELLO__INIT;
    m.version = VAULT_VERSION;
    m.role = (char *)"kme";
    m.site = (char *)k->node.site;
    need_ok(link_send(u, e->conn, VAULT_HELLO, &m.base));
}

/* ---- to the other KMEs ---- */

static void tell_pool(struct kme *k, struct peer *p, struct update *u)
{
    if (!p->conn || !p->link.heard_hello)
        return;
    Kme__Pool m = KME__POOL__INIT;
    m.attached = k->ready;
    need_ok(link_send(u, p->conn, KME_POOL, &m.base));
}

static void vault_changes(struct kme *k, bool ready, struct update *u)
{
    k->ready = ready;
    for (struct block *b = k->blocks; b; b = b->next)
        b->offered = false;
    for (size_t i = 0; i < k->n_peers; i++) {
        struct peer *p = &k->peers[i];
        p->told_up = false;
        p->room = 0;
        tell_pool(k, p, u);
        tell_link(k, p, u);
    }
    offer_blocks(k, u);
}

static void peer_opened(struct kme *k, const struct event *e, struct update *u)
{
    struct peer *p = find_peer(k, e->opened.site);
    if (p->conn) { /* the newer connection counts */
        uint32_t old = p->conn;
        p->conn = 0;
        tell_link(k, p, u);
        need_ok(update_close(u, old, "replaced"));
    }
    bool dials = strcmp(k->node.site, p->site) < 0;
    p->conn = e->conn;
    p->attached = false;
    link_init(&p->link, &kme_exchange, dials ? LINK_INITIATOR : LINK_RESPONDER, e->now_ms);
    need_ok(update_limit(u, e->conn, exchange_body_max(&kme_exchange, LINK_INITIATOR)));
    Kme__Hello m = KME__HELLO__INIT;
    uint8_t nonce[16] = {0};
    m.version = KME_VERSION;
    m.site = (char *)k->node.site;
    m.nonce = (ProtobufCBinaryData){sizeof(nonce), nonce};
    need_ok(link_send(u, e->conn, KME_HELLO, &m.base));
}

static void peer_lost(struct kme *k, struct peer *p, struct update *u)
{
    p->conn = 0;
    p->attached = false;
    tell_link(k, p, u);
}

static void peer_close(struct kme *k, struct peer *p, const char *why, struct update *u)
{
    uint32_t conn = p->conn;
    peer_lost(k, p, u);
    need_ok(update_close(u, conn, "%s", why));
}

/* ---- the relay's faults ---- */

static void deliver_late(struct kme *k, const char *peer, const ProtobufCBinaryData *data)
{
    struct late *l = need(malloc(sizeof(*l) + data->len));
    struct world *w = k->node.world;
    *l = (struct late){k->late, peer, w->now_ms + 100 + world_about_ms(w, 4000), data->len};
    memcpy(l->data, data->data, data->len);
    k->late = l;
}

static void carried(struct kme *k, struct peer *p, const Kme__Carry *m, struct update *u)
{
    struct world *w = k->node.world;
    if (!p->told_up)
        return; /* the vault is away: as good as lost */
    if (world_strikes(w, FAULT_RELAY_LOSS)) {
        peer_close(k, p, "a message is forgotten", u);
        return;
    }
    if (world_strikes(w, FAULT_RELAY_LATE)) {
        deliver_late(k, p->site, &m->data);
        peer_close(k, p, "a message is kept for later", u);
        return;
    }
    carry_to_vault(k, p->site, m->data.data, m->data.len, u);
    if (world_strikes(w, FAULT_RELAY_DUPLICATE)) {
        deliver_late(k, p->site, &m->data);
        peer_close(k, p, "a message will come twice", u);
    }
}

static void deliver_due(struct kme *k, uint64_t now_ms, struct update *u)
{
    for (struct late **at = &k->late; *at;) {
        struct late *l = *at;
        if (l->due_ms > now_ms) {
            at = &l->next;
            continue;
        }
        if (!find_peer(k, l->peer)->told_up) {
            l->due_ms = now_ms + 200;
            continue;
        }
        *at = l->next;
        carry_to_vault(k, l->peer, l->data, l->len, u);
        free(l);
    }
}

/* ---- frames ---- */

static void block_done(struct kme *k, const Vault__Ingested *m)
{
    for (struct block **at = &k->blocks; *at; at = &(*at)->next) {
        struct block *b = *at;
        if (m->block.len != sizeof(b->id) || memcmp(b->id, m->block.data, sizeof(b->id)) != 0)
            continue;
        *at = b->next;
        free(b);
        return;
    }
}

static void vault_frame(
    struct kme *k, uint16_t type, const ProtobufCMessage *message, struct update *u)
{
    const Vault__Carry *carry = (const Vault__Carry *)message;
    const Vault__Room *room = (const Vault__Room *)message;
    switch (type) {
    case VAULT_WELCOME:
        vault_changes(k, true, u);
        break;
    case VAULT_INGESTED:
        block_done(k, (const Vault__Ingested *)message);
        break;
    case VAULT_ROOM:
        if (find_peer(k, room->peer))
            find_peer(k, room->peer)->room = room->bytes;
        break;
    case VAULT_CARRY: {
        struct peer *p = find_peer(k, carry->peer);
        if (!p || !p->told_up)
            break;
        Kme__Carry m = KME__CARRY__INIT;
        m.data = carry->data;
        need_ok(link_send(u, p->conn, KME_CARRY, &m.base));
        break;
    }
    default: /* DECIDED, LEVELS: of no interest here */
        break;
    }
}

static void peer_frame(
    struct kme *k, struct peer *p, uint16_t type, const ProtobufCMessage *message, struct update *u)
{
    switch (type) {
    case KME_HELLO:
        tell_pool(k, p, u);
        break;
    case KME_POOL:
        p->attached = ((const Kme__Pool *)message)->attached;
        tell_link(k, p, u);
        break;
    case KME_CARRY:
        carried(k, p, (const Kme__Carry *)message, u);
        break;
    default:
        break;
    }
}

static void frame(struct kme *k, const struct event *e, struct update *u)
{
    struct peer *p = find_conn(k, e->conn);
    if (!p && e->conn != k->vault)
        return; /* a connection that was replaced */
    ProtobufCMessage *message = NULL;
    struct err why;
    int r = link_frame(p ? &p->link : &k->vault_link, e, k->arena, u, &message, &why);
    if (r != 0)
        world_violation(k->node.world, "%s: %s", k->node.name, why.text);
    else if (message && p)
        peer_frame(k, p, e->frame.type, message, u);
    else if (message)
        vault_frame(k, e->frame.type, message, u);
    arena_reset(k->arena, false);
}

static void closed(struct kme *k, const struct event *e, struct update *u)
{
    struct peer *p = find_conn(k, e->conn);
    if (p)
        peer_lost(k, p, u);
    if (e->conn == k->vault) {
        k->vault = 0;
        vault_changes(k, false, u);
    }
}

static void tick(struct kme *k, const struct event *e, struct update *u)
{
    struct err why;
    for (size_t i = 0; i < k->n_peers; i++) {
        struct peer *p = &k->peers[i];
        if (p->conn && link_tick(&p->link, e->now_ms, p->conn, u, &why) > 0)
            peer_close(k, p, why.text, u);
    }
    if (k->vault && link_tick(&k->vault_link, e->now_ms, k->vault, u, &why) > 0) {
        uint32_t conn = k->vault;
        k->vault = 0;
        vault_changes(k, false, u);
        need_ok(update_close(u, conn, "%s", why.text));
    }
}

/* ---- as a node ---- */

static int kme_boot(struct node *n)
{
    struct kme *k = of(n);
    k->vault = 0;
    k->ready = false;
    memset(k->peers, 0, k->n_peers * sizeof(*k->peers));
    for (size_t i = 0; i < k->n_peers; i++)
        k->peers[i].site = k->sites[i];
    return 0;
}

static void kme_halt(struct node *n, enum death death)
{
    struct kme *k = of(n);
    while (k->blocks) {
        struct block *b = k->blocks;
        k->blocks = b->next;
        free(b);
    }
    while (k->late) {
        struct late *l = k->late;
        k->late = l->next;
        free(l);
    }
}

static int kme_step(struct node *n, const struct event *e, struct update *u)
{
    struct kme *k = of(n);
    switch (e->kind) {
    case EVENT_OPENED:
        if (e->opened.role == ROLE_VAULT)
            vault_opened(k, e, u);
        else
            peer_opened(k, e, u);
        break;
    case EVENT_FRAME:
        frame(k, e, u);
        break;
    case EVENT_CLOSED:
        closed(k, e, u);
        break;
    case EVENT_TICK:
    case EVENT_JOB:
        break;
    }
    tick(k, e, u);
    offer_blocks(k, u);
    deliver_due(k, e->now_ms, u);
    return 0;
}

static uint64_t kme_deadline(const struct node *n)
{
    const struct kme *k = of(n);
    uint64_t ms = k->vault ? link_deadline_ms(&k->vault_link) : NEVER_MS;
    for (size_t i = 0; i < k->n_peers; i++)
        if (k->peers[i].conn)
            ms = MIN(ms, link_deadline_ms(&k->peers[i].link));
    for (const struct late *l = k->late; l; l = l->next)
        ms = MIN(ms, l->due_ms);
    for (const struct block *b = k->blocks; k->ready && b; b = b->next)
        if (!b->offered)
            ms = n->world->now_ms;
    return ms;
}

static void kme_free(struct node *n)
{
    struct kme *k = of(n);
    kme_halt(n, DEATH_KILLED);
    arena_free(k->arena);
    free(k->peers);
    free(k);
}

static const struct node_ops kme_ops = {
    .boot = kme_boot,
    .halt = kme_halt,
    .step = kme_step,
    .deadline_ms = kme_deadline,
    .free = kme_free,
};

struct node *kme_sim_new(const char *site, const char *const *peers, size_t n_peers)
{
    struct kme *k = need(calloc(1, sizeof(*k)));
    *k = (struct kme){.node = {.ops = &kme_ops, .site = site, .role = ROLE_KME},
        .sites = peers,
        .n_peers = n_peers,
        .peers = need(calloc(n_peers, sizeof(*k->peers))),
        .arena = need(arena_new(4096))};
    snprintf(k->node.name, sizeof(k->node.name), "%s/kme", site);
    return &k->node;
}

void kme_sim_block(struct node *n, const char *peer, const uint8_t id[KME_SIM_BLOCK_ID_BYTES],
    const uint8_t *key, size_t len)
{
    struct kme *k = of(n);
    const struct peer *p = find_peer(k, peer);
    if (!n->up || !p)
        return;
    struct block *b = need(malloc(sizeof(*b) + len));
    *b = (struct block){.peer = p->site, .len = len};
    memcpy(b->id, id, sizeof(b->id));
    memcpy(b->key, key, len);
    struct block **at = &k->blocks;
    while (*at)
        at = &(*at)->next;
    *at = b;
    n->deadline_ms = kme_deadline(n);
}

uint64_t kme_sim_room(const struct node *n, const char *peer)
{
    const struct peer *p = find_peer(of(n), peer);
    return n->up && p ? p->room : 0;
}

bool kme_sim_is_linked(const struct node *n, const char *peer)
{
    const struct peer *p = find_peer(of(n), peer);
    return n->up && p && p->told_up;
}
