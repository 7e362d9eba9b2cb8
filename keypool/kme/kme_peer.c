/* SPDX-License-Identifier: Apache-2.0 */
/* The KMEs of the other sites. */
#include "keypool/kme/kme_internal.h"

#include "common/util.h"
#include "proto/kme.pb-c.h"

/* ---- sessions ----------------------------------------------------------------------------- */

struct kme_link *kme_peer_of(const struct kme *k, uint32_t conn)
{
    for (size_t i = 0; conn && i < k->n_links; i++)
        if (k->links[i].session.conn == conn || k->links[i].newcomer.conn == conn)
            return &k->links[i];
    return NULL;
}

/* Ends a connection, the present one or a newcomer. */
static int drop(
    struct kme *k, struct kme_link *l, struct kme_session *s, struct update *u, const char *why)
{
    uint32_t conn = s->conn;
    update_note(u, NOTE_WARNING, "the KME of %s is disconnected: %s", l->peer, why);
    int r = kme_peer_closed(k, l, conn, u);
    return r < 0 ? r : update_close(u, conn, "%s", why);
}

int kme_peer_closed(struct kme *k, struct kme_link *l, uint32_t conn, struct update *u)
{
    if (l->newcomer.conn == conn) {
        l->newcomer.conn = 0;
        return 0;
    }
    l->session.conn = 0;
    l->peer_attached = false;
    return kme_refresh(k, l, u);
}

int kme_peer_open(struct kme *k, const struct event *event, struct update *u)
{
    struct kme_link *l = kme_find_link(k, event->opened.site);
    if (!l)
        return update_close(u, event->conn, "%s has no link with %s", k->site, event->opened.site);
    int r = l->newcomer.conn ? drop(k, l, &l->newcomer, u, "replaced by a newer connection") : 0;
    if (r < 0)
        return r;
    l->newcomer.conn = event->conn;
    link_init(&l->newcomer.link, &kme_exchange,
        kme_dials(k->site, l->peer) ? LINK_INITIATOR : LINK_RESPONDER, k->now_ms);
    Kme__Hello m = KME__HELLO__INIT;
    m.version = KME_VERSION;
    m.site = k->site;
    m.nonce = (ProtobufCBinaryData){sizeof(k->nonce), k->nonce};
    return link_send(u, event->conn, KME_HELLO, &m.base);
}

/* The newcomer takes its place. */
static int promote(struct kme *k, struct kme_link *l, struct update *u)
{
    l->session = l->newcomer;
    l->newcomer.conn = 0;
    l->peer_attached = false;
    int r = kme_refresh(k, l, u);
    if (r == 0)
        r = update_limit(u, l->session.conn, exchange_body_max(&kme_exchange, LINK_INITIATOR));
    if (r == 0 && k->is_attached)
        r = kme_peer_say_pool(k, l, u);
    return r;
}

/* The same process coming again replaces its old connection; another one has to wait until the old
 * one is known to be dead: never two KMEs of one site at a time. */
static int on_hello(struct kme *k, struct kme_link *l, const Kme__Hello *m, struct update *u)
{
    struct kme_session *s = &l->newcomer;
    if (m->version != KME_VERSION)
        return drop(k, l, s, u, "it speaks another version of the exchange");
    if (strcmp(m->site, l->peer) != 0)
        return drop(k, l, s, u, "it says to be another site than its certificate");
    if (m->nonce.len != KME_NONCE_BYTES)
        return drop(k, l, s, u, "its nonce is not 16 bytes long");
    memcpy(s->nonce, m->nonce.data, KME_NONCE_BYTES);
    int r = 0;
    if (l->session.conn && memcmp(l->session.nonce, s->nonce, KME_NONCE_BYTES) != 0) {
        r = link_ping(&l->session.link, k->now_ms, l->session.conn, u);
        return r < 0 ? r : drop(k, l, s, u, "another KME of that site is connected");
    }
    if (l->session.conn)
        r = drop(k, l, &l->session, u, "replaced by a newer connection");
    return r < 0 ? r : promote(k, l, u);
}

/* ---- messages ----------------------------------------------------------------------------- */

