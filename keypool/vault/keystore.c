/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/keystore.h"

#include "common/secret.h"
#include "common/util.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

struct entry keystore_entry(enum entry_kind kind, const uint8_t *stream)
{
    struct entry e = {.kind = kind};
    memcpy(e.stream, stream, ENTRY_ID_BYTES);
    return e;
}

struct entry keystore_burn(
    const struct ledger_stream *s, enum burn_use use, uint64_t start, uint64_t end)
{
    struct entry e = keystore_entry(ENTRY_BURN, s->id);
    e.burn = (struct entry_burn){.use = use, .start = start, .end = end};
    return e;
}

/* ---- commit ---------------------------------------------------------------------------------- */

static int compact(struct keystore *k)
{
    k->record.len = 0;
    int r = ledger_snapshot(&k->ledger, &k->record);
    return r == 0 ? journal_compact(k->journal, k->record.data, k->record.len) : r;
}

int keystore_commit(struct keystore *k, const struct entry *entries, size_t n)
{
    k->record.len = 0;
    int r = ledger_save(&k->ledger, &k->record);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = ledger_apply(&k->ledger, &entries[i]);
        assert(r != LEDGER_E_CONTRADICTION); /* whoever asks has checked */
        if (r == 0)
            r = entry_encode(&k->record, &entries[i]);
    }
    assert(r <= 0); /* what is ours can be encoded */
    if (r < 0 || k->record.len == 0)
        return r;
    return journal_append(k->journal, k->record.data, k->record.len);
}

int keystore_walk(struct keystore *k, journal_each each, void *arg)
{
    return journal_walk(k->journal, each, arg);
}

