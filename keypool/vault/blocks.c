/* SPDX-License-Identifier: Apache-2.0 */
/* Vault to vault: blocks. A block is key once both ends hold it and the deciding end says so.
 *
 * keypool.md section 1. Both KMEs ingest the block; each end stores it, durably and undecided. The end
 * with the larger name proves by a tag that it holds the same bytes; the end with the smaller name
 * decides, and its decisions, numbered, are final. Pads are burnt durably before a tag made with them
 * is sent, and in the record of the decision, or before, when one is checked.
 */
#include "common/util.h"
#include "keypool/vault/core.h"
#include "keypool/vault/tag.h"

#include <errno.h>
#include <inttypes.h>

#define AUTH_STOCK   ((uint64_t)4096) /* to which a confirmed block fills each direction first */
#define RETAINED_MAX 256              /* decisions that the peer has not acknowledged */

/* ---- what the peer is told ------------------------------------------------------------------- */

static int send_decision(
    struct vault *v, const struct ledger_peer *p, const struct entry_decision *d, struct update *u)
{
    Pool__Share shares[ENTRY_SHARES_MAX];
    Pool__Share *pointers[ENTRY_SHARES_MAX];
    Pool__Decision m = POOL__DECISION__INIT;
    m.seq = d->seq;
    m.block = (ProtobufCBinaryData){ENTRY_ID_BYTES, (uint8_t *)d->id};
    m.confirmed = d->confirmed;
    m.shares = pointers;
    for (size_t i = 0; i < ENTRY_SHARES_MAX; i++) {
        if (d->shares[i].len == 0)
            continue;
        Pool__Share *share = &shares[m.n_shares];
        pool__share__init(share);
        share->stream = (ProtobufCBinaryData){
            VAULT_STREAM_BYTES, (uint8_t *)p->streams[d->shares[i].purpose].id};
        share->length = d->shares[i].len;
        pointers[m.n_shares++] = share;
    }
    return p->session->is_synced ? vault_carry(v, p, POOL_DECISION, &m.base, u) : 0;
}

static int send_staged(struct vault *v, const struct ledger_peer *p, const struct ledger_block *b,
    const struct tag_place *at, uint8_t tag[GF128_BYTES], struct update *u)
{
    Pool__Staged m = POOL__STAGED__INIT;
    m.block = (ProtobufCBinaryData){ENTRY_ID_BYTES, (uint8_t *)b->id};
    m.length = b->len;
    m.tag_seq = at->seq;
    m.pad_offset = at->offset;
    m.tag = (ProtobufCBinaryData){GF128_BYTES, tag};
    return vault_carry(v, p, POOL_STAGED, &m.base, u);
}

/* ---- what the KME is told -------------------------------------------------------------------- */

static int send_decided(
    struct vault *v, const struct ledger_peer *p, const struct entry_decision *d, struct update *u)
{
    Vault__Decided m = VAULT__DECIDED__INIT;
    m.peer = (char *)p->site;
    m.block = (ProtobufCBinaryData){ENTRY_ID_BYTES, (uint8_t *)d->id};
    m.confirmed = d->confirmed;
    *(d->confirmed ? &v->counters.blocks_confirmed : &v->counters.blocks_void) += 1;
    return v->kme ? link_send(u, v->kme, VAULT_DECIDED, &m.base) : 0;
}

static int send_ingested(
    uint32_t conn, const Vault__Ingest *m, int code, const struct err *why, struct update *u)
{
    Vault__Ingested answer = VAULT__INGESTED__INIT;
    answer.peer = m->peer;
    answer.block = m->block;
    answer.code = (uint32_t)code;
    answer.reason = code ? (char *)why->text : (char *)"";
    return link_send(u, conn, VAULT_INGESTED, &answer.base);
}

static bool is_auth_empty(const struct ledger_peer *p)
{
    const struct ledger_stream *tags = &p->streams[p->decides ? VAULT_AUTH_RX : VAULT_AUTH_TX];
    return ledger_available(tags) < TAG_FRESH_BYTES;
}

