/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/keypool/fake_vault.h"

#include "common/sha256.h"
#include "common/util.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"
#include "tests/sim/need.h"

#include <stdio.h>

#define TIMEOUT_MS 60000
#define USE_MS     1000
#define CLAIMS_MAX 256

/* Vault to vault: u8 type, id, digest or outcome (u64). SYNC opens each life of the link. */
enum { SAY_STAGED = 1, SAY_DECISION, SAY_SYNC };
#define SAY_BYTES (1 + FAKE_ID_BYTES + 8)

struct claim {
    uint8_t id[FAKE_ID_BYTES];
    uint64_t digest;
    uint64_t since_ms;
};

struct fake_vault {
    struct node node; /* first */
    char peer[SITE_NAME_MAX + 1];
    bool decides;
    uint64_t capacity, use_per_s;
    struct fake_block *blocks; /* durable */
    size_t n_blocks, cap_blocks;
    uint64_t used; /* durable */
    /* volatile */
    uint32_t conn;
    struct link link;
    struct arena *arena;
    bool link_up;
    bool is_synced; /* the peer's SYNC of this life of the link has come */
    struct claim claims[CLAIMS_MAX];
    size_t n_claims;
    uint64_t next_use_ms;
};

static struct fake_vault *of(const struct node *n)
{
    return (struct fake_vault *)n;
}

struct node *fake_vault_node(struct fake_vault *v)
{
    return &v->node;
}

size_t fake_vault_blocks(const struct fake_vault *v)
{
    return v->n_blocks;
}

const struct fake_block *fake_vault_block(const struct fake_vault *v, size_t i)
{
    return &v->blocks[i];
}

static struct fake_block *find(const struct fake_vault *v, const uint8_t *id)
{
    for (size_t i = v->n_blocks; i-- > 0;)
        if (memcmp(v->blocks[i].id, id, FAKE_ID_BYTES) == 0)
            return &v->blocks[i];
    return NULL;
}

const struct fake_block *fake_vault_find(const struct fake_vault *v, const uint8_t *id)
{
    return find(v, id);
}

size_t fake_vault_confirmed_since(const struct fake_vault *v, uint64_t since_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n_blocks; i++)
        n += v->blocks[i].state == FAKE_CONFIRMED && v->blocks[i].decided_ms >= since_ms;
    return n;
}

/* ---- said ----------------------------------------------------------------------------------- */

static void say_room(struct fake_vault *v, struct update *u)
{
    uint64_t held = 0;
    for (size_t i = 0; i < v->n_blocks; i++)
        if (v->blocks[i].state != FAKE_VOID)
            held += v->blocks[i].len;
    held -= MIN(held, v->used);
    Vault__Room m = VAULT__ROOM__INIT;
    m.peer = v->peer;
    m.bytes = v->capacity - MIN(v->capacity, held);
    m.auth_tx = m.auth_rx = 4096; /* it has no streams of pads */
    m.in_step = v->is_synced;
    if (v->conn)
        need_ok(link_send(u, v->conn, VAULT_ROOM, &m.base));
}

static void say(
    struct fake_vault *v, uint8_t type, const uint8_t *id, uint64_t value, struct update *u)
{
    uint8_t text[SAY_BYTES] = {type};
    memcpy(text + 1, id, FAKE_ID_BYTES);
    put_u64le(text + 1 + FAKE_ID_BYTES, value);
    Vault__Carry m = VAULT__CARRY__INIT;
    m.peer = v->peer;
    m.data = (ProtobufCBinaryData){sizeof(text), text};
    if (v->conn && v->link_up)
        need_ok(link_send(u, v->conn, VAULT_CARRY, &m.base));
}

static void say_decided(struct fake_vault *v, const struct fake_block *b, struct update *u)
{
    Vault__Decided m = VAULT__DECIDED__INIT;
    m.peer = v->peer;
    m.block = (ProtobufCBinaryData){FAKE_ID_BYTES, (uint8_t *)b->id};
    m.confirmed = b->state == FAKE_CONFIRMED;
    if (v->conn)
        need_ok(link_send(u, v->conn, VAULT_DECIDED, &m.base));
}

/* ---- blocks --------------------------------------------------------------------------------- */

static struct fake_block *push(struct fake_vault *v, const struct fake_block *b)
{
    if (v->n_blocks == v->cap_blocks) {
        v->cap_blocks = v->cap_blocks ? 2 * v->cap_blocks : 64;
        v->blocks = need(realloc(v->blocks, v->cap_blocks * sizeof(*b)));
    }
    v->blocks[v->n_blocks] = *b;
    return &v->blocks[v->n_blocks++];
}

static void finish(struct fake_vault *v, struct fake_block *b, bool confirmed, struct update *u)
{
    b->state = confirmed ? FAKE_CONFIRMED : FAKE_VOID;
    b->decided_ms = v->node.world->now_ms;
    say_decided(v, b, u);
    if (v->decides)
        say(v, SAY_DECISION, b->id, confirmed, u);
    say_room(v, u);
}