uint64_t keystore_epoch(const struct keystore *k)
{
    return journal_seq(k->journal);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static struct blockfile file_of(const struct ledger_peer *p, const uint8_t *id, uint64_t len)
{
    return (struct blockfile){p->streams[VAULT_MASK].id, id, len};
}

int keystore_store_block(struct keystore *k, const struct ledger_peer *p, const uint8_t *id,
    const uint8_t *key, uint64_t len)
{
    const struct blockfile f = file_of(p, id, len);
    return blockfile_write(k->disk, k->seal, &f, key);
}

int keystore_read_block(struct keystore *k, const struct ledger_peer *p,
    const struct ledger_block *b, uint64_t offset, uint8_t *out, size_t len)
{
    const struct blockfile f = file_of(p, b->id, b->len);
    return blockfile_read(k->disk, k->seal, &f, offset, out, len);
}

/* All that is left of the stream is burnt: its bytes cannot be had. */
static int give_up(struct keystore *k, struct ledger_stream *s, struct update *u)
{
    update_note(u, NOTE_ALARM,
        "%s %s: %" PRIu64 " bytes of key are damaged or missing on the disk and have been burnt",
        s->peer->site, ledger_purpose_name(s->purpose), ledger_available(s));
    pads_restart(s->peer->pads, s->purpose, s->end);
    const struct entry burn = keystore_burn(s, BURN_SKIP, s->cursor, s->end);
    return s->cursor < s->end ? keystore_commit(k, &burn, 1) : 0;
}

/* Takes the part of a block's share that the pads do not hold yet. 0, SEAL_E_BROKEN, -errno. */
static int take_share(struct keystore *k, struct ledger_peer *p, const struct ledger_block *b,
    const struct ledger_share *share)
{
    struct pads_span span = pads_span(p->pads, share->purpose);
    uint64_t end = share->start + share->len;
    if (end <= span.end)
        return 0;
    if (span.end < share->start)
        return SEAL_E_BROKEN; /* something is missing in between */
    uint64_t skip = span.end - share->start;
    if (span.end - span.start + share->len - skip > PADS_MAX)
        return SEAL_E_BROKEN; /* no honest peer shares out so much */
    uint8_t *to = pads_append(p->pads, share->purpose, share->len - skip);
    if (!to)
        return -ENOMEM;
    return keystore_read_block(k, p, b, share->offset + skip, to, share->len - skip);
}

/* Moves the pads' shares of a confirmed block into `pads`; sets *took if there was anything new. */
static int take_shares(struct keystore *k, struct ledger_peer *p, const struct ledger_block *b,
    bool *took, struct update *u)
{
    for (size_t i = 0; i < ENTRY_SHARES_MAX; i++) {
        const struct ledger_share *share = &b->shares[i];
        if (share->len == 0 || share->purpose == VAULT_MASK)
            continue;
        uint64_t end = pads_span(p->pads, share->purpose).end;
        int r = take_share(k, p, b, share);
        if (r > 0)
            r = give_up(k, &p->streams[share->purpose], u);
        if (r < 0)
            return r;
        *took = *took || pads_span(p->pads, share->purpose).end != end;
    }
    return 0;
}

static int erase_block(struct keystore *k, struct ledger_peer *p, size_t index)
{
    const struct ledger_block *b = p->blocks[index];
    const struct blockfile f = file_of(p, b->id, b->len);
    int r = blockfile_erase(k->disk, &f);
    if (r == 0)
        ledger_forget_block(p, index);
    return r;
}

int keystore_finish_block(
    struct keystore *k, struct ledger_peer *p, const uint8_t *id, struct update *u)
{
    struct ledger_block *b = p->n_blocks > 0 ? p->blocks[p->n_blocks - 1] : NULL;
    if (!b || memcmp(b->id, id, ENTRY_ID_BYTES) != 0) { /* void */
        const struct blockfile f = file_of(p, id, 0);
        return blockfile_erase(k->disk, &f);
    }
    bool took = false;
    int r = take_shares(k, p, b, &took, u);
    if (r == 0 && took)
        r = pads_save(p->pads, k->disk, k->seal, p->streams[VAULT_MASK].id);
    if (r == 0 && !ledger_block_share(b, VAULT_MASK))
        r = erase_block(k, p, p->n_blocks - 1);
    return r;
}

int keystore_burn_pair(struct keystore *k, struct ledger_peer *p)
{
    struct entry entries[LEDGER_STREAMS + LEDGER_STAGED_MAX];
    size_t n = 0;
    for (size_t i = 0; i < LEDGER_STREAMS; i++) {
        const struct ledger_stream *s = &p->streams[i];
        if (s->cursor < s->end)
            entries[n++] = keystore_burn(s, BURN_SKIP, s->cursor, s->end);
    }
    for (size_t i = 0; i < p->n_staged; i++) {
        entries[n] = keystore_entry(ENTRY_DROPPED, p->streams[VAULT_MASK].id);
        memcpy(entries[n++].id, p->staged[i]->id, ENTRY_ID_BYTES);
    }
    int r = keystore_commit(k, entries, n);
    return r == 0 ? keystore_erase_strays(k) : r;
}

/* ---- reading streams ------------------------------------------------------------------------- */

static int read_pads(const struct ledger_stream *s, uint64_t offset, uint8_t *out, size_t len)
{
    const uint8_t *at = pads_at(s->peer->pads, s->purpose, offset, len);
    if (!at)
        return SEAL_E_BROKEN;
    memcpy(out, at, len);
    return 0;
}

int keystore_read(
    struct keystore *k, const struct ledger_stream *s, uint64_t offset, uint8_t *out, size_t len)
{
    if (s->purpose != VAULT_MASK)
        return read_pads(s, offset, out, len);
    const struct ledger_peer *p = s->peer;
    for (size_t i = 0; len > 0 && i < p->n_blocks; i++) {
        const struct ledger_share *share = ledger_block_share(p->blocks[i], VAULT_MASK);
        if (!share || offset < share->start || offset - share->start >= share->len)
            continue;
        uint64_t into = offset - share->start;
        size_t n = (size_t)MIN((uint64_t)len, share->len - into);
        int r = keystore_read_block(k, p, p->blocks[i], share->offset + into, out, n);
        if (r != 0)
            return r;
        offset += n;
        out += n;
        len -= n;
    }
    return len == 0 ? 0 : SEAL_E_BROKEN;
}

/* ---- destroying ------------------------------------------------------------------------------ */

static int sweep_blocks(struct keystore *k, struct ledger_peer *p, uint64_t floor)
{
    size_t i = 0;
    while (i < p->n_blocks) {
        struct ledger_block *b = p->blocks[i];
        const struct ledger_share *share = ledger_block_share(b, VAULT_MASK);
        if (share && floor < share->start)
            return 0;
        if (!share || floor >= share->start + share->len) {
            int r = erase_block(k, p, i);
            if (r < 0)
                return r;
            continue;
        }
        const struct blockfile f = file_of(p, b->id, b->len);
        return blockfile_wipe(k->disk, &f, &b->wiped, share->offset + (floor - share->start));
    }
    return 0;
}

static int sweep_pads(struct keystore *k, struct ledger_peer *p, keystore_wanted wanted, void *arg)
{
    pads_drop(p->pads, VAULT_AUTH_TX, wanted(arg, &p->streams[VAULT_AUTH_TX]));
    pads_drop(p->pads, VAULT_AUTH_RX, wanted(arg, &p->streams[VAULT_AUTH_RX]));
    if (!pads_is_stale(p->pads))
        return 0;
    return pads_save(p->pads, k->disk, k->seal, p->streams[VAULT_MASK].id);
}

int keystore_sweep(struct keystore *k, keystore_wanted wanted, void *arg)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < k->ledger.n; i++) {
        struct ledger_peer *p = k->ledger.peers[i];
        r = sweep_blocks(k, p, wanted(arg, &p->streams[VAULT_MASK]));
        if (r == 0)
            r = sweep_pads(k, p, wanted, arg);
    }
    if (r == 0 && journal_is_long(k->journal)) {
        r = keystore_commit(k, NULL, 0);
        if (r == 0)
            r = compact(k);
    }
    return r;
}

