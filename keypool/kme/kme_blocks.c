/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of key on their way: granted by the vault's room, handed to it, decided by the vaults. */
#include "keypool/kme/kme_internal.h"

#include "common/sha256.h"
#include "common/util.h"

#include <errno.h>

/* ---- grants ------------------------------------------------------------------------------- */

static uint64_t sent_bytes(const struct kme_link *l)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < l->n_blocks; i++)
        for (size_t j = 0; j < l->blocks[i].n_parts; j++)
            if (l->blocks[i].parts[j].state == KME_PART_SENT)
                sum += l->blocks[i].parts[j].len;
    return sum;
}

/* Key that may come or is on its way to the vault. */
static uint64_t flight_bytes(const struct kme_link *l)
{
    return l->granted * l->block_bytes + sent_bytes(l);
}

static uint64_t all_flight_bytes(const struct kme *k)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < k->n_links; i++)
        sum += flight_bytes(&k->links[i]);
    return sum;
}

/* Room for another block; 0 if none shall come now. Waits until one like the last finds room, so that
 * a pool that is nearly full is not filled by crumbs. */
static uint64_t room_for_another(const struct kme_link *l, uint64_t now_ms)
{
    uint64_t used = flight_bytes(l);
    uint64_t room = l->room > used ? l->room - used : 0;
    uint64_t needed = MIN(l->block_bytes, l->room_max / 2);
    bool may = l->is_up && now_ms >= l->not_before_ms && l->granted + l->n_blocks < KME_WINDOW;
    if (l->source->ops->drawn && !link_has_auth(l->auth_bytes))
        return 0; /* it would end without the pads for its tags */
    return may && room >= needed ? room : 0;
}

static int grant(struct kme *k, struct kme_link *l, uint64_t room, struct update *u)
{
    l->granted++;
    return l->source->ops->grant(l->source, l->peer, room, 0, u);
}

/* One more block for this link, if there is room in the vault and in flight. */
static int grant_link(struct kme *k, struct kme_link *l, uint64_t *in_flight, struct update *u)
{
    for (uint64_t room; (room = room_for_another(l, k->now_ms)) > 0;) {
        if (*in_flight > 0 && *in_flight + l->block_bytes > KME_FLIGHT_BYTES)
            return 0;
        int r = grant(k, l, room, u);
        if (r < 0)
            return r;
        *in_flight = all_flight_bytes(k);
    }
    return 0;
}

int kme_blocks_grant(struct kme *k, struct update *u)
{
    uint64_t in_flight = all_flight_bytes(k);
    for (size_t i = 0; i < k->n_links; i++) {
        struct kme_link *l = &k->links[(k->next_link + i) % k->n_links];
        int r = grant_link(k, l, &in_flight, u);
        if (r < 0)
            return r;
    }
    k->next_link = k->n_links ? (k->next_link + 1) % k->n_links : 0;
    return 0;
}

/* ---- to the vault ------------------------------------------------------------------------- */

/* A block that fits keeps its id; parts of a larger one get ids derived from it. */
static void part_id(uint8_t out[SOURCE_BLOCK_ID_BYTES], const struct source_block *block, size_t i)
{
    static const char label[] = "qfl part of a block";
    uint8_t index[8];
    uint8_t hash[SHA256_BYTES];
    put_u64le(index, i);
    const struct sha256_part parts[] = {
        {label, sizeof(label) - 1}, {block->id, sizeof(block->id)}, {index, sizeof(index)}};
    sha256_parts(hash, parts, ARRAY_SIZE(parts));
    memcpy(out, block->len <= KME_PART_BYTES ? block->id : hash, SOURCE_BLOCK_ID_BYTES);
}

static int push_block(struct kme *k, struct kme_link *l, const struct source_block *block)
{
    struct kme_block *b = &l->blocks[l->n_blocks];
    *b = (struct kme_block){.since_ms = k->now_ms};
    memcpy(b->id, block->id, sizeof(b->id));
    b->n_parts = (block->len + KME_PART_BYTES - 1) / KME_PART_BYTES;
    b->parts = calloc(b->n_parts, sizeof(*b->parts));
    if (!b->parts)
        return -ENOMEM;
    for (size_t i = 0; i < b->n_parts; i++) {
        b->parts[i].len = MIN(KME_PART_BYTES, block->len - i * KME_PART_BYTES);
        part_id(b->parts[i].id, block, i);
    }
    l->n_blocks++;
    return 0;
}

