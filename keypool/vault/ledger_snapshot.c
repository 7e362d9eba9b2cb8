/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger as a list of entries: whole, or what is not saved yet. */
#include "keypool/vault/ledger.h"

#include "common/util.h"

static struct entry about(enum entry_kind kind, const uint8_t *stream)
{
    struct entry e = {.kind = kind};
    memcpy(e.stream, stream, ENTRY_ID_BYTES);
    return e;
}

static int put_number(struct buf *to, enum entry_kind kind, const uint8_t *stream, uint64_t number)
{
    struct entry e = about(kind, stream);
    e.number = number;
    return entry_encode(to, &e);
}

/* ---- snapshot -------------------------------------------------------------------------------- */

static int put_identity(const struct ledger *l, struct buf *to)
{
    struct entry e = {.kind = ENTRY_IDENTITY};
    memcpy(e.identity.site, l->site, sizeof(l->site));
    memcpy(e.identity.machine, l->machine, sizeof(l->machine));
    int r = entry_encode(to, &e);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(l->last); i++) {
        e = (struct entry){.kind = ENTRY_ATTEMPT, .attempt = l->last[i]};
        if (l->last[i].role != ROLE_NONE)
            r = entry_encode(to, &e);
    }
    for (size_t i = 0; r == 0 && i < l->n_retired; i++) {
        e = about(ENTRY_RETIRED, l->retired[i]);
        r = entry_encode(to, &e);
    }
    return r;
}

static int put_peer(const struct ledger_peer *p, struct buf *to)
{
    struct entry e = {.kind = ENTRY_PEER};
    const struct ledger_stream *tx = &p->streams[VAULT_AUTH_TX];
    const struct ledger_stream *rx = &p->streams[VAULT_AUTH_RX];
    memcpy(e.peer.site, p->site, sizeof(p->site));
    memcpy(e.peer.mask, p->streams[VAULT_MASK].id, ENTRY_ID_BYTES);
    memcpy(e.peer.low_high, p->decides ? tx->id : rx->id, ENTRY_ID_BYTES);
    memcpy(e.peer.high_low, p->decides ? rx->id : tx->id, ENTRY_ID_BYTES);
    return entry_encode(to, &e);
}

static int put_stream(const struct ledger_stream *s, struct buf *to)
{
    struct entry e = about(ENTRY_STREAM, s->id);
    e.account = (struct entry_stream){
        .cursor = s->cursor,
        .end = s->end,
        .used = s->used,
        .skipped = s->skipped,
        .voided = s->voided,
        .expired = s->expired,
        .heard = s->heard,
        .blocks = s->blocks,
        .void_blocks = s->void_blocks,
        .simulated = s->simulated,
    };
    memcpy(e.account.source, s->source, sizeof(s->source));
    return entry_encode(to, &e);
}

static int put_block(
    const struct ledger_peer *p, const struct ledger_block *b, enum entry_kind kind, struct buf *to)
{
    struct entry e = about(kind, p->streams[VAULT_MASK].id);
    const struct ledger_share *mask = ledger_block_share(b, VAULT_MASK);
    if (kind == ENTRY_BLOCK && !mask)
        return 0; /* all of it is in the pads' file */
    e.block = (struct entry_block){.len = b->len, .simulated = b->simulated};
    memcpy(e.block.id, b->id, sizeof(b->id));
    memcpy(e.block.source, b->source, sizeof(b->source));
    if (kind == ENTRY_BLOCK) {
        e.block.mask_start = mask->start;
        e.block.mask_offset = mask->offset;
        e.block.mask_len = mask->len;
    }
    return entry_encode(to, &e);
}

static int put_known(const struct ledger_peer *p, struct buf *to)
{
    size_t first = p->n_known > LEDGER_KNOWN_MAX ? p->n_known - LEDGER_KNOWN_MAX : 0;
    int r = 0;
    for (size_t i = first; r == 0 && i < p->n_known; i++) {
        struct entry e = about(ENTRY_KNOWN, p->streams[VAULT_MASK].id);
        memcpy(e.id, p->known[i % LEDGER_KNOWN_MAX], ENTRY_ID_BYTES);
        r = entry_encode(to, &e);
    }
    return r;
}

static int put_decisions(const struct ledger_peer *p, struct buf *to)
{
    const uint8_t *mask = p->streams[VAULT_MASK].id;
    int r = put_number(to, ENTRY_SEQ, mask, p->next_seq);
    for (size_t i = 0; r == 0 && i < p->n_retained; i++) {
        struct entry e = about(ENTRY_RETAINED, mask);
        e.decision = p->retained[i];
        r = entry_encode(to, &e);
    }
    return r;
}

static int put_pair(const struct ledger_peer *p, struct buf *to)
{
    int r = put_peer(p, to);
    for (size_t i = 0; r == 0 && i < LEDGER_STREAMS; i++)
        r = put_stream(&p->streams[i], to);
    for (size_t i = 0; r == 0 && i < p->n_blocks; i++)
        r = put_block(p, p->blocks[i], ENTRY_BLOCK, to);
    for (size_t i = 0; r == 0 && i < p->n_staged; i++)
        r = put_block(p, p->staged[i], ENTRY_STAGED, to);
    if (r == 0)
        r = put_known(p, to);
    return r == 0 ? put_decisions(p, to) : r;
}

int ledger_snapshot(const struct ledger *l, struct buf *to)
{
    int r = put_identity(l, to);
    for (size_t i = 0; r == 0 && i < l->n; i++)
        r = put_pair(l->peers[i], to);
    return r;
}

/* ---- what is not saved yet ------------------------------------------------------------------- */

static int save_stream(struct ledger_stream *s, struct buf *to)
{
    int r = 0;
    if (s->unsaved_used + s->unsaved_voided > 0) {
        struct entry e = about(ENTRY_SETTLE, s->id);
        e.settle = (struct entry_settle){s->unsaved_used, s->unsaved_voided};
        r = entry_encode(to, &e);
    }
    if (r == 0 && s->unsaved_heard)
        r = put_number(to, ENTRY_HEARD, s->id, s->heard);
    if (r < 0)
        return r;
    s->unsaved_used = 0;
    s->unsaved_voided = 0;
    s->unsaved_heard = false;
    return 0;
}

int ledger_save(struct ledger *l, struct buf *to)
{
    int r = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct ledger_peer *p = l->peers[i];
        for (size_t k = 0; r == 0 && k < LEDGER_STREAMS; k++)
            r = save_stream(&p->streams[k], to);
        if (r == 0 && p->unsaved_acked)
            r = put_number(to, ENTRY_ACKED, p->streams[VAULT_MASK].id, p->acked);
        if (r == 0)
            p->unsaved_acked = false;
    }
    return r;
}
