/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/journal.h"

#include "common/buf.h"
#include "common/secret.h"
#include "common/util.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#define FILE_NAME "journal"
#define FILE_MAX  ((int64_t)1024 * 1024 * 1024)
#define MAC_BYTES 32
#define KEY_ID    8
#define HEAD      64 /* magic 4, kind 4, key id 8, seq 8, payload bytes 8, code of the record before */
#define PREFIX    16 /* of a snapshot: number of the history file in use, bytes of it that count */

static const uint8_t magic[4] = {'Q', 'F', 'L', 'J'};

struct journal {
    struct disk *disk; /* kept */
    uint8_t key[JOURNAL_KEY_BYTES];
    uint8_t key_id[KEY_ID];
    uint64_t seq;            /* of the last record */
    uint8_t code[MAC_BYTES]; /* of the last record */
    uint64_t end;            /* of the file, a multiple of the sector */
    uint64_t history_index;
    uint64_t history_len;
    struct buf recent; /* packed records since the last compaction */
    struct buf out;    /* scratch */
    uint64_t repairs;
};

/* A valid record inside some bytes. */
struct record {
    enum journal_kind kind;
    uint64_t seq;
    const uint8_t *prev;
    const uint8_t *payload;
    size_t payload_len;
    const uint8_t *code;
    size_t packed; /* bytes of all of it */
};

static uint64_t padded(uint64_t len)
{
    return (len + JOURNAL_SECTOR - 1) / JOURNAL_SECTOR * JOURNAL_SECTOR;
}

/* ---- one record ------------------------------------------------------------------------------ */

static void code_of(const struct journal *j, const uint8_t *data, size_t len, uint8_t *code)
{
    unsigned n = 0;
    if (!HMAC(EVP_sha256(), j->key, sizeof(j->key), data, len, code, &n) || n != MAC_BYTES)
        abort(); /* only without memory */
}

/* Appends one packed record to `to`. */
static int record_pack(const struct journal *j, enum journal_kind kind, uint64_t seq,
    const uint8_t *payload, size_t len, struct buf *to)
{
    size_t at = to->len;
    int r = buf_reserve(to, HEAD + len + MAC_BYTES);
    if (r < 0)
        return r;
    uint8_t *p = to->data + at;
    memset(p, 0, HEAD);
    memcpy(p, magic, sizeof(magic));
    put_u32le(p + 4, kind);
    memcpy(p + 8, j->key_id, KEY_ID);
    put_u64le(p + 16, seq);
    put_u64le(p + 24, len);
    memcpy(p + 32, j->code, MAC_BYTES);
    if (len > 0)
        memcpy(p + HEAD, payload, len);
    code_of(j, p, HEAD + len, p + HEAD + len);
    to->len = at + HEAD + len + MAC_BYTES;
    return 0;
}

/* The record that begins with these bytes; false if there is none. */
static bool record_parse(const struct journal *j, const uint8_t *data, size_t len, struct record *r)
{
    if (len < HEAD + MAC_BYTES || memcmp(data, magic, sizeof(magic)) != 0)
        return false;
    uint32_t kind = get_u32le(data + 4);
    uint64_t payload_len = get_u64le(data + 24);
    if (kind > JOURNAL_RECORD || payload_len > len - HEAD - MAC_BYTES)
        return false;
    uint8_t code[MAC_BYTES];
    code_of(j, data, HEAD + payload_len, code);
    *r = (struct record){
        .kind = kind,
        .seq = get_u64le(data + 16),
        .prev = data + 32,
        .payload = data + HEAD,
        .payload_len = payload_len,
        .code = data + HEAD + payload_len,
        .packed = HEAD + payload_len + MAC_BYTES,
    };
    return secret_equal(code, r->code, MAC_BYTES);
}

/* Two copies of the packed record, each beginning with a sector of its own. */
static int make_twins(struct buf *record)
{
    size_t packed = record->len;
    size_t whole = padded(packed);
    int r = buf_reserve(record, 2 * whole - packed);
    if (r < 0)
        return r;
    memset(record->data + packed, 0, 2 * whole - packed);
    memcpy(record->data + whole, record->data, packed);
    record->len = 2 * whole;
    return 0;
}

