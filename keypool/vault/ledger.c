/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/ledger.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>

static bool same_id(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, ENTRY_ID_BYTES) == 0;
}

/* Room for one more in an owned array. */
static int grow(void **array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return 0;
    size_t wanted = *cap ? 2 * *cap : 8;
    void *p = reallocarray(*array, wanted, size);
    if (!p)
        return -ENOMEM;
    *array = p;
    *cap = wanted;
    return 0;
}

/* ---- queries --------------------------------------------------------------------------------- */

struct ledger_peer *ledger_find_peer(const struct ledger *l, const char *site)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->peers[i]->site, site) == 0)
            return l->peers[i];
    return NULL;
}

struct ledger_stream *ledger_find_stream(const struct ledger *l, const uint8_t *id, size_t len)
{
    if (len != ENTRY_ID_BYTES)
        return NULL;
    for (size_t i = 0; i < l->n; i++)
        for (size_t p = 0; p < LEDGER_STREAMS; p++)
            if (same_id(l->peers[i]->streams[p].id, id))
                return &l->peers[i]->streams[p];
    return NULL;
}

struct ledger_peer *ledger_find_pair(const struct ledger *l, const uint8_t *mask_stream)
{
    struct ledger_stream *s = ledger_find_stream(l, mask_stream, ENTRY_ID_BYTES);
    return s && s->purpose == VAULT_MASK ? s->peer : NULL;
}

int ledger_find_staged(const struct ledger_peer *p, const uint8_t *id)
{
    for (size_t i = 0; i < p->n_staged; i++)
        if (same_id(p->staged[i]->id, id))
            return (int)i;
    return -1;
}

bool ledger_is_known(const struct ledger_peer *p, const uint8_t *id)
{
    for (size_t i = 0; i < MIN(p->n_known, (size_t)LEDGER_KNOWN_MAX); i++)
        if (same_id(p->known[i], id))
            return true;
    return false;
}

bool ledger_is_retired(const struct ledger *l, const uint8_t *id)
{
    for (size_t i = 0; i < l->n_retired; i++)
        if (same_id(l->retired[i], id))
            return true;
    return false;
}

struct entry_attempt *ledger_last(struct ledger *l, enum role role)
{
    return &l->last[role == ROLE_KME];
}

const struct ledger_share *ledger_block_share(
    const struct ledger_block *b, enum vault_purpose purpose)
{
    for (size_t i = 0; i < ENTRY_SHARES_MAX; i++)
        if (b->shares[i].len > 0 && b->shares[i].purpose == purpose)
            return &b->shares[i];
    return NULL;
}

uint64_t ledger_available(const struct ledger_stream *s)
{
    return s->end - s->cursor;
}

uint64_t ledger_staged_bytes(const struct ledger_peer *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < p->n_staged; i++)
        sum += p->staged[i]->len;
    return sum;
}

uint64_t ledger_first_retained(const struct ledger_peer *p)
{
    return p->n_retained > 0 ? p->retained[0].seq : p->next_seq;
}

const char *ledger_purpose_name(enum vault_purpose purpose)
{
    static const char *const names[] = {"mask", "auth-tx", "auth-rx"};
    return names[purpose];
}

/* ---- peers ----------------------------------------------------------------------------------- */

static void peer_free(struct ledger_peer *p)
{
    for (size_t i = 0; i < p->n_blocks; i++)
        free(p->blocks[i]);
    for (size_t i = 0; i < p->n_staged; i++)
        free(p->staged[i]);
    free(p->blocks);
    free(p->retained);
    free(p->known);
    free(p);
}

void ledger_deinit(struct ledger *l)
{
    for (size_t i = 0; i < l->n; i++)
        peer_free(l->peers[i]);
    free(l->peers);
    free(l->retired);
    *l = (struct ledger){0};
}

static void stream_init(
    struct ledger_peer *p, enum vault_purpose purpose, const uint8_t id[ENTRY_ID_BYTES])
{
    struct ledger_stream *s = &p->streams[purpose];
    memcpy(s->id, id, ENTRY_ID_BYTES);
    s->purpose = purpose;
    s->peer = p;
}

static bool is_id_free(const struct ledger *l, const uint8_t *id)
{
    return !ledger_find_stream(l, id, ENTRY_ID_BYTES) && !ledger_is_retired(l, id);
}

