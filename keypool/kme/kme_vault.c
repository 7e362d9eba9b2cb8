/* SPDX-License-Identifier: Apache-2.0 */
/* The local vault: what is told to it and what it says. */
#include "keypool/kme/kme_internal.h"

#include "common/secret.h"
#include "common/util.h"
#include "proto/vault.pb-c.h"

static int drop(struct kme *k, struct update *u, const char *why)
{
    uint32_t conn = k->vault;
    update_note(u, NOTE_WARNING, "the key pool is disconnected: %s", why);
    int r = kme_vault_lost(k, u);
    return r < 0 ? r : update_close(u, conn, "%s", why);
}

/* ---- told to the vault -------------------------------------------------------------------- */

int kme_vault_open(struct kme *k, const struct event *event, struct update *u)
{
    int r = k->vault ? drop(k, u, "replaced by a newer connection") : 0;
    if (r < 0)
        return r;
    k->vault = event->conn;
    link_init(&k->vault_link, &vault_exchange, LINK_INITIATOR, k->now_ms);
    Vault__Hello m = VAULT__HELLO__INIT;
    m.version = VAULT_VERSION;
    m.role = (char *)"kme";
    m.site = k->site;
    return link_send(u, k->vault, VAULT_HELLO, &m.base);
}

int kme_vault_ingest(struct kme *k, const struct kme_link *l, const struct source_block *block,
    const struct kme_part *part, const uint8_t *key, struct update *u)
{
    Vault__Ingest m = VAULT__INGEST__INIT;
    m.peer = (char *)l->peer;
    m.block = (ProtobufCBinaryData){sizeof(part->id), (uint8_t *)part->id};
    m.source = (char *)l->source->name;
    m.simulated = block->simulated;
    m.key = (ProtobufCBinaryData){part->len, (uint8_t *)key};
    return link_send_secret(u, k->vault, VAULT_INGEST, &m.base);
}

int kme_vault_carry(
    struct kme *k, const struct kme_link *l, ProtobufCBinaryData data, struct update *u)
{
    Vault__Carry m = VAULT__CARRY__INIT;
    m.peer = (char *)l->peer;
    m.data = data;
    return link_send(u, k->vault, VAULT_CARRY, &m.base);
}

/* Without a link nobody waits for pads any more: the source has been told. */
int kme_vault_draw(
    struct kme *k, const struct kme_link *l, const struct source_draw *d, struct update *u)
{
    if (!k->is_attached || !l->is_up)
        return 0;
    Vault__Draw m = VAULT__DRAW__INIT;
    m.peer = (char *)l->peer;
    m.receive = d->receive;
    m.start = d->start;
    m.length = d->len;
    m.ticket = d->ticket;
    return link_send(u, k->vault, VAULT_DRAW, &m.base);
}

int kme_vault_link_state(const struct kme *k, const struct kme_link *l, bool up, struct update *u)
{
    if (!k->is_attached || !l->is_paired)
        return 0;
    Vault__LinkState m = VAULT__LINK_STATE__INIT;
    m.peer = (char *)l->peer;
    m.up = up;
    return link_send(u, k->vault, VAULT_LINK_STATE, &m.base);
}

/* ---- said by the vault -------------------------------------------------------------------- */

static int tell_peers(struct kme *k, struct update *u)
{
    for (size_t i = 0; i < k->n_links; i++) {
        int r = kme_peer_say_pool(k, &k->links[i], u);
        if (r == 0)
            r = kme_refresh(k, &k->links[i], u);
        if (r < 0)
            return r;
    }
    return 0;
}

static int on_welcome(struct kme *k, const Vault__Welcome *m, struct update *u)
{
    if (m->version != VAULT_VERSION)
        return drop(k, u, "it speaks another version of the exchange");
    if (strcmp(m->site, k->site) != 0)
        return drop(k, u, "it is the key pool of another site");
    for (size_t i = 0; i < m->n_peers; i++) {
        struct kme_link *l = kme_find_link(k, m->peers[i]);
        if (l)
            l->is_paired = true;
    }
    k->is_attached = true;
    k->epoch++;
    int r = update_limit(u, k->vault, exchange_body_max(&vault_exchange, LINK_RESPONDER));
    return r < 0 ? r : tell_peers(k, u);
}