struct names {
    char (*list)[DISK_NAME_MAX + 1];
    size_t n;
};

static int note_name(void *arg, const char *name)
{
    struct names *names = arg;
    void *list = reallocarray(names->list, names->n + 1, sizeof(*names->list));
    if (!list)
        return -ENOMEM;
    names->list = list;
    strncpy(names->list[names->n], name, DISK_NAME_MAX);
    names->list[names->n++][DISK_NAME_MAX] = '\0';
    return 0;
}

static bool is_stray(const struct ledger *l, const char *name)
{
    uint8_t stream[ENTRY_ID_BYTES];
    uint8_t id[ENTRY_ID_BYTES];
    if (pads_parse_name(name, stream))
        return !ledger_find_pair(l, stream);
    if (!blockfile_parse_name(name, stream, id))
        return false; /* not ours */
    const struct ledger_peer *p = ledger_find_pair(l, stream);
    if (p && ledger_find_staged(p, id) >= 0)
        return false;
    for (size_t i = 0; p && i < p->n_blocks; i++)
        if (memcmp(p->blocks[i]->id, id, ENTRY_ID_BYTES) == 0)
            return false;
    return true;
}

int keystore_erase_strays(struct keystore *k)
{
    struct names names = {0};
    int r = disk_list(k->disk, "blocks/", note_name, &names);
    if (r == 0)
        r = disk_list(k->disk, "pads/", note_name, &names);
    for (size_t i = 0; r == 0 && i < names.n; i++)
        if (is_stray(&k->ledger, names.list[i]))
            r = disk_erase(k->disk, names.list[i]);
    free(names.list);
    return r;
}

/* ---- pairing --------------------------------------------------------------------------------- */

