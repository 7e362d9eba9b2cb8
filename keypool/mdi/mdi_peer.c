/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of a link: hash keys for as long as the channel lasts, pads, messages. */
#include "keypool/mdi/mdi_internal.h"

#include "common/util.h"
#include "proto/post.h"

#include <errno.h>
#include <stdio.h>

static uint64_t now_ms(const struct mdi_peer *p)
{
    return p->source->source.now_ms;
}

/* ---- saying and drawing ------------------------------------------------------------------------- */

int mdi_peer_say(struct mdi_peer *p, const struct mdi_message *m, struct update *u)
{
    struct buf bytes = {0};
    if (!p->channel_up)
        return 0;
    int r = mdi_wire_put(&bytes, m);
    if (r == 0)
        r = p->source->source.send(p->source->source.owner, p->name, bytes.data, bytes.len, u);
    buf_deinit(&bytes);
    return r;
}

int mdi_peer_draw(
    struct mdi_peer *p, bool receive, uint64_t place, uint64_t *ticket, struct update *u)
{
    struct source_mdi *s = p->source;
    *ticket = ++s->last_number;
    const struct source_draw d = {.peer = p->name,
        .receive = receive,
        .start = place,
        .len = POST_TAG_BYTES,
        .ticket = *ticket};
    return s->source.draw(s->source.owner, &d, u);
}

/* ---- hash keys ---------------------------------------------------------------------------------- */

bool mdi_peer_has_keys(const struct mdi_peer *p)
{
    return p->keys[MDI_OWN].is_here && p->keys[MDI_THEIRS].is_here;
}

static int draw_own(struct mdi_peer *p, struct update *u)
{
    p->keys[MDI_OWN] = (struct mdi_key){0};
    p->key_retry_ms = NEVER_MS;
    p->tags = 0;
    return mdi_peer_draw(p, false, 0, &p->keys[MDI_OWN].ticket, u);
}

/* A block that has not yet been talked about would be hashed under the key before. */
static int void_unspoken(struct mdi_peer *p, struct update *u)
{
    for (size_t i = p->n_blocks; i-- > 0;) {
        if (i >= p->n_blocks || p->blocks[i]->state == MDI_POSTING)
            continue;
        int r = mdi_block_void(p->blocks[i], "the hash key of the channel is being renewed", u);
        if (r < 0)
            return r;
    }
    return 0;
}

int mdi_peer_renew_key(struct mdi_peer *p, struct update *u)
{
    bool is_due = p->keys[MDI_OWN].is_here && p->tags >= p->source->config.key_tags;
    for (size_t i = 0; i < p->n_blocks; i++)
        is_due = is_due && p->blocks[i]->state != MDI_POSTING;
    if (!is_due)
        return 0;
    p->keys[MDI_OWN].is_here = false;
    p->tags = 0;
    int r = void_unspoken(p, u);
    return r < 0 ? r : draw_own(p, u);
}

static int hear_key(struct mdi_peer *p, uint64_t place, struct update *u)
{
    p->keys[MDI_THEIRS] = (struct mdi_key){.place = place, .is_told = true};
    if (!p->channel_up)
        return 0;
    int r = void_unspoken(p, u);
    return r < 0 ? r : mdi_peer_draw(p, true, place, &p->keys[MDI_THEIRS].ticket, u);
}

/* Not at once: what is wrong needs time, or an operator. */
static int hear_again(struct mdi_peer *p)
{
    p->keys[MDI_OWN].is_here = false;
    p->key_retry_ms = now_ms(p) + MDI_KEY_RETRY_MS;
    snprintf(p->key_refusal, sizeof(p->key_refusal), "the other end cannot draw the hash key");
    return 0;
}

static int refuse_key(struct mdi_peer *p, int which, const char *why, struct update *u)
{
    const struct mdi_message again = {.kind = MDI_AGAIN};
    snprintf(p->key_refusal, sizeof(p->key_refusal), "no hash key: %.200s", why);
    if (which == MDI_THEIRS)
        return mdi_peer_say(p, &again, u);
    p->key_retry_ms = now_ms(p) + MDI_KEY_RETRY_MS;
    return 0;
}

static int take_key(struct mdi_peer *p, int which, const struct source_pads *pads, struct update *u)
{
    struct mdi_key *k = &p->keys[which];
    k->ticket = 0;
    if (!pads->data || pads->len != POST_TAG_BYTES)
        return refuse_key(p, which, pads->reason, u);
    k->place = pads->start;
    k->is_here = true;
    memcpy(p->key_bytes.data + which * POST_TAG_BYTES, pads->data, POST_TAG_BYTES);
    const struct mdi_message m = {.kind = MDI_KEY, .place = k->place};
    int r = which == MDI_OWN ? mdi_peer_say(p, &m, u) : 0;
    return r < 0 ? r : mdi_simulator_grant(p, u);
}