/* ---- replay ---------------------------------------------------------------------------------- */

/* The whole file while it is replayed. */
struct image {
    const uint8_t *data;
    size_t len;
};

static bool image_parse(
    const struct journal *j, const struct image *i, uint64_t at, struct record *r)
{
    return at < i->len && record_parse(j, i->data + at, i->len - at, r);
}

static bool is_wanted(const struct record *r, enum journal_kind kind, uint64_t seq)
{
    return r->kind == kind && (kind == JOURNAL_SNAPSHOT || r->seq == seq);
}

/* The record expected at `at`, from its first copy or its second; *next is where the next begins. */
static bool find_record(struct journal *j, const struct image *i, uint64_t at,
    enum journal_kind kind, struct record *found, uint64_t *next)
{
    struct record twin;
    uint64_t seq = j->seq + 1;
    if (image_parse(j, i, at, found) && is_wanted(found, kind, seq)) {
        uint64_t whole = padded(found->packed);
        if (!image_parse(j, i, at + whole, &twin) || !is_wanted(&twin, kind, found->seq))
            j->repairs++;
        *next = at + 2 * whole;
        return true;
    }
    for (uint64_t s = at + JOURNAL_SECTOR; s < i->len; s += JOURNAL_SECTOR) {
        if (!image_parse(j, i, s, found) || !is_wanted(found, kind, seq) ||
            s != at + padded(found->packed))
            continue;
        j->repairs++;
        *next = s + padded(found->packed);
        return true;
    }
    return false;
}

static bool has_record_from(const struct journal *j, const struct image *i, uint64_t at)
{
    struct record r;
    for (uint64_t s = at; s < i->len; s += JOURNAL_SECTOR)
        if (image_parse(j, i, s, &r))
            return true;
    return false;
}

static bool is_of_another_key(const struct journal *j, const struct image *i)
{
    return i->len >= HEAD && memcmp(i->data, magic, sizeof(magic)) == 0 &&
           memcmp(i->data + 8, j->key_id, KEY_ID) != 0;
}

static int replay_snapshot(struct journal *j, const struct image *i, uint64_t *at,
    journal_each each, void *arg, struct err *e)
{
    struct record r;
    if (!find_record(j, i, 0, JOURNAL_SNAPSHOT, &r, at) || r.payload_len < PREFIX) {
        if (is_of_another_key(j, i))
            return err_set(e, JOURNAL_E_KEY,
                "the journal was written under another key-encryption key: this KEK file does not "
                "belong to this vault");
        return err_set(e, JOURNAL_E_FAULT, "the journal's snapshot is damaged in both copies");
    }
    j->seq = r.seq;
    memcpy(j->code, r.prev, MAC_BYTES);
    j->history_index = get_u64le(r.payload);
    j->history_len = get_u64le(r.payload + 8);
    return each(arg, JOURNAL_SNAPSHOT, r.seq, r.payload + PREFIX, r.payload_len - PREFIX);
}

static int replay_record(
    struct journal *j, const struct record *r, journal_each each, void *arg, struct err *e)
{
    if (memcmp(r->prev, j->code, MAC_BYTES) != 0)
        return err_set(e, JOURNAL_E_FAULT,
            "record %" PRIu64 " of the journal does not follow from the one before", r->seq);
    j->seq = r->seq;
    memcpy(j->code, r->code, MAC_BYTES);
    int res = buf_append(&j->recent, r->payload - HEAD, r->packed);
    return res < 0 ? res : each(arg, JOURNAL_RECORD, r->seq, r->payload, r->payload_len);
}

static int replay(
    struct journal *j, const struct image *i, journal_each each, void *arg, struct err *e)
{
    struct record r;
    uint64_t next = 0;
    int res = replay_snapshot(j, i, &j->end, each, arg, e);
    while (res == 0 && find_record(j, i, j->end, JOURNAL_RECORD, &r, &next)) {
        res = replay_record(j, &r, each, arg, e);
        j->end = next;
    }
    if (res == 0 && has_record_from(j, i, j->end))
        return err_set(e, JOURNAL_E_FAULT,
            "record %" PRIu64 " of the journal is damaged in both copies, later ones are whole",
            j->seq + 1);
    return res;
}