static int apply_peer(struct ledger *l, const struct entry_peer *e)
{
    bool is_free = is_id_free(l, e->mask) && is_id_free(l, e->low_high) &&
                   is_id_free(l, e->high_low) && !same_id(e->mask, e->low_high) &&
                   !same_id(e->mask, e->high_low) && !same_id(e->low_high, e->high_low);
    int order = strcmp(l->site, e->site);
    if (!is_free || ledger_find_peer(l, e->site) || order == 0 || l->n == LEDGER_PEERS_MAX)
        return LEDGER_E_CONTRADICTION;
    if (grow((void **)&l->peers, l->n, &l->cap, sizeof(struct ledger_peer *)) < 0)
        return -ENOMEM;
    struct ledger_peer *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    memcpy(p->site, e->site, sizeof(p->site));
    p->decides = order < 0;
    stream_init(p, VAULT_MASK, e->mask);
    stream_init(p, VAULT_AUTH_TX, p->decides ? e->low_high : e->high_low);
    stream_init(p, VAULT_AUTH_RX, p->decides ? e->high_low : e->low_high);
    l->peers[l->n++] = p;
    return 0;
}

static int retire_id(struct ledger *l, const uint8_t *id)
{
    void *ids = reallocarray(l->retired, l->n_retired + 1, ENTRY_ID_BYTES);
    if (!ids)
        return -ENOMEM;
    l->retired = ids;
    memcpy(l->retired[l->n_retired++], id, ENTRY_ID_BYTES);
    return 0;
}

/* With the mask stream of a pair the whole pair ends; else one id of an earlier one is noted. */
static int apply_retired(struct ledger *l, const uint8_t *id)
{
    struct ledger_peer *p = ledger_find_pair(l, id);
    if (!p)
        return ledger_find_stream(l, id, ENTRY_ID_BYTES) ? LEDGER_E_CONTRADICTION
                                                         : retire_id(l, id);
    for (size_t i = 0; i < LEDGER_STREAMS; i++)
        if (retire_id(l, p->streams[i].id) < 0)
            return -ENOMEM;
    size_t at = 0;
    while (l->peers[at] != p)
        at++;
    l->peers[at] = l->peers[--l->n];
    peer_free(p);
    return 0;
}

/* ---- streams --------------------------------------------------------------------------------- */

static void check_identity(const struct ledger_stream *s)
{
    uint64_t wasted = s->skipped + s->voided + s->expired;
    assert(s->cursor == s->reserved + s->used + wasted);
    assert(s->cursor <= s->end);
}

static int apply_burn(struct ledger *l, struct ledger_stream *s, const struct entry_burn *b)
{
    if (b->start != s->cursor || b->end <= b->start || b->end > s->end)
        return LEDGER_E_CONTRADICTION;
    uint64_t len = b->end - b->start;
    if (b->use == BURN_RESERVE) {
        struct entry_attempt *last = ledger_last(l, b->role);
        bool is_same = b->attempt == last->attempt && same_id(b->run, last->run);
        if (b->attempt <= last->attempt && !is_same)
            return LEDGER_E_CONTRADICTION;
        last->role = b->role;
        last->attempt = b->attempt;
        memcpy(last->run, b->run, ENTRY_ID_BYTES);
        s->reserved += len;
    } else {
        *(b->use == BURN_TAG ? &s->used : &s->skipped) += len;
    }
    s->cursor = b->end;
    return 0;
}

static int apply_settle(struct ledger_stream *s, const struct entry_settle *e)
{
    if (e->used > s->reserved || e->voided > s->reserved - e->used)
        return LEDGER_E_CONTRADICTION;
    s->reserved -= e->used + e->voided;
    s->used += e->used;
    s->voided += e->voided;
    return 0;
}

static int apply_grow(struct ledger_stream *s, uint64_t bytes)
{
    if (bytes > UINT64_MAX / 2 - s->end)
        return LEDGER_E_CONTRADICTION;
    s->end += bytes;
    return 0;
}

static int apply_account(struct ledger_stream *s, const struct entry_stream *e)
{
    s->cursor = e->cursor;
    s->end = e->end;
    s->used = e->used;
    s->skipped = e->skipped;
    s->voided = e->voided;
    s->expired = e->expired;
    s->heard = e->heard;
    s->blocks = e->blocks;
    s->void_blocks = e->void_blocks;
    memcpy(s->source, e->source, sizeof(s->source));
    s->simulated = e->simulated;
    uint64_t settled = s->used + s->skipped + s->voided + s->expired;
    if (settled > s->cursor || s->cursor > s->end)
        return LEDGER_E_CONTRADICTION;
    s->reserved = s->cursor - settled;
    return 0;
}

void ledger_settle(struct ledger_stream *s, uint64_t used, uint64_t voided)
{
    const struct entry_settle e = {used, voided};
    int r = apply_settle(s, &e);
    assert(r == 0);
    (void)r;
    s->unsaved_used += used;
    s->unsaved_voided += voided;
    check_identity(s);
}