uint64_t blocks_room(const struct vault *v, const struct ledger_peer *p)
{
    uint64_t held = ledger_available(&p->streams[VAULT_MASK]) + ledger_staged_bytes(p);
    bool is_stuck = is_auth_empty(p) || p->session->is_broken || p->n_staged == LEDGER_STAGED_MAX ||
                    p->n_retained >= RETAINED_MAX;
    return is_stuck || held >= v->capacity ? 0 : v->capacity - held;
}

/* ---- deciding -------------------------------------------------------------------------------- */

/* Fills the pads' streams first. `pads` bytes of auth-rx are burnt in the same record. */
static void share_out(
    const struct ledger_peer *p, uint64_t len, uint64_t pads, struct entry_decision *d)
{
    static const enum vault_purpose order[] = {VAULT_AUTH_TX, VAULT_AUTH_RX, VAULT_MASK};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        uint64_t have = ledger_available(&p->streams[order[i]]);
        if (order[i] == VAULT_AUTH_RX)
            have -= pads;
        uint64_t want = order[i] == VAULT_MASK ? len : AUTH_STOCK - MIN(have, AUTH_STOCK);
        d->shares[i] = (struct entry_share){order[i], MIN(want, len)};
        len -= d->shares[i].len;
    }
}

static struct entry decide(const struct ledger_peer *p, const uint8_t *id, bool confirmed)
{
    struct entry e = keystore_entry(ENTRY_DECISION, p->streams[VAULT_MASK].id);
    e.decision.seq = p->next_seq;
    e.decision.confirmed = confirmed;
    memcpy(e.decision.id, id, ENTRY_ID_BYTES);
    return e;
}

/* The decision on a block whose tag was checked. */
static struct entry judge(
    const struct ledger_peer *p, const struct ledger_block *b, bool confirmed, uint64_t pads)
{
    struct entry e = decide(p, b->id, confirmed);
    if (confirmed)
        share_out(p, b->len, pads, &e.decision);
    return e;
}

/* A committed decision takes effect, and is told. */
static int conclude(struct vault *v, struct ledger_peer *p, const struct entry_decision *d,
    bool was_here, struct update *u)
{
    int claim = session_find_claim(p->session, d->id);
    if (claim >= 0)
        session_drop_claim(p->session, (size_t)claim);
    int r = keystore_finish_block(&v->store, p, d->id, u);
    if (r == 0 && p->decides)
        r = send_decision(v, p, d, u);
    return r == 0 && was_here ? send_decided(v, p, d, u) : r;
}

static int void_block(struct vault *v, struct ledger_peer *p, const uint8_t *id, struct update *u)
{
    bool was_here = ledger_find_staged(p, id) >= 0;
    const struct entry e = decide(p, id, false);
    int r = keystore_commit(&v->store, &e, 1);
    return r == 0 ? conclude(v, p, &e.decision, was_here, u) : r;
}

/* Compares a claim with the block that is here. 1: the same bytes; 0: not, with an alarm; -errno. */
static int check_claim(struct vault *v, const struct ledger_peer *p, size_t index,
    const struct ledger_block *b, const uint8_t *key, struct update *u)
{
    const struct claim *c = &p->session->claims[index];
    const struct session_keys *keys = session_keys(p->session);
    uint8_t tag[GF128_BYTES];
    const struct tag_keys pair = {keys->claims[index].key, keys->claims[index].pad};
    int r = tag_make(v, &p->streams[VAULT_AUTH_RX], c->tag_seq, b, key, &pair, tag);
    if (r < 0)
        return r;
    bool is_same = r == 0 && c->len == b->len && secret_equal(tag, c->tag, GF128_BYTES);
    if (!is_same) {
        v->counters.wrong_tags++;
        update_note(u, NOTE_ALARM, "%s: a block is void: %s", p->site,
            r > 0              ? "it is damaged on this disk"
            : c->len != b->len ? "the two ends hold different lengths"
                               : "wrong tag: the two ends differ, or somebody is in between");
    }
    return is_same;
}

/* ---- telling ------------------------------------------------------------------------------------ */