static int ingest_parts(
    struct kme *k, struct kme_link *l, const struct source_block *block, struct update *u)
{
    const struct kme_block *b = &l->blocks[l->n_blocks - 1];
    for (size_t i = 0; i < b->n_parts; i++) {
        int r = kme_vault_ingest(k, l, block, &b->parts[i], block->key + i * KME_PART_BYTES, u);
        if (r < 0)
            return r;
    }
    return 0;
}

static void count_void(const struct kme *k, struct kme_link *l)
{
    l->n_void++;
    l->not_before_ms = k->now_ms + KME_RETRY_MS;
}

static void note_void(const struct kme_link *l, struct update *u)
{
    update_note(u, NOTE_WARNING, "%s: a block is void: %s", l->peer, l->last_void.text);
}

static void describe(struct kme_link *l, const struct source_block *block)
{
    if (block->seconds > 0 || block->len > l->block_bytes)
        l->block_bytes = block->len;
    if (block->seconds > 0) { /* key that was there at once has no rate */
        l->qber = block->qber;
        l->rate_kbps = block->rate_kbps;
        l->seconds = block->seconds;
    }
}

int kme_blocks_on_block(void *owner, const struct source_block *block, struct update *u)
{
    struct kme *k = owner;
    struct kme_link *l = kme_find_link(k, block->peer);
    if (!l || l->granted == 0 || block->len == 0)
        return -EINVAL; /* a defect of the source */
    l->granted--;
    l->is_aborted = false;
    describe(l, block);
    if (!k->is_attached) {
        count_void(k, l);
        update_note(u, NOTE_WARNING, "%s: a block is void, the key pool is not connected", l->peer);
        return l->source->ops->close_block(l->source, l->peer, block->id, false);
    }
    int r = push_block(k, l, block);
    return r < 0 ? r : ingest_parts(k, l, block, u);
}

/* A granted block gave no key: its source says why. */
int kme_blocks_on_void(void *owner, const struct source_void *v, struct update *u)
{
    struct kme *k = owner;
    struct kme_link *l = kme_find_link(k, v->peer);
    if (!l || l->granted == 0)
        return -EINVAL; /* a defect of the source */
    l->granted--;
    count_void(k, l);
    err_set(&l->last_void, 0, "%s", v->reason);
    l->n_alarms += v->kind == SOURCE_VOID_ALARM;
    l->is_aborted = v->kind == SOURCE_VOID_ERRORS;
    l->aborted_qber = v->qber;
    if (v->kind == SOURCE_VOID_ALARM)
        update_note(u, NOTE_ALARM, "%s: a block is void: %s", l->peer, v->reason);
    else
        note_void(l, u);
    return 0;
}

/* ---- how they end ------------------------------------------------------------------------- */

static void count(struct kme *k, struct kme_link *l, const struct kme_block *b, bool confirmed)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < b->n_parts; i++)
        if (b->parts[i].state == KME_PART_CONFIRMED)
            bytes += b->parts[i].len;
    l->ingested_bytes += bytes;
    meter_add(&l->meter, k->now_ms, bytes);
    if (confirmed)
        l->n_confirmed++;
    else
        count_void(k, l);
}

static int close_block(struct kme *k, struct kme_link *l, size_t i, bool confirmed)
{
    struct kme_block b = l->blocks[i];
    count(k, l, &b, confirmed);
    l->n_blocks--;
    memmove(&l->blocks[i], &l->blocks[i + 1], (l->n_blocks - i) * sizeof(b));
    int r = l->source->ops->close_block(l->source, l->peer, b.id, confirmed);
    free(b.parts);
    return r;
}