static struct claim *find_claim(struct fake_vault *v, const uint8_t *id)
{
    for (size_t i = 0; i < v->n_claims; i++)
        if (memcmp(v->claims[i].id, id, FAKE_ID_BYTES) == 0)
            return &v->claims[i];
    return NULL;
}

/* The deciding end has both: its own block and the other's claim. */
static void compare(struct fake_vault *v, struct fake_block *b, struct claim *c, struct update *u)
{
    if (b->digest != c->digest)
        world_violation(v->node.world, "%s: the two ends got different keys", v->node.name);
    finish(v, b, b->digest == c->digest, u);
    *c = v->claims[--v->n_claims];
}

static void on_staged(struct fake_vault *v, const uint8_t *id, uint64_t digest, struct update *u)
{
    struct fake_block *b = find(v, id);
    if (!v->decides)
        world_violation(v->node.world, "%s: STAGED at the end that does not decide", v->node.name);
    if (b && b->state != FAKE_STAGED) {
        say(v, SAY_DECISION, id, b->state == FAKE_CONFIRMED, u);
        return;
    }
    struct claim *c = find_claim(v, id);
    if (!c && v->n_claims < CLAIMS_MAX) {
        c = &v->claims[v->n_claims++];
        *c = (struct claim){.digest = digest, .since_ms = v->node.world->now_ms};
        memcpy(c->id, id, FAKE_ID_BYTES);
    }
    if (b && c)
        compare(v, b, c, u);
}

static void on_decision(struct fake_vault *v, const uint8_t *id, bool confirmed, struct update *u)
{
    struct fake_block *b = find(v, id);
    if (b && b->state == FAKE_STAGED)
        finish(v, b, confirmed, u);
    else if (b && (b->state == FAKE_CONFIRMED) != confirmed)
        world_violation(v->node.world, "%s: a decision was changed", v->node.name);
}

/* What only one end holds is void after a while. */
static void give_up(struct fake_vault *v, uint64_t now_ms, struct update *u)
{
    for (size_t i = 0; v->decides && i < v->n_blocks; i++)
        if (v->blocks[i].state == FAKE_STAGED && now_ms >= v->blocks[i].since_ms + TIMEOUT_MS)
            finish(v, &v->blocks[i], false, u);
    for (size_t i = v->n_claims; i-- > 0;) {
        struct claim c = v->claims[i];
        if (now_ms < c.since_ms + TIMEOUT_MS)
            continue;
        v->claims[i] = v->claims[--v->n_claims];
        struct fake_block b = {.state = FAKE_STAGED, .since_ms = now_ms};
        memcpy(b.id, c.id, FAKE_ID_BYTES);
        finish(v, push(v, &b), false, u);
    }
}

/* ---- heard ---------------------------------------------------------------------------------- */

static uint64_t digest_of(const uint8_t *key, size_t len)
{
    uint8_t hash[SHA256_BYTES];
    sha256(hash, key, len);
    return get_u64le(hash);
}

static void on_ingest(struct fake_vault *v, const Vault__Ingest *m, struct update *u)
{
    struct fake_block b = {.len = m->key.len, .since_ms = v->node.world->now_ms};
    b.digest = digest_of(m->key.data, m->key.len);
    memcpy(b.id, m->block.data, FAKE_ID_BYTES);
    struct fake_block *known = find(v, b.id);
    if (known && known->len > 0)
        world_violation(v->node.world, "%s: a block was offered twice", v->node.name);
    for (size_t i = 0; i < v->n_blocks; i++)
        if (v->blocks[i].digest == b.digest)
            world_violation(v->node.world, "%s: key bytes came twice", v->node.name);
    Vault__Ingested a = VAULT__INGESTED__INIT;
    a.peer = v->peer;
    a.block = m->block;
    a.code = known ? VAULT_DUPLICATE : VAULT_OK;
    a.reason = (char *)(known ? "the block was void before it came" : "");
    need_ok(link_send(u, v->conn, VAULT_INGESTED, &a.base));
    if (known)
        return;
    struct fake_block *kept = push(v, &b);
    say_room(v, u);
    struct claim *c = find_claim(v, b.id);
    if (c)
        compare(v, kept, c, u);
    else if (!v->decides)
        say(v, SAY_STAGED, b.id, b.digest, u);
}

static void on_carry(struct fake_vault *v, const Vault__Carry *m, struct update *u)
{
    const uint8_t *p = m->data.data;
    if (m->data.len != SAY_BYTES || !v->link_up) {
        world_violation(v->node.world, "%s: a message while the link is down", v->node.name);
        return;
    }
    uint64_t value = get_u64le(p + 1 + FAKE_ID_BYTES);
    v->is_synced = v->is_synced || p[0] == SAY_SYNC;
    if (!v->is_synced) /* said by the peer's vault before it knew of the new link */
        return;
    if (p[0] == SAY_STAGED)
        on_staged(v, p + 1, value, u);
    else if (p[0] == SAY_DECISION)
        on_decision(v, p + 1, value, u);
}