void ledger_hear(struct ledger_stream *s, uint64_t cursor)
{
    if (cursor <= s->heard)
        return;
    s->heard = cursor;
    s->unsaved_heard = true;
}

/* ---- blocks and decisions -------------------------------------------------------------------- */

static int note_known(struct ledger_peer *p, const uint8_t *id)
{
    if (!p->known)
        p->known = calloc(LEDGER_KNOWN_MAX, ENTRY_ID_BYTES);
    if (!p->known)
        return -ENOMEM;
    memcpy(p->known[p->n_known++ % LEDGER_KNOWN_MAX], id, ENTRY_ID_BYTES);
    return 0;
}

static struct ledger_block *block_new(const struct entry_block *e)
{
    struct ledger_block *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    memcpy(b->id, e->id, sizeof(b->id));
    b->len = e->len;
    memcpy(b->source, e->source, sizeof(b->source));
    b->simulated = e->simulated;
    return b;
}

static int apply_staged(struct ledger_peer *p, const struct entry_block *e)
{
    bool is_new = ledger_find_staged(p, e->id) < 0 && !ledger_is_known(p, e->id);
    if (!is_new || p->n_staged == LEDGER_STAGED_MAX || e->len == 0 || e->len > VAULT_BLOCK_MAX)
        return LEDGER_E_CONTRADICTION;
    struct ledger_block *b = block_new(e);
    if (!b)
        return -ENOMEM;
    p->staged[p->n_staged++] = b;
    return 0;
}

static struct ledger_block *unstage(struct ledger_peer *p, int index)
{
    struct ledger_block *b = p->staged[index];
    memmove(&p->staged[index], &p->staged[index + 1],
        (p->n_staged - (size_t)index - 1) * sizeof(p->staged[0]));
    p->n_staged--;
    return b;
}

static int apply_dropped(struct ledger_peer *p, const uint8_t *id)
{
    int index = ledger_find_staged(p, id);
    if (index < 0)
        return LEDGER_E_CONTRADICTION;
    free(unstage(p, index));
    p->streams[VAULT_MASK].void_blocks++;
    return note_known(p, id);
}

static int push_block(struct ledger_peer *p, struct ledger_block *b)
{
    if (grow((void **)&p->blocks, p->n_blocks, &p->cap_blocks, sizeof(b)) < 0)
        return -ENOMEM;
    p->blocks[p->n_blocks++] = b;
    return 0;
}

/* The shares cover the block exactly, each stream at most once. */
static bool shares_fit(const struct entry_decision *d, uint64_t len)
{
    uint64_t sum = 0;
    unsigned seen = 0;
    for (size_t i = 0; i < ENTRY_SHARES_MAX; i++) {
        unsigned bit = 1u << d->shares[i].purpose;
        if (d->shares[i].len == 0)
            continue;
        if ((seen & bit) || d->shares[i].len > len - sum)
            return false;
        seen |= bit;
        sum += d->shares[i].len;
    }
    return sum == len;
}

static void give_share(struct ledger_peer *p, struct ledger_block *b, size_t i,
    const struct entry_share *share, uint64_t offset)
{
    struct ledger_stream *s = &p->streams[share->purpose];
    b->shares[i] = (struct ledger_share){share->purpose, offset, s->end, share->len};
    if (share->len == 0)
        return;
    s->end += share->len;
    s->blocks++;
    s->simulated = s->simulated || b->simulated;
    memcpy(s->source, b->source, sizeof(s->source));
}

static int confirm(struct ledger_peer *p, const struct entry_decision *d)
{
    int index = ledger_find_staged(p, d->id);
    if (index < 0 || !shares_fit(d, p->staged[index]->len))
        return LEDGER_E_CONTRADICTION;
    if (push_block(p, p->staged[index]) < 0)
        return -ENOMEM;
    struct ledger_block *b = unstage(p, index);
    uint64_t offset = 0;
    for (size_t i = 0; i < ENTRY_SHARES_MAX; i++) {
        give_share(p, b, i, &d->shares[i], offset);
        offset += d->shares[i].len;
    }
    return 0;
}

static int retain(struct ledger_peer *p, const struct entry_decision *d)
{
    if (grow((void **)&p->retained, p->n_retained, &p->cap_retained, sizeof(*d)) < 0)
        return -ENOMEM;
    p->retained[p->n_retained++] = *d;
    return 0;
}

