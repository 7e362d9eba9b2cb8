/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's connection: grants out, blocks and Eve's announcements in. */
#include "keypool/mdi/mdi_intake.h"
#include "keypool/mdi/mdi_internal.h"

#include "common/util.h"
#include "proto/kme.h"
#include "proto/qkd.pb-c.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- grants ------------------------------------------------------------------------------------- */

/* As far as can be known before it begins; what begins all the same and finds no memory is void. */
static bool has_memory(const struct mdi_peer *p)
{
    uint64_t needed = 0;
    for (size_t i = 0; i < p->n_blocks; i++)
        needed = MAX(needed, p->blocks[i]->memory);
    return p->source->memory + needed <= p->source->config.memory_bytes;
}

int mdi_simulator_grant(struct mdi_peer *p, struct update *u)
{
    const struct source_mdi *s = p->source;
    bool may = s->is_welcome && p->is_known && p->channel_up && mdi_peer_has_keys(p);
    int r = 0;
    while (r == 0 && may && p->said < p->grants && has_memory(p)) {
        Qkd__Grant m = QKD__GRANT__INIT;
        m.peer = p->name;
        p->said++;
        r = link_send(u, s->conn, QKD_GRANT, &m.base);
    }
    return r;
}

/* ---- the connection ----------------------------------------------------------------------------- */