static int fill_pads(struct ledger_peer *p, const struct vault_pairing *pairing)
{
    const uint64_t half = VAULT_PAIRING_BYTES / 2;
    enum vault_purpose low = p->decides ? VAULT_AUTH_TX : VAULT_AUTH_RX;
    enum vault_purpose high = p->decides ? VAULT_AUTH_RX : VAULT_AUTH_TX;
    uint8_t *to = pads_append(p->pads, low, half);
    if (!to)
        return -ENOMEM;
    memcpy(to, pairing->key, half);
    to = pads_append(p->pads, high, half);
    if (!to)
        return -ENOMEM;
    memcpy(to, pairing->key + half, half);
    return 0;
}

/* The bytes reach the disk before the entries that count them, in a file that is a stray until
 * then. */
static int save_pairing(struct keystore *k, const struct vault_pairing *pairing)
{
    struct ledger_peer unborn = {.decides = strcmp(k->ledger.site, pairing->peer) < 0};
    unborn.pads = pads_new();
    int r = unborn.pads ? fill_pads(&unborn, pairing) : -ENOMEM;
    if (r == 0)
        r = pads_save(unborn.pads, k->disk, k->seal, pairing->mask_stream);
    pads_free(unborn.pads);
    return r;
}

static int load_pads(struct keystore *k, struct ledger_peer *p, struct update *u);

static int enrol(struct keystore *k, const struct vault_pairing *pairing)
{
    struct entry entries[3] = {{.kind = ENTRY_PEER}};
    struct entry_peer *peer = &entries[0].peer;
    strncpy(peer->site, pairing->peer, SITE_NAME_MAX);
    memcpy(peer->mask, pairing->mask_stream, ENTRY_ID_BYTES);
    memcpy(peer->low_high, pairing->auth_low_high, ENTRY_ID_BYTES);
    memcpy(peer->high_low, pairing->auth_high_low, ENTRY_ID_BYTES);
    entries[1] = keystore_entry(ENTRY_GROW, pairing->auth_low_high);
    entries[1].number = VAULT_PAIRING_BYTES / 2;
    entries[2] = keystore_entry(ENTRY_GROW, pairing->auth_high_low);
    entries[2].number = VAULT_PAIRING_BYTES / 2;
    int r = keystore_commit(k, entries, ARRAY_SIZE(entries));
    if (r < 0)
        return r;
    struct update notes = {0};
    r = load_pads(k, ledger_find_peer(&k->ledger, pairing->peer), &notes);
    update_deinit(&notes);
    return r;
}

/* The pair as it was ends: what is left of it is burnt, its ids are never used again. */
static int retire(struct keystore *k, struct ledger_peer *p)
{
    const struct entry retired = keystore_entry(ENTRY_RETIRED, p->streams[VAULT_MASK].id);
    int r = keystore_burn_pair(k, p);
    if (r < 0)
        return r;
    pads_free(steal(&p->pads));
    r = keystore_commit(k, &retired, 1);
    return r == 0 ? keystore_erase_strays(k) : r;
}

int keystore_check_pairing(
    const struct keystore *k, const struct vault_pairing *pairing, struct err *e)
{
    const struct ledger *l = &k->ledger;
    const uint8_t *const ids[] = {
        pairing->mask_stream, pairing->auth_low_high, pairing->auth_high_low};
    size_t len = strlen(pairing->peer);
    if (len == 0 || len > SITE_NAME_MAX || strcmp(pairing->peer, l->site) == 0)
        return err_set(e, -EINVAL, "'%s' cannot be a peer of %s", pairing->peer, l->site);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        if (ledger_is_retired(l, ids[i]))
            return err_set(
                e, -EEXIST, "this pairing with %s was used before: make a new one", pairing->peer);
        if (ledger_find_stream(l, ids[i], ENTRY_ID_BYTES))
            return err_set(e, -EEXIST, "%s is paired already by this file", pairing->peer);
        for (size_t j = 0; j < i; j++)
            if (memcmp(ids[i], ids[j], ENTRY_ID_BYTES) == 0)
                return err_set(e, -EINVAL, "two streams of the pairing have one id");
    }
    if (l->n == LEDGER_PEERS_MAX && !ledger_find_peer(l, pairing->peer))
        return err_set(e, -EINVAL, "%d sites are paired, which is the most", LEDGER_PEERS_MAX);
    return 0;
}

