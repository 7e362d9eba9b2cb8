/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/entry.h"

#include "common/util.h"

#include <string.h>

/* One description of the fields serves both ways: with `out` set values are appended, else read. */
struct wire {
    struct buf *out;
    const uint8_t *in;
    size_t left;
    int error; /* first -errno of writing, or ENTRY_E_MALFORMED of reading */
};

static void wire_bytes(struct wire *w, void *p, size_t len)
{
    if (w->error)
        return;
    if (w->out) {
        w->error = buf_append(w->out, p, len);
        return;
    }
    if (w->left < len) {
        w->error = ENTRY_E_MALFORMED;
        return;
    }
    memcpy(p, w->in, len);
    w->in += len;
    w->left -= len;
}

static void wire_u64(struct wire *w, uint64_t *v)
{
    uint8_t bytes[8];
    put_u64le(bytes, *v);
    wire_bytes(w, bytes, sizeof(bytes));
    *v = get_u64le(bytes);
}

/* An enumeration or bool of at most `max`. */
static unsigned wire_small(struct wire *w, unsigned v, unsigned max)
{
    uint8_t byte = (uint8_t)v;
    wire_bytes(w, &byte, 1);
    if (!w->error && byte > max)
        w->error = ENTRY_E_MALFORMED;
    return w->error ? 0 : byte;
}

static void wire_bool(struct wire *w, bool *v)
{
    *v = wire_small(w, *v, 1) == 1;
}

static void wire_text(struct wire *w, char *text, size_t size)
{
    unsigned len = wire_small(w, (unsigned)strnlen(text, size - 1), (unsigned)size - 1);
    wire_bytes(w, text, len);
    text[len] = '\0';
}

static void wire_id(struct wire *w, uint8_t *id)
{
    wire_bytes(w, id, ENTRY_ID_BYTES);
}

static void wire_identity(struct wire *w, struct entry_identity *i)
{
    wire_text(w, i->site, sizeof(i->site));
    wire_bytes(w, i->machine, sizeof(i->machine));
}

static void wire_peer(struct wire *w, struct entry_peer *p)
{
    wire_text(w, p->site, sizeof(p->site));
    wire_id(w, p->mask);
    wire_id(w, p->low_high);
    wire_id(w, p->high_low);
}

static void wire_burn(struct wire *w, struct entry_burn *b)
{
    b->use = wire_small(w, b->use, BURN_SKIP);
    b->role = wire_small(w, b->role, ROLE_CTL);
    wire_id(w, b->run);
    wire_u64(w, &b->attempt);
    wire_u64(w, &b->start);
    wire_u64(w, &b->end);
}

static void wire_block(struct wire *w, struct entry_block *b)
{
    wire_id(w, b->id);
    wire_u64(w, &b->len);
    wire_text(w, b->source, sizeof(b->source));
    wire_bool(w, &b->simulated);
    wire_u64(w, &b->mask_start);
    wire_u64(w, &b->mask_offset);
    wire_u64(w, &b->mask_len);
}

static void wire_decision(struct wire *w, struct entry_decision *d)
{
    wire_u64(w, &d->seq);
    wire_id(w, d->id);
    wire_bool(w, &d->confirmed);
    for (size_t i = 0; i < ENTRY_SHARES_MAX; i++) {
        d->shares[i].purpose = wire_small(w, d->shares[i].purpose, VAULT_AUTH_RX);
        wire_u64(w, &d->shares[i].len);
    }
}

static void wire_attempt(struct wire *w, struct entry_attempt *a)
{
    a->role = wire_small(w, a->role, ROLE_CTL);
    wire_id(w, a->run);
    wire_u64(w, &a->attempt);
}

static void wire_account(struct wire *w, struct entry_stream *s)
{
    uint64_t *const numbers[] = {&s->cursor, &s->end, &s->used, &s->skipped, &s->voided,
        &s->expired, &s->heard, &s->blocks, &s->void_blocks};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        wire_u64(w, numbers[i]);
    wire_text(w, s->source, sizeof(s->source));
    wire_bool(w, &s->simulated);
}

static void wire_entry(struct wire *w, struct entry *e)
{
    e->kind = wire_small(w, e->kind, ENTRY_STARTED);
    wire_id(w, e->stream);
    switch (e->kind) {
    case ENTRY_IDENTITY:
        wire_identity(w, &e->identity);
        return;
    case ENTRY_PEER:
        wire_peer(w, &e->peer);
        return;
    case ENTRY_GROW:
    case ENTRY_ACKED:
    case ENTRY_HEARD:
    case ENTRY_SEQ:
        wire_u64(w, &e->number);
        return;
    case ENTRY_BURN:
        wire_burn(w, &e->burn);
        return;
    case ENTRY_SETTLE:
        wire_u64(w, &e->settle.used);
        wire_u64(w, &e->settle.voided);
        return;
    case ENTRY_STAGED:
    case ENTRY_BLOCK:
        wire_block(w, &e->block);
        return;
    case ENTRY_DROPPED:
    case ENTRY_KNOWN:
        wire_id(w, e->id);
        return;
    case ENTRY_DECISION:
    case ENTRY_RETAINED:
        wire_decision(w, &e->decision);
        return;
    case ENTRY_ATTEMPT:
        wire_attempt(w, &e->attempt);
        return;
    case ENTRY_STREAM:
        wire_account(w, &e->account);
        return;
    case ENTRY_RETIRED:
    case ENTRY_STARTED:
        return;
    }
    if (!w->error)
        w->error = ENTRY_E_MALFORMED; /* kind 0 */
}

int entry_encode(struct buf *to, const struct entry *e)
{
    struct entry copy = *e;
    struct wire w = {.out = to};
    wire_entry(&w, &copy);
    return w.error;
}

int entry_decode(const uint8_t **data, size_t *len, struct entry *e)
{
    struct wire w = {.in = *data, .left = *len};
    *e = (struct entry){0};
    wire_entry(&w, e);
    *data = w.in;
    *len = w.left;
    return w.error;
}