/* ---- open ------------------------------------------------------------------------------------ */

/* Reads a whole file. -ENOENT if it does not exist. */
static int read_file(struct disk *disk, const char *name, struct buf *to)
{
    int64_t size = disk_size(disk, name);
    if (size < 0)
        return (int)size;
    if (size > FILE_MAX)
        return -EFBIG;
    int r = buf_reserve(to, (size_t)size);
    if (r < 0)
        return r;
    int64_t got = disk_read(disk, name, 0, to->data, (size_t)size);
    if (got < 0)
        return (int)got;
    to->len = (size_t)got;
    return 0;
}

/* The last records may be in memory only, of a process that was killed before its sync, or whose sync
 * failed: no later sync would make those durable. So they are written anew before anything is built on
 * them. */
static int write_again(struct journal *j, struct buf *file, struct err *e)
{
    if (j->recent.len == 0)
        return 0;
    size_t lacks = j->end > file->len ? j->end - file->len : 0; /* of the last copy, cut short */
    int r = buf_reserve(file, lacks);
    if (r == 0) {
        memset(file->data + file->len, 0, lacks);
        file->len += lacks;
        r = disk_replace(j->disk, FILE_NAME, file->data, j->end);
    }
    return r < 0 ? err_set(e, r, "cannot write the journal: %s", strerror(-r)) : 0;
}

static int load(struct journal *j, journal_each each, void *arg, struct err *e)
{
    cleanup(buf_deinit) struct buf file = {0};
    int r = read_file(j->disk, FILE_NAME, &file);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return err_set(e, r, "cannot read the journal: %s", strerror(-r));
    const struct image i = {file.data, file.len};
    r = replay(j, &i, each, arg, e);
    return r == 0 ? write_again(j, &file, e) : r;
}

int journal_open(struct journal **out, struct disk *disk, const uint8_t key[JOURNAL_KEY_BYTES],
    journal_each each, void *arg, struct err *e)
{
    struct journal *j = calloc(1, sizeof(*j));
    if (!j)
        return err_set(e, -ENOMEM, "out of memory");
    j->disk = disk;
    memcpy(j->key, key, sizeof(j->key));
    uint8_t code[MAC_BYTES];
    code_of(j, magic, sizeof(magic), code);
    memcpy(j->key_id, code, KEY_ID);
    int r = load(j, each, arg, e);
    if (r != 0) {
        journal_free(j);
        return r;
    }
    *out = j;
    return 0;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    buf_deinit(&j->recent);
    buf_deinit(&j->out);
    secret_wipe(j->key, sizeof(j->key));
    free(j);
}

/* ---- append ---------------------------------------------------------------------------------- */

int journal_append(struct journal *j, const uint8_t *payload, size_t len)
{
    assert(j->end > 0);
    j->out.len = 0;
    int r = record_pack(j, JOURNAL_RECORD, j->seq + 1, payload, len, &j->out);
    size_t packed = j->out.len;
    if (r == 0)
        r = buf_append(&j->recent, j->out.data, packed);
    if (r == 0)
        r = make_twins(&j->out);
    if (r == 0)
        r = disk_write(j->disk, FILE_NAME, j->end, j->out.data, j->out.len);
    if (r == 0)
        r = disk_sync(j->disk, FILE_NAME);
    if (r < 0)
        return r;
    j->seq++;
    memcpy(j->code, j->out.data + packed - MAC_BYTES, MAC_BYTES);
    j->end += j->out.len;
    return 0;
}

/* ---- compaction and history ------------------------------------------------------------------ */

static void history_name(uint64_t index, char name[DISK_NAME_MAX])
{
    snprintf(name, DISK_NAME_MAX, "history/%08" PRIx64, index);
}

/* The part of the newest history file that counts; a missing or short one is begun anew, beside it,
 * for service does not depend on it. */