static bool can_tag(const struct ledger_peer *p, struct tag_place *at)
{
    const struct ledger_stream *tx = &p->streams[VAULT_AUTH_TX];
    *at = tag_place(p->session->tx_seq, tx->cursor);
    return p->session->is_synced && p->session->link_up && !p->session->is_broken &&
           ledger_available(tx) >= at->len;
}

/* The pad at `at` is burnt: makes the tag and sends it. `key` as in tag_make. */
static int tell(struct vault *v, struct ledger_peer *p, const struct ledger_block *b,
    const struct tag_place *at, const uint8_t *key, struct update *u)
{
    const struct ledger_stream *tx = &p->streams[VAULT_AUTH_TX];
    struct session_keys *keys = session_keys(p->session);
    const uint8_t *bytes = pads_at(p->pads, VAULT_AUTH_TX, at->offset, at->len);
    if (!bytes)
        return 0; /* were lost on the disk, and reported then */
    if (at->len == TAG_FRESH_BYTES)
        memcpy(keys->tx, bytes, GF128_BYTES);
    p->session->tx_seq = at->seq + 1;
    uint8_t tag[GF128_BYTES];
    const struct tag_keys pair = {keys->tx, bytes + at->len - GF128_BYTES};
    int r = tag_make(v, tx, at->seq, b, key, &pair, tag);
    if (r == 0)
        r = send_staged(v, p, b, at, tag, u);
    else if (r > 0)
        update_note(u, NOTE_ALARM, "%s: a block is damaged on this disk", p->site);
    vault_touch(v);
    return MIN(r, 0);
}

/* ---- ingest ---------------------------------------------------------------------------------- */

static int check_ingest(
    const struct vault *v, const Vault__Ingest *m, struct ledger_peer **peer, struct err *e)
{
    struct ledger_peer *p = ledger_find_peer(&v->store.ledger, m->peer);
    *peer = p;
    if (!p)
        return err_set(e, VAULT_NO_STREAM, "site %s is not paired", m->peer);
    if (m->block.len != ENTRY_ID_BYTES || m->key.len == 0 || m->key.len > VAULT_BLOCK_MAX ||
        strlen(m->source) > ENTRY_SOURCE_MAX)
        return err_set(e, VAULT_BAD_REQUEST, "a block has an id of %d bytes, a key and a source",
            ENTRY_ID_BYTES);
    if (m->simulated && !v->allow_simulated)
        return err_set(e, VAULT_BAD_REQUEST,
            "%s: simulated key is refused (allow_simulated_keys is off)", p->site);
    if (ledger_find_staged(p, m->block.data) >= 0 || ledger_is_known(p, m->block.data))
        return err_set(e, VAULT_DUPLICATE, "%s: this block was ingested before", p->site);
    if (p->session->is_broken)
        return err_set(e, VAULT_OUT_OF_STEP,
            "%s: the two key pools contradict each other: pair the sites again", p->site);
    if (is_auth_empty(p))
        return err_set(
            e, VAULT_NO_KEY, "%s: AUTH EMPTY: no key left for tags, pair the sites again", p->site);
    if (m->key.len > blocks_room(v, p))
        return err_set(e, VAULT_FULL,
            "%s: the pair's pool is full, or too many blocks wait for "
            "the peer",
            p->site);
    return 0;
}

static struct entry staged_entry(const struct ledger_peer *p, const Vault__Ingest *m)
{
    struct entry e = keystore_entry(ENTRY_STAGED, p->streams[VAULT_MASK].id);
    memcpy(e.block.id, m->block.data, ENTRY_ID_BYTES);
    e.block.len = m->key.len;
    e.block.simulated = m->simulated;
    strcpy(e.block.source, m->source);
    return e;
}

/* The end that makes tags: one record for the block and its tag's pad. */
static int stage_and_tell(
    struct vault *v, struct ledger_peer *p, uint32_t conn, const Vault__Ingest *m, struct update *u)
{
    struct tag_place at;
    struct entry entries[2] = {staged_entry(p, m)};
    bool tells = can_tag(p, &at);
    if (tells)
        entries[1] = tag_burn(&p->streams[VAULT_AUTH_TX], &at);
    int r = keystore_commit(&v->store, entries, tells ? 2 : 1);
    if (r == 0)
        r = send_ingested(conn, m, 0, NULL, u);
    if (r < 0)
        return r;
    const struct ledger_block *b = p->staged[p->n_staged - 1];
    return tells ? tell(v, p, b, &at, m->key.data, u) : 0;
}