int kme_peer_say_pool(const struct kme *k, const struct kme_link *l, struct update *u)
{
    if (l->session.conn == 0)
        return 0;
    Kme__Pool m = KME__POOL__INIT;
    m.attached = k->is_attached;
    m.epoch = k->epoch;
    return link_send(u, l->session.conn, KME_POOL, &m.base);
}

int kme_peer_carry(
    const struct kme *k, const struct kme_link *l, ProtobufCBinaryData data, struct update *u)
{
    Kme__Carry m = KME__CARRY__INIT;
    m.data = data;
    m.epoch = l->peer_epoch;
    return link_send(u, l->session.conn, KME_CARRY, &m.base);
}

int kme_peer_source(const struct kme_link *l, const void *data, size_t len, struct update *u)
{
    Kme__Source m = KME__SOURCE__INIT;
    m.data = (ProtobufCBinaryData){len, (uint8_t *)data};
    m.epoch = l->peer_epoch;
    return link_send(u, l->session.conn, KME_SOURCE, &m.base);
}

static int on_pool(struct kme *k, struct kme_link *l, const Kme__Pool *m, struct update *u)
{
    bool is_another = m->attached && m->epoch != l->peer_epoch;
    l->peer_attached = m->attached;
    l->peer_epoch = m->epoch;
    return is_another ? kme_renew(k, l, u) : kme_refresh(k, l, u);
}

/* A message to an earlier attachment of our vault is late: nobody waits for it. */
static bool is_current(const struct kme *k, const struct kme_link *l, uint64_t epoch)
{
    return l->is_up && epoch == k->epoch;
}

static int on_carry(struct kme *k, struct kme_link *l, const Kme__Carry *m, struct update *u)
{
    return is_current(k, l, m->epoch) ? kme_vault_carry(k, l, m->data, u) : 0;
}

static int on_source(struct kme *k, struct kme_link *l, const Kme__Source *m, struct update *u)
{
    struct err e = {{0}};
    const struct source_ops *ops = l->source->ops;
    if (!is_current(k, l, m->epoch))
        return 0;
    if (!ops->message)
        return drop(k, l, &l->session, u, "this source has no messages");
    int r = ops->message(l->source, l->peer, m->data.data, m->data.len, u, &e);
    return r > 0 ? drop(k, l, &l->session, u, e.text) : r;
}

static int hear(
    struct kme *k, struct kme_link *l, uint16_t type, const ProtobufCMessage *m, struct update *u)
{
    switch (type) {
    case KME_HELLO:
        return on_hello(k, l, (const Kme__Hello *)m, u);
    case KME_POOL:
        return on_pool(k, l, (const Kme__Pool *)m, u);
    case KME_CARRY:
        return on_carry(k, l, (const Kme__Carry *)m, u);
    default:
        return on_source(k, l, (const Kme__Source *)m, u);
    }
}

int kme_peer_frame(struct kme *k, struct kme_link *l, const struct event *event, struct update *u)
{
    struct kme_session *s = l->session.conn == event->conn ? &l->session : &l->newcomer;
    struct err e = {{0}};
    ProtobufCMessage *message;
    arena_reset(k->arena, false);
    int r = link_frame(&s->link, event, k->arena, u, &message, &e);
    if (r > 0)
        return drop(k, l, s, u, e.text);
    return r < 0 || !message ? r : hear(k, l, event->frame.type, message, u);
}

/* ---- time --------------------------------------------------------------------------------- */

static int tick(struct kme *k, struct kme_link *l, struct kme_session *s, struct update *u)
{
    struct err e = {{0}};
    int r = s->conn ? link_tick(&s->link, k->now_ms, s->conn, u, &e) : 0;
    return r > 0 ? drop(k, l, s, u, e.text) : r;
}

int kme_peer_tick(struct kme *k, struct kme_link *l, struct update *u)
{
    int r = tick(k, l, &l->session, u);
    return r < 0 ? r : tick(k, l, &l->newcomer, u);
}

uint64_t kme_peer_deadline_ms(const struct kme_link *l)
{
    uint64_t present = l->session.conn ? link_deadline_ms(&l->session.link) : NEVER_MS;
    uint64_t next = l->newcomer.conn ? link_deadline_ms(&l->newcomer.link) : NEVER_MS;
    return MIN(present, next);
}