int keystore_pair(struct keystore *k, const struct vault_pairing *pairing, struct err *e)
{
    struct ledger_peer *old = ledger_find_peer(&k->ledger, pairing->peer);
    int r = old ? retire(k, old) : 0;
    if (r == 0)
        r = save_pairing(k, pairing);
    if (r == 0)
        r = enrol(k, pairing);
    return r == 0 ? 0 : err_set(e, r, "cannot store the pairing: %s", strerror(-r));
}

/* ---- open ------------------------------------------------------------------------------------ */

static int replay(
    void *arg, enum journal_kind kind, uint64_t seq, const uint8_t *payload, size_t len)
{
    struct ledger *l = arg;
    while (len > 0) {
        struct entry entry;
        int r = entry_decode(&payload, &len, &entry);
        if (r == 0)
            r = ledger_apply(l, &entry);
        if (r != 0)
            return r < 0 ? r : JOURNAL_E_FAULT;
    }
    return 0;
}

static int open_journal(struct keystore *k, const struct vault_config *config, struct err *e)
{
    uint8_t key[JOURNAL_KEY_BYTES];
    seal_derive(key, config->kek, "qfl vault: journal");
    err_set(e, 0, "the journal contradicts itself");
    int r = journal_open(&k->journal, k->disk, key, replay, &k->ledger, e);
    secret_wipe(key, sizeof(key));
    if (r == 0)
        err_set(e, 0, "%s", "");
    return r > 0 ? VAULT_OPEN_E_FAULT : r;
}

static struct entry identity_of(const struct vault_config *config)
{
    struct entry e = {.kind = ENTRY_IDENTITY};
    strncpy(e.identity.site, config->site, SITE_NAME_MAX);
    memcpy(e.identity.machine, config->machine, sizeof(e.identity.machine));
    return e;
}

static int check_witnesses(
    const struct keystore *k, const struct vault_config *config, struct err *e)
{
    const struct ledger *l = &k->ledger;
    uint64_t seq = journal_seq(k->journal);
    if (l->site[0] && strcmp(l->site, config->site) != 0)
        return err_set(
            e, -EINVAL, "this is the key pool of site %s, not of %s", l->site, config->site);
    if (config->adopt)
        return 0;
    if (config->epoch > seq)
        return err_set(e, VAULT_OPEN_E_CLONED,
            "the key pool on this disk is older (record %" PRIu64 ") than the witness file says "
            "(%" PRIu64 "): restored from a backup? See `qflctl keys adopt`",
            seq, config->epoch);
    if (l->site[0] && memcmp(l->machine, config->machine, sizeof(l->machine)) != 0)
        return err_set(e, VAULT_OPEN_E_CLONED,
            "the key pool was made on another machine: a clone? See `qflctl keys adopt`");
    return 0;
}

/* Unless the witness proves that nothing newer than this disk ever was, nobody can say how far the
 * key on it was used: all of it is burnt. */
static int adopt(struct keystore *k, const struct vault_config *config, struct update *u)
{
    bool is_newest = config->epoch > 0 && config->epoch <= journal_seq(k->journal);
    const struct entry identity = identity_of(config);
    int r = keystore_commit(k, &identity, 1);
    update_note(u, NOTE_ALARM, "the key pool was adopted by its operator%s",
        is_newest ? "" : ": all key that it held is burnt, pair the sites again");
    for (size_t i = 0; r == 0 && !is_newest && i < k->ledger.n; i++)
        r = keystore_burn_pair(k, k->ledger.peers[i]);
    return r;
}