static int void_intakes(struct source_mdi *s, const char *why, struct update *u)
{
    for (size_t i = 0; i < s->n_peers; i++) {
        struct mdi_peer *p = &s->peers[i];
        p->is_known = false;
        p->said = 0;
        for (size_t k = p->n_blocks; k-- > 0;) {
            int r = k < p->n_blocks && p->blocks[k]->state == MDI_INTAKE
                        ? mdi_block_void(p->blocks[k], why, u)
                        : 0;
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int forget(struct source_mdi *s, const char *why, struct update *u)
{
    char text[MDI_TEXT_MAX];
    snprintf(text, sizeof(text), "the simulator is disconnected: %.180s", why);
    s->conn = 0;
    s->is_welcome = false;
    return void_intakes(s, text, u);
}

static int drop(struct source_mdi *s, struct update *u, const char *why)
{
    uint32_t conn = s->conn;
    update_note(u, NOTE_WARNING, "the simulator is disconnected: %s", why);
    int r = forget(s, why, u);
    return r < 0 ? r : update_close(u, conn, "%s", why);
}

static int open_link(struct source_mdi *s, const struct event *event, struct update *u)
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

static int hear_welcome(struct source_mdi *s, const Qkd__Welcome *m, struct update *u)
{
    if (m->version != QKD_VERSION)
        return drop(s, u, "it speaks another version of the exchange");
    if (strcmp(m->level, "event") != 0 && strcmp(m->level, "pulse") != 0) {
        snprintf(s->refusal, sizeof(s->refusal),
            "the simulator gives finished key (level %.16s): these links need a source of type sim",
            m->level);
        return drop(s, u, s->refusal);
    }
    s->refusal[0] = '\0';
    snprintf(s->level, sizeof(s->level), "%s", m->level);
    snprintf(s->name, sizeof(s->name), "mdi-qkd-%s", m->level);
    s->is_welcome = true;
    int r = update_limit(u, s->conn, exchange_body_max(&qkd_exchange, LINK_RESPONDER));
    for (size_t i = 0; r == 0 && i < m->n_peers; i++) {
        struct mdi_peer *p = mdi_find_peer(s, m->peers[i]);
        if (!p)
            continue;
        p->is_known = true;
        r = mdi_simulator_grant(p, u);
    }
    return r;
}

/* ---- blocks ------------------------------------------------------------------------------------- */

static struct post_config config_of(const struct mdi_peer *p, const Qkd__Block *m)
{
    struct post_config c = p->source->config.post;
    c.side = p->side;
    memcpy(c.block, m->block.data, sizeof(c.block));
    c.keyrate.pulses = (double)m->pulses;
    c.keyrate.seconds = m->seconds;
    c.mu = m->mu;
    c.share_xx = m->share_xx;
    c.share_yy = m->share_yy;
    c.expected_e_y = m->expected_e_y;
    return c;
}

static bool is_busy(const struct mdi_peer *p)
{
    bool is = p->n_blocks == MDI_BLOCKS_MAX;
    for (size_t i = 0; i < p->n_blocks; i++)
        is = is || p->blocks[i]->state == MDI_INTAKE;
    return is;
}

static int hear_block(struct source_mdi *s, const Qkd__Block *m, struct update *u)
{
    struct mdi_peer *p = mdi_find_peer(s, m->peer);
    struct mdi_block *b;
    struct err why = {{0}};
    if (!p || p->said == 0 || is_busy(p))
        return drop(s, u, "it begins a block that was not granted");
    if (m->block.len != MDI_ID_BYTES || mdi_block_find(p, m->block.data) || m->pulses == 0 ||
        m->pulses > POST_PULSES_MAX || !(m->seconds > 0))
        return drop(s, u, "it begins a block that cannot be");
    const struct post_config config = config_of(p, m);
    if (!post_config_is_sane(&config, &why))
        return drop(s, u, why.text);
    p->said--;
    p->grants--;
    return mdi_block_begin(p, m->block.data, &config, &b, u);
}

/* The block that the simulator speaks of, if it is still wanted; an unknown one was stopped here. */
static struct mdi_block *find_intake(
    const struct source_mdi *s, const char *peer, ProtobufCBinaryData id)
{
    const struct mdi_peer *p = mdi_find_peer(s, peer);
    struct mdi_block *b = p && id.len == MDI_ID_BYTES ? mdi_block_find(p, id.data) : NULL;
    return b && b->state == MDI_INTAKE ? b : NULL;
}

static int say_got(const struct source_mdi *s, const struct mdi_block *b, struct update *u)
{
    Qkd__Got m = QKD__GOT__INIT;
    m.peer = b->peer->name;
    m.block = (ProtobufCBinaryData){MDI_ID_BYTES, (uint8_t *)b->id};
    m.events = post_record_clicks(b->record);
    return link_send(u, s->conn, QKD_GOT, &m.base);
}

static int hear_events(struct source_mdi *s, const Qkd__Events *m, struct update *u)
{
    struct err why = {{0}};
    struct mdi_block *b = find_intake(s, m->peer, m->block);
    if (!b)
        return 0;
    int r = mdi_intake(b->record, m, &b->position, &why);
    if (r == MDI_E_MALFORMED)
        return drop(s, u, why.text);
    if (r == MDI_E_ANNOUNCEMENT) {
        b->peer->gain = 0; /* the next may be as large as the light allows */
        return mdi_block_void(b, why.text, u);
    }
    return r < 0 ? r : say_got(s, b, u);
}

static int hear_end(struct source_mdi *s, const Qkd__BlockEnd *m, struct update *u)
{
    char text[MDI_TEXT_MAX];
    struct mdi_block *b = find_intake(s, m->peer, m->block);
    if (!b)
        return 0;
    uint64_t n = post_record_clicks(b->record);
    if (m->events == n)
        return mdi_block_acquired(b, u);
    snprintf(
        text, sizeof(text), "%" PRIu64 " events were announced, %" PRIu64 " came", m->events, n);
    return mdi_block_void(b, text, u);
}

static int hear_off(struct source_mdi *s, const Qkd__BlockOff *m, struct update *u)
{
    char text[MDI_TEXT_MAX];
    struct mdi_block *b = find_intake(s, m->peer, m->block);
    if (!b)
        return 0;
    snprintf(text, sizeof(text), "the simulator has broken it off: %.200s", m->reason);
    b->state = MDI_READY; /* needs no STOP */
    return mdi_block_void(b, text, u);
}

int mdi_simulator_stop(
    struct source_mdi *s, const struct mdi_block *b, const char *reason, struct update *u)
{
    char text[QKD_REASON_MAX];
    Qkd__Stop m = QKD__STOP__INIT;
    if (!s->is_welcome)
        return 0;
    snprintf(text, sizeof(text), "%s", reason);
    m.peer = b->peer->name;
    m.block = (ProtobufCBinaryData){MDI_ID_BYTES, (uint8_t *)b->id};
    m.reason = text;
    return link_send(u, s->conn, QKD_STOP, &m.base);
}

/* ---- frames ------------------------------------------------------------------------------------- */

static int hear(struct source_mdi *s, uint16_t type, const ProtobufCMessage *m, struct update *u)
{
    switch (type) {
    case QKD_WELCOME:
        return hear_welcome(s, (const Qkd__Welcome *)m, u);
    case QKD_BLOCK:
        return hear_block(s, (const Qkd__Block *)m, u);
    case QKD_EVENTS:
        return hear_events(s, (const Qkd__Events *)m, u);
    case QKD_BLOCK_END:
        return hear_end(s, (const Qkd__BlockEnd *)m, u);
    case QKD_BLOCK_OFF:
        return hear_off(s, (const Qkd__BlockOff *)m, u);
    default:
        return drop(s, u, "it sends finished key at a level of raw events");
    }
}

/* The frame may hold this user's bits, or even key, whether or not it was legal. */
static int on_frame(struct source_mdi *s, const struct event *event, struct update *u)
{
    struct err e = {{0}};
    ProtobufCMessage *message;
    arena_reset(s->arena, true);
    int r = link_frame(&s->link, event, s->arena, u, &message, &e);
    if (r > 0)
        r = drop(s, u, e.text);
    else if (r == 0 && message)
        r = hear(s, event->frame.type, message, u);
    secret_wipe(event->frame.body, event->frame.len);
    return r;
}

static int tick(struct source_mdi *s, struct update *u)
{
    struct err e = {{0}};
    int r = s->conn ? link_tick(&s->link, s->source.now_ms, s->conn, u, &e) : 0;
    return r > 0 ? drop(s, u, e.text) : r;
}

int mdi_simulator_step(struct source_mdi *s, const struct event *event, struct update *u)
{
    if (event->kind == EVENT_TICK)
        return tick(s, u);
    if (event->kind == EVENT_OPENED)
        return open_link(s, event, u);
    if (s->conn == 0 || event->conn != s->conn)
        return SOURCE_E_NOT_MINE;
    return event->kind == EVENT_FRAME ? on_frame(s, event, u) : forget(s, "it hung up", u);
}