int mdi_peer_drawn(struct mdi_peer *p, const struct source_pads *pads, struct update *u)
{
    for (int i = MDI_OWN; i <= MDI_THEIRS; i++)
        if (p->keys[i].ticket == pads->ticket)
            return take_key(p, i, pads, u);
    for (size_t i = 0; i < p->n_blocks; i++)
        if (mdi_block_wants(p->blocks[i], pads->ticket))
            return mdi_block_drawn(p->blocks[i], pads, u);
    return 0; /* of a block that has ended */
}

/* ---- the channel -------------------------------------------------------------------------------- */

static void forget(struct mdi_peer *p)
{
    p->keys[MDI_OWN] = p->keys[MDI_THEIRS] = (struct mdi_key){0};
    secret_wipe(p->key_bytes.data, p->key_bytes.len);
    p->key_retry_ms = NEVER_MS;
    p->key_refusal[0] = '\0';
    free(steal(&p->stray));
}

int mdi_peer_channel(struct mdi_peer *p, bool up, struct update *u)
{
    const struct mdi_key theirs = p->keys[MDI_THEIRS];
    p->channel_up = up;
    forget(p);
    while (p->n_blocks > 0) {
        int r = mdi_block_void_quietly(
            p->blocks[p->n_blocks - 1], "the link with the other end went down", u);
        if (r < 0)
            return r;
    }
    int r = up ? draw_own(p, u) : 0;
    return r == 0 && up && theirs.is_told ? hear_key(p, theirs.place, u) : r;
}

int mdi_peer_tick(struct mdi_peer *p, struct update *u)
{
    if (p->channel_up && now_ms(p) >= p->key_retry_ms)
        return draw_own(p, u);
    for (size_t i = p->n_blocks; i-- > 0;) {
        int r = i < p->n_blocks ? mdi_block_tick(p->blocks[i], u) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- hearing ------------------------------------------------------------------------------------ */

/* For a block that has not begun here: kept if it is a first message; one that ends it is remembered. */
static int hear_stray(struct mdi_peer *p, const struct mdi_message *m)
{
    bool is_over = m->kind == MDI_VOID || (m->kind == MDI_POST && m->data[0] == POST_VOID);
    if (mdi_block_has_ended(p, m->block))
        return 0;
    if (is_over) {
        mdi_block_remember(p, m->block);
        return 0;
    }
    if (m->kind != MDI_POST || m->len > MDI_EARLY_MAX)
        return 0;
    free(steal(&p->stray));
    p->stray = malloc(m->len);
    if (!p->stray)
        return -ENOMEM;
    memcpy(p->stray, m->data, m->len);
    memcpy(p->stray_id, m->block, MDI_ID_BYTES);
    p->stray_len = m->len;
    return 0;
}

/* What a peer has written, for a log. */
static void clean(char *to, size_t size, const uint8_t *text, size_t len)
{
    int n = snprintf(to, size, "the other end: ");
    for (size_t i = 0; i < len && (size_t)n < size - 1; i++)
        to[n++] = text[i] < ' ' || text[i] > '~' ? '?' : (char)text[i];
    to[n] = '\0';
}

static int hear_void(struct mdi_block *b, const struct mdi_message *m, struct update *u)
{
    char text[MDI_TEXT_MAX];
    clean(text, sizeof(text), m->data, m->len);
    return mdi_block_void_quietly(b, text, u);
}

static int hear_of_block(struct mdi_peer *p, const struct mdi_message *m, struct update *u)
{
    struct mdi_block *b = mdi_block_find(p, m->block);
    if (!b)
        return hear_stray(p, m);
    if (m->kind == MDI_PAD)
        return mdi_block_note_pad(b, m->place, u);
    return m->kind == MDI_VOID ? hear_void(b, m, u) : mdi_block_hear(b, m->data, m->len, u);
}

int mdi_peer_hear(struct mdi_peer *p, uint8_t *data, size_t len, struct update *u, struct err *e)
{
    struct mdi_message m;
    if (!mdi_wire_get(&m, data, len))
        return err_set(e, SOURCE_E_VIOLATION, "post-processing: that is no message");
    if (m.kind == MDI_KEY)
        return hear_key(p, m.place, u);
    if (!p->channel_up)
        return 0;
    return m.kind == MDI_AGAIN ? hear_again(p) : hear_of_block(p, &m, u);
}
