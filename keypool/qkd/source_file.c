/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/source_file.h"

#include "common/secret.h"
#include "common/sha256.h"
#include "common/util.h"
#include "keypool/qkd/key_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define READY_TYPE     1
#define READY_BYTES    (1 + KEY_FILE_ID_BYTES + 8)
#define POSITION_BYTES (KEY_FILE_ID_BYTES + 16 + SHA256_BYTES) /* id, next, erased, hash */

struct source_file {
    struct source source; /* first */
    struct disk *disk;
    char name[DISK_NAME_MAX + 1];
    char position_name[DISK_NAME_MAX + 1];
    char peer[SITE_NAME_MAX + 1];
    struct key_file file;
    uint64_t next;   /* blocks below are burnt */
    uint64_t erased; /* blocks below are overwritten, too; not above next */
    uint32_t grants;
    bool channel_up;
    bool said_ready;
    bool heard_ready;
    uint64_t peer_next; /* of the READY heard */
    bool mismatch;      /* the peer has another file */
};

static struct source_file *of(const struct source *s)
{
    return (struct source_file *)s;
}

/* ---- the durable position ----------------------------------------------------------------- */

static void encode_position(const struct source_file *s, uint8_t out[POSITION_BYTES])
{
    memcpy(out, s->file.id, KEY_FILE_ID_BYTES);
    put_u64le(out + KEY_FILE_ID_BYTES, s->next);
    put_u64le(out + KEY_FILE_ID_BYTES + 8, s->erased);
    sha256(out + KEY_FILE_ID_BYTES + 16, out, KEY_FILE_ID_BYTES + 16);
}

static int save_position(const struct source_file *s)
{
    uint8_t record[POSITION_BYTES];
    encode_position(s, record);
    return disk_replace(s->disk, s->position_name, record, sizeof(record));
}

/* What is burnt is overwritten; the record says so with the next block's. */
static int erase_burnt(struct source_file *s)
{
    int r = key_file_erase(s->disk, s->name, &s->file, s->erased, s->next);
    if (r == 0)
        s->erased = s->next;
    return r;
}

static int load_position(struct source_file *s, struct err *e)
{
    uint8_t record[POSITION_BYTES + 1];
    uint8_t expected[POSITION_BYTES];
    int64_t n = disk_read(s->disk, s->position_name, 0, record, sizeof(record));
    if (n == -ENOENT)
        return 0;
    if (n < 0)
        return err_set(e, (int)n, "%s: %s", s->position_name, strerror((int)-n));
    s->next = n == POSITION_BYTES ? get_u64le(record + KEY_FILE_ID_BYTES) : 0;
    s->erased = n == POSITION_BYTES ? get_u64le(record + KEY_FILE_ID_BYTES + 8) : 0;
    encode_position(s, expected);
    if (n != POSITION_BYTES || memcmp(record, expected, POSITION_BYTES) != 0 ||
        s->next > s->file.blocks || s->erased > s->next)
        return err_set(e, -EBADMSG,
            "%s is damaged: how much of %s was used is not known, carry a new file",
            s->position_name, s->name);
    int r = s->erased < s->next ? erase_burnt(s) : 0;
    return r < 0 ? err_set(e, r, "%s: %s", s->name, strerror(-r)) : 0;
}

/* ---- one block ---------------------------------------------------------------------------- */

static bool is_used_up(const struct source_file *s)
{
    return s->next >= s->file.blocks;
}

static int offer(struct source_file *s, uint64_t index, const struct secret *key, struct update *u)
{
    struct source_block block = {
        .peer = s->peer, .key = key->data, .len = key->len, .simulated = s->file.simulated};
    key_file_block_id(&s->file, index, block.id);
    return s->source.on_block(s->source.owner, &block, u);
}

/* Burn before use: position, then read, then overwrite with all that was jumped over, then offer. */
static int take(struct source_file *s, uint64_t index, struct update *u)
{
    cleanup(secret_deinit) struct secret key = {0};
    uint64_t from = s->next;
    s->next = index + 1;
    int r = save_position(s);
    if (r < 0)
        return r;
    r = secret_init(&key, s->file.block_bytes);
    if (r == 0)
        r = key_file_read(s->disk, s->name, &s->file, index, key.data);
    if (r == 0)
        r = erase_burnt(s);
    if (r < 0)
        return r;
    if (index > from)
        update_note(u, NOTE_WARNING,
            "%s: the peer was ahead, %" PRIu64 " recorded blocks are burnt", s->peer, index - from);
    return offer(s, index, &key, u);
}

/* ---- READY -------------------------------------------------------------------------------- */