static int history_tail(struct journal *j, struct buf *to)
{
    char name[DISK_NAME_MAX];
    history_name(j->history_index, name);
    int r = j->history_len > 0 ? read_file(j->disk, name, to) : 0;
    if (r < 0 && r != -ENOENT)
        return r;
    bool is_short = to->len < j->history_len;
    if (is_short || j->history_len >= JOURNAL_HISTORY_FULL) {
        j->history_index++;
        j->history_len = 0;
    }
    to->len = j->history_len;
    return 0;
}

/* Moves the recent records to the history. Done again after a crash it writes the same. */
static int save_history(struct journal *j)
{
    cleanup(buf_deinit) struct buf file = {0};
    if (j->recent.len == 0)
        return 0;
    int r = history_tail(j, &file);
    if (r == 0)
        r = buf_append(&file, j->recent.data, j->recent.len);
    if (r < 0)
        return r;
    char name[DISK_NAME_MAX];
    history_name(j->history_index, name);
    r = disk_replace(j->disk, name, file.data, file.len);
    if (r < 0)
        return r;
    j->history_len = file.len;
    j->recent.len = 0;
    return 0;
}

int journal_compact(struct journal *j, const uint8_t *snapshot, size_t len)
{
    cleanup(buf_deinit) struct buf payload = {0};
    int r = save_history(j);
    if (r == 0)
        r = buf_append_u64le(&payload, j->history_index);
    if (r == 0)
        r = buf_append_u64le(&payload, j->history_len);
    if (r == 0)
        r = buf_append(&payload, snapshot, len);
    j->out.len = 0;
    if (r == 0)
        r = record_pack(j, JOURNAL_SNAPSHOT, j->seq, payload.data, payload.len, &j->out);
    if (r == 0)
        r = make_twins(&j->out);
    if (r == 0)
        r = disk_replace(j->disk, FILE_NAME, j->out.data, j->out.len);
    if (r < 0)
        return r;
    j->end = j->out.len;
    return 0;
}

/* Where a walk through packed records is. */
struct walk {
    journal_each each;
    void *arg;
    bool begun;
    uint64_t seq;
    uint8_t code[MAC_BYTES];
};

static int walk_packed(const struct journal *j, struct walk *w, const uint8_t *data, size_t len)
{
    struct record r;
    for (; len > 0; data += r.packed, len -= r.packed) {
        if (!record_parse(j, data, len, &r) || r.kind != JOURNAL_RECORD)
            return JOURNAL_E_FAULT;
        if (w->begun && (r.seq != w->seq + 1 || memcmp(r.prev, w->code, MAC_BYTES) != 0))
            return JOURNAL_E_FAULT;
        w->begun = true;
        w->seq = r.seq;
        memcpy(w->code, r.code, MAC_BYTES);
        int res = w->each(w->arg, JOURNAL_RECORD, r.seq, r.payload, r.payload_len);
        if (res != 0)
            return res;
    }
    return 0;
}

/* Files that an operator has put away are missing at the beginning only. */
static int walk_file(struct journal *j, struct walk *w, uint64_t index)
{
    cleanup(buf_deinit) struct buf file = {0};
    char name[DISK_NAME_MAX];
    history_name(index, name);
    int r = read_file(j->disk, name, &file);
    if (r == -ENOENT)
        return w->begun ? JOURNAL_E_FAULT : 0;
    if (r < 0)
        return r;
    if (index == j->history_index) {
        if (file.len < j->history_len)
            return JOURNAL_E_FAULT;
        file.len = j->history_len;
    }
    return walk_packed(j, w, file.data, file.len);
}

int journal_walk(struct journal *j, journal_each each, void *arg)
{
    struct walk w = {.each = each, .arg = arg};
    int r = 0;
    for (uint64_t i = 0; r == 0 && i <= j->history_index; i++)
        r = i < j->history_index || j->history_len > 0 ? walk_file(j, &w, i) : 0;
    return r != 0 ? r : walk_packed(j, &w, j->recent.data, j->recent.len);
}

uint64_t journal_seq(const struct journal *j)
{
    return j->seq;
}

bool journal_is_long(const struct journal *j)
{
    return j->end >= JOURNAL_LONG;
}

uint64_t journal_repairs(const struct journal *j)
{
    return j->repairs;
}