/* Once every part is decided; confirmed if all of them are. */
static int close_if_decided(struct kme *k, struct kme_link *l, size_t i)
{
    bool confirmed = true;
    for (size_t j = 0; j < l->blocks[i].n_parts; j++) {
        enum kme_part_state state = l->blocks[i].parts[j].state;
        if (state == KME_PART_SENT || state == KME_PART_HELD)
            return 0;
        confirmed = confirmed && state == KME_PART_CONFIRMED;
    }
    return close_block(k, l, i, confirmed);
}

/* NULL if it is not known (any more); *block is the index of its block. */
static struct kme_part *find_part(struct kme_link *l, const uint8_t *id, size_t *block)
{
    for (size_t i = 0; i < l->n_blocks; i++)
        for (size_t j = 0; j < l->blocks[i].n_parts; j++)
            if (memcmp(l->blocks[i].parts[j].id, id, SOURCE_BLOCK_ID_BYTES) == 0) {
                *block = i;
                return &l->blocks[i].parts[j];
            }
    return NULL;
}

int kme_blocks_ingested(struct kme *k, struct kme_link *l, const uint8_t *id, enum vault_code code,
    const char *reason, struct update *u)
{
    size_t block;
    struct kme_part *part = find_part(l, id, &block);
    if (!part || part->state != KME_PART_SENT)
        return 0;
    part->state = code == VAULT_OK ? KME_PART_HELD : KME_PART_VOID;
    if (code == VAULT_FULL)
        l->room = 0; /* until it says otherwise */
    if (code != VAULT_OK) {
        err_set(&l->last_void, 0, "the key pool refuses it: %s", reason);
        note_void(l, u);
    }
    return close_if_decided(k, l, block);
}

int kme_blocks_decided(
    struct kme *k, struct kme_link *l, const uint8_t *id, bool confirmed, struct update *u)
{
    size_t block;
    struct kme_part *part = find_part(l, id, &block);
    if (!part || part->state > KME_PART_HELD)
        return 0; /* of an earlier life */
    part->state = confirmed ? KME_PART_CONFIRMED : KME_PART_VOID;
    if (!confirmed) {
        err_set(&l->last_void, 0, "the two key pools do not hold the same");
        note_void(l, u);
    }
    return close_if_decided(k, l, block);
}

/* The undecided parts of one block are given up, those in the vault's hands only if `held`. */
static int give_up(struct kme *k, struct kme_link *l, size_t i, bool held)
{
    for (size_t j = 0; j < l->blocks[i].n_parts; j++) {
        struct kme_part *part = &l->blocks[i].parts[j];
        if (part->state == KME_PART_SENT || (held && part->state == KME_PART_HELD))
            part->state = KME_PART_VOID;
    }
    return close_if_decided(k, l, i);
}

int kme_blocks_vault_lost(struct kme *k, struct kme_link *l, struct update *u)
{
    for (size_t i = l->n_blocks; i-- > 0;) {
        int r = give_up(k, l, i, false);
        if (r < 0)
            return r;
    }
    return 0;
}

int kme_blocks_tick(struct kme *k, struct kme_link *l, struct update *u)
{
    for (size_t i = l->n_blocks; i-- > 0;) {
        if (k->now_ms < l->blocks[i].since_ms + KME_DECISION_MS)
            continue;
        update_note(u, NOTE_WARNING, "%s: the key pools have not decided about a block in %d s",
            l->peer, (int)(KME_DECISION_MS / 1000));
        int r = give_up(k, l, i, true);
        if (r < 0)
            return r;
    }
    return 0;
}

uint64_t kme_blocks_deadline_ms(const struct kme *k, const struct kme_link *l)
{
    uint64_t deadline = l->not_before_ms > k->now_ms ? l->not_before_ms : NEVER_MS;
    for (size_t i = 0; i < l->n_blocks; i++)
        deadline = MIN(deadline, l->blocks[i].since_ms + KME_DECISION_MS);
    return deadline;
}

void kme_blocks_deinit(struct kme_link *l)
{
    while (l->n_blocks > 0)
        free(l->blocks[--l->n_blocks].parts);
}