static int say_ready(struct source_file *s, struct update *u)
{
    uint8_t m[READY_BYTES] = {READY_TYPE};
    if (!s->channel_up || s->said_ready || s->grants == 0 || is_used_up(s))
        return 0;
    memcpy(m + 1, s->file.id, KEY_FILE_ID_BYTES);
    put_u64le(m + 1 + KEY_FILE_ID_BYTES, s->next);
    s->said_ready = true;
    return s->source.send(s->source.owner, s->peer, m, sizeof(m), u);
}

/* As often as both are ready; the n-th READY of one end belongs to the n-th of the other. */
static int go_on(struct source_file *s, struct update *u)
{
    int r = say_ready(s, u);
    while (r == 0 && s->said_ready && s->heard_ready) {
        s->said_ready = s->heard_ready = false;
        s->grants--;
        r = take(s, MAX(s->next, s->peer_next), u);
        if (r == 0)
            r = say_ready(s, u);
    }
    if (r == 0 && is_used_up(s) && s->grants > 0)
        update_note(u, NOTE_ALARM, "%s: the recorded keys are used up", s->peer);
    return r;
}

static int message(struct source *source, const char *peer, uint8_t *data, size_t len,
    struct update *u, struct err *e)
{
    struct source_file *s = of(source);
    if (len != READY_BYTES || data[0] != READY_TYPE || s->heard_ready)
        return err_set(e, SOURCE_E_VIOLATION, "recorded keys: READY was expected");
    s->mismatch = memcmp(data + 1, s->file.id, KEY_FILE_ID_BYTES) != 0;
    if (s->mismatch)
        return 0;
    s->peer_next = get_u64le(data + 1 + KEY_FILE_ID_BYTES);
    if (s->peer_next >= s->file.blocks)
        return err_set(e, SOURCE_E_VIOLATION, "recorded keys: a position beyond the file");
    s->heard_ready = true;
    return go_on(s, u);
}

static int channel(struct source *source, const char *peer, bool up, struct update *u)
{
    struct source_file *s = of(source);
    s->channel_up = up;
    s->said_ready = s->heard_ready = s->mismatch = false;
    return up ? go_on(s, u) : 0;
}

/* ---- the rest ----------------------------------------------------------------------------- */

static int grant(struct source *source, const char *peer, uint64_t want_bytes, uint64_t deadline_ms,
    struct update *u)
{
    struct source_file *s = of(source);
    if (strcmp(peer, s->peer) != 0)
        return -ENOENT;
    s->grants++;
    return go_on(s, u);
}

static int step(struct source *source, const struct event *event, struct update *u)
{
    return event->kind == EVENT_TICK ? 0 : SOURCE_E_NOT_MINE;
}

static uint64_t deadline_ms(const struct source *source)
{
    return NEVER_MS;
}

/* Burnt already, however it ended. */
static int close_block(struct source *source, const char *peer, const uint8_t *id, bool confirmed)
{
    return 0;
}

static bool is_ready(const struct source *source, const char *peer, struct err *why)
{
    const struct source_file *s = of(source);
    if (is_used_up(s))
        err_set(why, 0, "the recorded keys are used up");
    else if (s->mismatch)
        err_set(why, 0, "%s has another file of recorded keys", s->peer);
    else
        return true;
    return false;
}

static void free_file(struct source *source)
{
    free(of(source));
}

static const struct source_ops ops = {
    .grant = grant,
    .step = step,
    .deadline_ms = deadline_ms,
    .close_block = close_block,
    .channel = channel,
    .message = message,
    .is_ready = is_ready,
    .free = free_file,
};

static int open_file(struct source_file *s, const struct source_file_config *c, struct err *e)
{
    int r = key_file_open(s->disk, s->name, &s->file, e);
    if (r < 0)
        return r;
    bool is_first = strcmp(c->site, c->peer) < 0;
    if (strcmp(s->file.site[!is_first], c->site) != 0 ||
        strcmp(s->file.site[is_first], c->peer) != 0)
        return err_set(e, -EINVAL, "%s: it holds keys of %s and %s, not of %s and %s", s->name,
            s->file.site[0], s->file.site[1], c->site, c->peer);
    char hex[2 * KEY_FILE_ID_BYTES + 1];
    for (size_t i = 0; i < KEY_FILE_ID_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", s->file.id[i]);
    snprintf(s->position_name, sizeof(s->position_name), "positions/%s", hex);
    s->source.simulated = s->file.simulated;
    return load_position(s, e);
}

int source_file_new(struct source **out, const struct source_file_config *config, struct err *e)
{
    struct source_file *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory");
    s->source = (struct source){.ops = &ops, .name = "file"};
    s->disk = config->disk;
    snprintf(s->name, sizeof(s->name), "%s", config->name);
    snprintf(s->peer, sizeof(s->peer), "%s", config->peer);
    int r = open_file(s, config, e);
    if (r < 0)
        free(s);
    else
        *out = &s->source;
    return r;
}