static void on_link(struct fake_vault *v, bool up, struct update *u)
{
    if (v->link_up == up)
        world_violation(
            v->node.world, "%s: told twice that the link is %s", v->node.name, up ? "up" : "down");
    static const uint8_t nothing[FAKE_ID_BYTES];
    v->link_up = up;
    v->is_synced = false;
    say(v, SAY_SYNC, nothing, 0, u);
    for (size_t i = 0; up && !v->decides && i < v->n_blocks; i++)
        if (v->blocks[i].state == FAKE_STAGED)
            say(v, SAY_STAGED, v->blocks[i].id, v->blocks[i].digest, u);
}

static void on_hello(struct fake_vault *v, struct update *u)
{
    char *peers[] = {v->peer};
    Vault__Welcome m = VAULT__WELCOME__INIT;
    m.version = VAULT_VERSION;
    m.site = (char *)v->node.site;
    m.peers = peers;
    m.n_peers = 1;
    need_ok(link_send(u, v->conn, VAULT_WELCOME, &m.base));
    need_ok(update_limit(u, v->conn, exchange_body_max(&vault_exchange, LINK_INITIATOR)));
    say_room(v, u);
}

static int on_frame(struct fake_vault *v, const struct event *event, struct update *u)
{
    struct err e = {{0}};
    ProtobufCMessage *m;
    if (event->conn != v->conn)
        return 0;
    arena_reset(v->arena, false);
    int r = link_frame(&v->link, event, v->arena, u, &m, &e);
    if (r != 0 || !m) {
        world_violation(v->node.world, "%s: %s", v->node.name, e.text);
        return 0;
    }
    switch (event->frame.type) {
    case VAULT_HELLO:
        on_hello(v, u);
        break;
    case VAULT_INGEST:
        on_ingest(v, (const Vault__Ingest *)m, u);
        break;
    case VAULT_CARRY:
        on_carry(v, (const Vault__Carry *)m, u);
        break;
    case VAULT_LINK_STATE:
        on_link(v, ((const Vault__LinkState *)m)->up, u);
        break;
    default:
        break;
    }
    return 0;
}

/* ---- the node ------------------------------------------------------------------------------- */

static void use(struct fake_vault *v, struct update *u)
{
    uint64_t confirmed = 0;
    for (size_t i = 0; i < v->n_blocks; i++)
        if (v->blocks[i].state == FAKE_CONFIRMED)
            confirmed += v->blocks[i].len;
    v->used = MIN(confirmed, v->used + v->use_per_s);
    v->next_use_ms += USE_MS;
    say_room(v, u);
}

static int step(struct node *n, const struct event *event, struct update *u)
{
    struct fake_vault *v = of(n);
    if (event->kind == EVENT_OPENED) {
        v->conn = event->conn;
        v->link_up = false;
        link_init(&v->link, &vault_exchange, LINK_RESPONDER, event->now_ms);
    }
    if (event->kind == EVENT_CLOSED && event->conn == v->conn) {
        v->conn = 0;
        v->link_up = false;
    }
    if (event->kind == EVENT_FRAME)
        return on_frame(v, event, u);
    if (event->kind == EVENT_TICK && event->now_ms >= v->next_use_ms) {
        use(v, u);
        give_up(v, event->now_ms, u);
    }
    return 0;
}

static int boot(struct node *n)
{
    struct fake_vault *v = of(n);
    v->conn = 0;
    v->link_up = false;
    v->n_claims = 0;
    v->next_use_ms = n->world->now_ms + USE_MS;
    return 0;
}

static void halt(struct node *n, enum death death)
{
}

static uint64_t deadline_ms(const struct node *n)
{
    return of(n)->next_use_ms;
}

static void free_node(struct node *n)
{
    struct fake_vault *v = of(n);
    arena_free(v->arena);
    free(v->blocks);
    free(v);
}

static const struct node_ops ops = {
    .boot = boot,
    .halt = halt,
    .step = step,
    .deadline_ms = deadline_ms,
    .free = free_node,
};

struct fake_vault *fake_vault_new(
    struct world *w, const char *site, const char *peer, uint64_t capacity, uint64_t use_per_s)
{
    struct fake_vault *v = need(calloc(1, sizeof(*v)));
    v->node = (struct node){.ops = &ops, .site = site, .role = ROLE_VAULT};
    snprintf(v->node.name, sizeof(v->node.name), "vault %s", site);
    snprintf(v->peer, sizeof(v->peer), "%s", peer);
    v->decides = strcmp(site, peer) < 0;
    v->capacity = capacity;
    v->use_per_s = use_per_s;
    v->arena = need(arena_new(4096));
    world_add(w, &v->node);
    return v;
}