/* A peer that is paired while we are connected is heard of by its room. */
static int on_room(struct kme *k, const Vault__Room *m, struct update *u)
{
    struct kme_link *l = kme_find_link(k, m->peer);
    if (!l)
        return 0;
    l->is_paired = true;
    l->room = m->bytes;
    l->room_max = MAX(m->bytes, l->room_max);
    l->auth_bytes = MIN(m->auth_tx, m->auth_rx);
    l->in_step = m->in_step;
    l->is_low = m->low;
    return kme_refresh(k, l, u);
}

static int on_ingested(struct kme *k, const Vault__Ingested *m, struct update *u)
{
    struct kme_link *l = kme_find_link(k, m->peer);
    if (!l || m->block.len != SOURCE_BLOCK_ID_BYTES)
        return drop(k, u, "it answers what was not asked");
    return kme_blocks_ingested(k, l, m->block.data, (enum vault_code)m->code, m->reason, u);
}

static int on_decided(struct kme *k, const Vault__Decided *m, struct update *u)
{
    struct kme_link *l = kme_find_link(k, m->peer);
    if (!l || m->block.len != SOURCE_BLOCK_ID_BYTES)
        return 0; /* of a link that was taken out of the configuration */
    return kme_blocks_decided(k, l, m->block.data, m->confirmed, u);
}

static int on_drawn(struct kme *k, const Vault__Drawn *m, struct update *u)
{
    struct kme_link *l = kme_find_link(k, m->peer);
    const struct source_pads pads = {.peer = m->peer,
        .ticket = m->ticket,
        .start = m->start,
        .data = m->code == VAULT_OK ? m->data.data : NULL,
        .len = m->data.len,
        .reason = m->reason};
    bool is_wanted = l && l->is_up && l->source->ops->drawn;
    int r = is_wanted ? l->source->ops->drawn(l->source, &pads, u) : 0;
    secret_wipe(m->data.data, m->data.len);
    return r;
}

static int on_carry(struct kme *k, const Vault__Carry *m, struct update *u)
{
    struct kme_link *l = kme_find_link(k, m->peer);
    return l && l->is_up ? kme_peer_carry(k, l, m->data, u) : 0;
}

static int hear(struct kme *k, uint16_t type, const ProtobufCMessage *m, struct update *u)
{
    switch (type) {
    case VAULT_WELCOME:
        return on_welcome(k, (const Vault__Welcome *)m, u);
    case VAULT_ROOM:
        return on_room(k, (const Vault__Room *)m, u);
    case VAULT_INGESTED:
        return on_ingested(k, (const Vault__Ingested *)m, u);
    case VAULT_DECIDED:
        return on_decided(k, (const Vault__Decided *)m, u);
    case VAULT_CARRY:
        return on_carry(k, (const Vault__Carry *)m, u);
    case VAULT_DRAWN:
        return on_drawn(k, (const Vault__Drawn *)m, u);
    default:
        return drop(k, u, "it answers what was not asked");
    }
}

int kme_vault_frame(struct kme *k, const struct event *event, struct update *u)
{
    struct err e = {{0}};
    ProtobufCMessage *message;
    arena_reset(k->arena, false);
    int r = link_frame(&k->vault_link, event, k->arena, u, &message, &e);
    if (r > 0)
        return drop(k, u, e.text);
    return r < 0 || !message ? r : hear(k, event->frame.type, message, u);
}

int kme_vault_lost(struct kme *k, struct update *u)
{
    bool was_attached = k->is_attached;
    k->vault = 0;
    k->is_attached = false;
    for (size_t i = 0; i < k->n_links; i++) {
        struct kme_link *l = &k->links[i];
        int r = kme_blocks_vault_lost(k, l, u);
        l->is_paired = false;
        l->room = 0;
        l->in_step = false;
        if (r == 0 && was_attached)
            r = kme_peer_say_pool(k, l, u);
        if (r == 0)
            r = kme_refresh(k, l, u);
        if (r < 0)
            return r;
    }
    return 0;
}

int kme_vault_tick(struct kme *k, struct update *u)
{
    struct err e = {{0}};
    int r = k->vault ? link_tick(&k->vault_link, k->now_ms, k->vault, u, &e) : 0;
    return r > 0 ? drop(k, u, e.text) : r;
}