/* The end that decides: one record for the block and, if the peer's tag is here, the decision. */
static int stage_and_decide(
    struct vault *v, struct ledger_peer *p, uint32_t conn, const Vault__Ingest *m, struct update *u)
{
    struct entry entries[2] = {staged_entry(p, m)};
    size_t n = 1;
    int claim = session_find_claim(p->session, m->block.data);
    if (claim >= 0 && p->session->claims[claim].has_tag) {
        struct ledger_block b = {.len = m->key.len};
        memcpy(b.id, m->block.data, ENTRY_ID_BYTES);
        int same = check_claim(v, p, (size_t)claim, &b, m->key.data, u);
        if (same < 0)
            return same;
        entries[n++] = judge(p, &b, same == 1, 0);
    }
    int r = keystore_commit(&v->store, entries, n);
    if (r == 0)
        r = send_ingested(conn, m, 0, NULL, u);
    if (r == 0 && n == 1)
        p->staged[p->n_staged - 1]->since_ms = v->now_ms;
    return r == 0 && n == 2 ? conclude(v, p, &entries[1].decision, true, u) : r;
}

int blocks_ingest(struct vault *v, uint32_t conn, const Vault__Ingest *m, struct update *u)
{
    struct ledger_peer *p;
    struct err why = {{0}};
    int code = check_ingest(v, m, &p, &why);
    if (code > 0)
        return send_ingested(conn, m, code, &why, u);
    int r = keystore_store_block(&v->store, p, m->block.data, m->key.data, m->key.len);
    if (r < 0)
        return r;
    v->counters.blocks_staged++;
    return p->decides ? stage_and_decide(v, p, conn, m, u) : stage_and_tell(v, p, conn, m, u);
}

/* ---- the end that makes tags ----------------------------------------------------------------- */