/* Burns what was reserved and not accounted for when the vault ended. */
static int void_reserved(struct keystore *k)
{
    for (size_t i = 0; i < k->ledger.n; i++)
        for (size_t p = 0; p < LEDGER_STREAMS; p++) {
            struct ledger_stream *s = &k->ledger.peers[i]->streams[p];
            ledger_settle(s, 0, s->reserved);
        }
    const struct entry started = {.kind = ENTRY_STARTED};
    return keystore_commit(k, &started, 1);
}

/* Loads the pads' file and fills in, from the blocks, what a crash kept from it. */
static int load_pads(struct keystore *k, struct ledger_peer *p, struct update *u)
{
    const uint8_t *mask = p->streams[VAULT_MASK].id;
    p->pads = pads_new();
    if (!p->pads)
        return -ENOMEM;
    int r = pads_load(p->pads, k->disk, k->seal, mask);
    if (r < 0)
        return r;
    bool took = false;
    for (size_t i = 0; r == 0 && i < p->n_blocks; i++)
        r = take_shares(k, p, p->blocks[i], &took, u);
    for (enum vault_purpose w = VAULT_AUTH_TX; r >= 0 && w <= VAULT_AUTH_RX; w++) {
        struct ledger_stream *s = &p->streams[w];
        if (pads_span(p->pads, w).end == s->end && pads_span(p->pads, w).start <= s->cursor)
            continue;
        took = true;
        r = give_up(k, s, u);
    }
    return r >= 0 && took ? pads_save(p->pads, k->disk, k->seal, mask) : r;
}

static uint64_t cursor_of(void *arg, const struct ledger_stream *s)
{
    return s->cursor;
}

/* Brings the files in line with the ledger, then compacts. */
static int tidy(struct keystore *k, struct update *u)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < k->ledger.n; i++)
        r = load_pads(k, k->ledger.peers[i], u);
    if (r == 0)
        r = keystore_erase_strays(k);
    if (r == 0)
        r = keystore_sweep(k, cursor_of, NULL);
    return r == 0 ? compact(k) : r;
}

static int start(
    struct keystore *k, const struct vault_config *config, struct update *u, struct err *e)
{
    int r = 0;
    if (!k->ledger.site[0]) {
        const struct entry identity = identity_of(config);
        r = ledger_apply(&k->ledger, &identity);
        if (r == 0)
            r = compact(k);
    }
    if (r == 0 && config->adopt)
        r = adopt(k, config, u);
    if (r == 0)
        r = void_reserved(k);
    if (r == 0)
        r = tidy(k, u);
    if (journal_repairs(k->journal) > 0)
        update_note(u, NOTE_WARNING, "%" PRIu64 " damaged copies of journal records were repaired",
            journal_repairs(k->journal));
    return r == 0 ? 0 : err_set(e, r, "cannot write the key pool: %s", strerror(-r));
}

int keystore_open(struct keystore *k, const struct vault_config *config, struct disk *disk,
    struct update *u, struct err *e)
{
    *k = (struct keystore){.disk = disk};
    k->seal = seal_new(config->kek, config->entropy);
    if (!k->seal)
        return err_set(e, -ENOMEM, "out of memory");
    int r = open_journal(k, config, e);
    if (r == 0)
        r = check_witnesses(k, config, e);
    if (r == 0)
        r = start(k, config, u, e);
    if (r != 0)
        keystore_close(k);
    return r;
}

void keystore_close(struct keystore *k)
{
    for (size_t i = 0; i < k->ledger.n; i++)
        pads_free(k->ledger.peers[i]->pads);
    ledger_deinit(&k->ledger);
    journal_free(k->journal);
    seal_free(k->seal);
    buf_deinit(&k->record);
    *k = (struct keystore){0};
}