static int apply_decision(struct ledger_peer *p, const struct entry_decision *d)
{
    if (d->seq != p->next_seq)
        return LEDGER_E_CONTRADICTION;
    int r = d->confirmed ? confirm(p, d) : 0;
    if (r != 0)
        return r;
    int index = ledger_find_staged(p, d->id);
    if (!d->confirmed && index >= 0)
        free(unstage(p, index));
    p->streams[VAULT_MASK].void_blocks += !d->confirmed;
    p->next_seq++;
    r = note_known(p, d->id);
    return r == 0 && p->decides ? retain(p, d) : r;
}

static int apply_block(struct ledger_peer *p, const struct entry_block *e)
{
    if (e->mask_offset > e->len || e->mask_len > e->len - e->mask_offset || e->mask_len == 0)
        return LEDGER_E_CONTRADICTION;
    struct ledger_block *b = block_new(e);
    if (!b)
        return -ENOMEM;
    b->shares[0] = (struct ledger_share){VAULT_MASK, e->mask_offset, e->mask_start, e->mask_len};
    int r = push_block(p, b);
    if (r < 0)
        free(b);
    return r;
}

void ledger_forget_block(struct ledger_peer *p, size_t index)
{
    free(p->blocks[index]);
    memmove(
        &p->blocks[index], &p->blocks[index + 1], (p->n_blocks - index - 1) * sizeof(p->blocks[0]));
    p->n_blocks--;
}

void ledger_ack(struct ledger_peer *p, uint64_t seq)
{
    size_t gone = 0;
    while (gone < p->n_retained && p->retained[gone].seq < seq)
        gone++;
    if (gone == 0)
        return;
    memmove(p->retained, p->retained + gone, (p->n_retained - gone) * sizeof(p->retained[0]));
    p->n_retained -= gone;
    p->acked = seq;
    p->unsaved_acked = true;
}

/* ---- apply ----------------------------------------------------------------------------------- */

static int apply_to_stream(struct ledger *l, struct ledger_stream *s, const struct entry *e)
{
    int r;
    switch (e->kind) {
    case ENTRY_GROW:
        r = apply_grow(s, e->number);
        break;
    case ENTRY_BURN:
        r = apply_burn(l, s, &e->burn);
        break;
    case ENTRY_SETTLE:
        r = apply_settle(s, &e->settle);
        break;
    case ENTRY_HEARD:
        s->heard = MAX(s->heard, e->number);
        r = 0;
        break;
    case ENTRY_STREAM:
        r = apply_account(s, &e->account);
        break;
    default:
        return LEDGER_E_CONTRADICTION;
    }
    if (r == 0)
        check_identity(s);
    return r;
}

static int apply_to_pair(struct ledger_peer *p, const struct entry *e)
{
    switch (e->kind) {
    case ENTRY_STAGED:
        return apply_staged(p, &e->block);
    case ENTRY_DROPPED:
        return apply_dropped(p, e->id);
    case ENTRY_DECISION:
        return apply_decision(p, &e->decision);
    case ENTRY_ACKED:
        ledger_ack(p, e->number);
        p->unsaved_acked = false;
        return 0;
    case ENTRY_SEQ:
        p->next_seq = e->number;
        return 0;
    case ENTRY_BLOCK:
        return apply_block(p, &e->block);
    case ENTRY_RETAINED:
        return retain(p, &e->decision);
    case ENTRY_KNOWN:
        return note_known(p, e->id);
    default:
        return LEDGER_E_CONTRADICTION;
    }
}

static bool is_about_stream(enum entry_kind kind)
{
    return kind == ENTRY_GROW || kind == ENTRY_BURN || kind == ENTRY_SETTLE ||
           kind == ENTRY_HEARD || kind == ENTRY_STREAM;
}

int ledger_apply(struct ledger *l, const struct entry *e)
{
    struct ledger_peer *p;
    struct ledger_stream *s;
    switch (e->kind) {
    case ENTRY_IDENTITY:
        memcpy(l->site, e->identity.site, sizeof(l->site));
        memcpy(l->machine, e->identity.machine, sizeof(l->machine));
        return 0;
    case ENTRY_PEER:
        return apply_peer(l, &e->peer);
    case ENTRY_RETIRED:
        return apply_retired(l, e->stream);
    case ENTRY_ATTEMPT:
        *ledger_last(l, e->attempt.role) = e->attempt;
        return 0;
    case ENTRY_STARTED:
        return 0;
    default:
        break;
    }
    if (is_about_stream(e->kind)) {
        s = ledger_find_stream(l, e->stream, ENTRY_ID_BYTES);
        return s ? apply_to_stream(l, s, e) : LEDGER_E_CONTRADICTION;
    }
    p = ledger_find_pair(l, e->stream);
    return p ? apply_to_pair(p, e) : LEDGER_E_CONTRADICTION;
}