int blocks_announce(struct vault *v, struct ledger_peer *p, struct update *u)
{
    struct tag_place at;
    p->session->has_announced = true;
    for (size_t i = 0; i < p->n_staged && can_tag(p, &at); i++) {
        const struct entry burn = tag_burn(&p->streams[VAULT_AUTH_TX], &at);
        int r = keystore_commit(&v->store, &burn, 1);
        if (r == 0)
            r = tell(v, p, p->staged[i], &at, NULL, u);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Fills the decision's shares from the message; false if they make no sense. */
static bool read_shares(
    const struct ledger_peer *p, const Pool__Decision *m, uint64_t len, struct entry_decision *d)
{
    uint64_t sum = 0;
    if (m->n_shares > ENTRY_SHARES_MAX)
        return false;
    for (size_t i = 0; i < m->n_shares; i++) {
        const Pool__Share *share = m->shares[i];
        const struct ledger_stream *s = NULL;
        for (size_t k = 0; k < LEDGER_STREAMS; k++)
            if (share->stream.len == VAULT_STREAM_BYTES &&
                memcmp(share->stream.data, p->streams[k].id, VAULT_STREAM_BYTES) == 0)
                s = &p->streams[k];
        if (!s || share->length == 0 || share->length > len - sum)
            return false;
        if (s->purpose != VAULT_MASK && share->length > AUTH_STOCK)
            return false;
        for (size_t k = 0; k < i; k++)
            if (d->shares[k].purpose == s->purpose)
                return false;
        d->shares[i] = (struct entry_share){s->purpose, share->length};
        sum += share->length;
    }
    return sum == len;
}

static int apply_decision(
    struct vault *v, struct ledger_peer *p, const Pool__Decision *m, struct update *u)
{
    int index = ledger_find_staged(p, m->block.data);
    struct entry e = decide(p, m->block.data, m->confirmed);
    if (m->confirmed && (index < 0 || !read_shares(p, m, p->staged[index]->len, &e.decision))) {
        pool_break(v, p, "the peer has confirmed a block that this end does not hold so", u);
        return 0;
    }
    int r = keystore_commit(&v->store, &e, 1);
    if (r == 0)
        r = conclude(v, p, &e.decision, index >= 0, u);
    if (r == 0)
        r = pool_compare(v, p, u);
    return r == 0 ? pool_send_cursors(v, p, u) : r;
}

int blocks_on_decision(
    struct vault *v, struct ledger_peer *p, const Pool__Decision *m, struct update *u)
{
    if (p->decides || m->block.len != ENTRY_ID_BYTES)
        return 0;
    if (m->seq < p->next_seq) /* sent again: our word that it was applied was lost */
        return pool_send_cursors(v, p, u);
    if (m->seq == p->next_seq) {
        p->session->has_asked = false;
        return apply_decision(v, p, m, u);
    }
    if (p->session->has_asked)
        return 0;
    int r = pool_ask_sync(v, p, u);
    p->session->has_asked = true;
    return r;
}

/* ---- the end that decides -------------------------------------------------------------------- */

/* The tag's place is one that the peer may use now: nothing is burnt otherwise. */
static bool is_place_ours(const struct ledger_peer *p, const struct tag_place *at)
{
    const struct ledger_stream *rx = &p->streams[VAULT_AUTH_RX];
    const struct session *session = p->session;
    bool is_of_key = session->has_rx_key && at->seq >= session->rx_seq &&
                     at->seq / SESSION_KEY_TAGS == (session->rx_seq - 1) / SESSION_KEY_TAGS;
    return (is_of_key || at->len == TAG_FRESH_BYTES) && at->offset >= rx->cursor &&
           at->offset <= rx->end && at->len <= rx->end - at->offset;
}

/* Key and number of the sender's tags move on, whatever becomes of this one. Its pad, borrowed, or
 * NULL if it was lost on the disk. */
static const uint8_t *follow_tag(struct ledger_peer *p, const struct tag_place *at)
{
    const uint8_t *bytes = pads_at(p->pads, VAULT_AUTH_RX, at->offset, at->len);
    if (!bytes)
        return NULL;
    if (at->len == TAG_FRESH_BYTES)
        memcpy(session_keys(p->session)->rx, bytes, GF128_BYTES);
    p->session->has_rx_key = true;
    p->session->rx_seq = at->seq + 1;
    return bytes + at->len - GF128_BYTES;
}

/* Notes the claim with its key and pad; its index, or -1 if nothing will come of it. */
static int note_claim(
    struct vault *v, struct ledger_peer *p, const Pool__Staged *m, const uint8_t *pad)
{
    struct session_keys *keys = session_keys(p->session);
    if (!pad || ledger_is_known(p, m->block.data))
        return -1;
    int index = session_find_claim(p->session, m->block.data);
    if (index < 0 && session_add_claim(p->session, m->block.data, v->now_ms))
        index = (int)p->session->n_claims - 1;
    if (index < 0)
        return -1;
    struct claim *c = &p->session->claims[index];
    c->has_tag = true;
    c->len = m->length;
    c->tag_seq = m->tag_seq;
    memcpy(c->tag, m->tag.data, GF128_BYTES);
    memcpy(keys->claims[index].key, keys->rx, GF128_BYTES);
    memcpy(keys->claims[index].pad, pad, GF128_BYTES);
    return index;
}

int blocks_on_staged(
    struct vault *v, struct ledger_peer *p, const Pool__Staged *m, struct update *u)
{
    const struct tag_place at = tag_place(m->tag_seq, m->pad_offset);
    struct ledger_stream *rx = &p->streams[VAULT_AUTH_RX];
    bool is_form = p->decides && m->block.len == ENTRY_ID_BYTES && m->tag.len == GF128_BYTES;
    if (!is_form || !is_place_ours(p, &at)) {
        v->counters.violations++;
        update_note(u, NOTE_WARNING, "%s: a tag out of place was ignored", p->site);
        return 0;
    }
    struct entry entries[3];
    size_t n = 0;
    if (at.offset > rx->cursor)
        entries[n++] = keystore_burn(rx, BURN_SKIP, rx->cursor, at.offset);
    entries[n++] = tag_burn(rx, &at);
    ledger_hear(rx, at.offset + at.len);
    vault_touch(v);
    int staged = ledger_find_staged(p, m->block.data);
    int claim = note_claim(v, p, m, follow_tag(p, &at));
    if (claim < 0 || staged < 0)
        return keystore_commit(&v->store, entries, n);
    const struct ledger_block *b = p->staged[staged];
    int same = check_claim(v, p, (size_t)claim, b, NULL, u);
    if (same < 0)
        return same;
    entries[n] = judge(p, b, same == 1, at.offset + at.len - rx->cursor);
    int r = keystore_commit(&v->store, entries, n + 1);
    return r == 0 ? conclude(v, p, &entries[n].decision, true, u) : r;
}

/* The peer's undecided blocks that are unknown here get a claim, so that they end in time. */
static void claim_unknown(struct vault *v, struct ledger_peer *p, const Pool__Sync *m)
{
    for (size_t i = 0; i < m->n_staged; i++) {
        const ProtobufCBinaryData *id = &m->staged[i];
        if (id->len != ENTRY_ID_BYTES || ledger_find_staged(p, id->data) >= 0 ||
            ledger_is_known(p, id->data) || session_find_claim(p->session, id->data) >= 0)
            continue;
        if (!session_add_claim(p->session, id->data, v->now_ms))
            return;
    }
}

static int sync_decider(
    struct vault *v, struct ledger_peer *p, const Pool__Sync *m, struct update *u)
{
    if (m->next_seq <= p->next_seq)
        ledger_ack(p, m->next_seq);
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->n_retained; i++)
        r = send_decision(v, p, &p->retained[i], u);
    claim_unknown(v, p, m);
    return r;
}

int blocks_on_sync(struct vault *v, struct ledger_peer *p, const Pool__Sync *m, struct update *u)
{
    if (p->session->is_broken)
        return 0;
    if (p->decides)
        return sync_decider(v, p, m, u);
    return !m->answer || !p->session->has_announced ? blocks_announce(v, p, u) : 0;
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool can_void(const struct ledger_peer *p)
{
    return p->decides && p->session->is_synced && !p->session->is_broken;
}

static uint64_t staged_due(
    const struct vault *v, const struct ledger_peer *p, const struct ledger_block *b)
{
    return MAX(b->since_ms, p->session->synced_ms) + v->block_timeout_ms;
}

/* A block that is due to be voided, or NULL. */
static const uint8_t *find_due(const struct vault *v, const struct ledger_peer *p)
{
    for (size_t i = 0; i < p->n_staged; i++)
        if (v->now_ms >= staged_due(v, p, p->staged[i]))
            return p->staged[i]->id;
    for (size_t i = 0; i < p->session->n_claims; i++)
        if (v->now_ms >= p->session->claims[i].since_ms + v->block_timeout_ms)
            return p->session->claims[i].id;
    return NULL;
}

int blocks_tick(struct vault *v, struct ledger_peer *p, struct update *u)
{
    const uint8_t *due;
    while (can_void(p) && (due = find_due(v, p))) {
        uint8_t id[ENTRY_ID_BYTES];
        memcpy(id, due, sizeof(id));
        update_note(u, NOTE_WARNING, "%s: a block is void: only one end had it in time", p->site);
        int r = void_block(v, p, id, u);
        if (r < 0)
            return r;
    }
    return 0;
}

uint64_t blocks_deadline_ms(const struct vault *v, const struct ledger_peer *p)
{
    uint64_t due = NEVER_MS;
    if (!can_void(p))
        return due;
    for (size_t i = 0; i < p->n_staged; i++)
        due = MIN(due, staged_due(v, p, p->staged[i]));
    for (size_t i = 0; i < p->session->n_claims; i++)
        due = MIN(due, p->session->claims[i].since_ms + v->block_timeout_ms);
    return due;
}
