/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/pads.h"

#include "common/hex.h"
#include "common/secret.h"
#include "common/util.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define FOLDER "pads/"
#define HEAD   40 /* generation, then start and length of each direction */

/* One direction: held bytes are data[0 .. end - start). */
struct way {
    struct secret bytes;
    uint64_t start;
    uint64_t end;
};

struct pads {
    struct way ways[2];
    uint64_t generation; /* of the file on the disk; its last bit is in the name */
    uint64_t saved_start[2];
};

static struct way *way_of(struct pads *p, enum vault_purpose purpose)
{
    assert(purpose == VAULT_AUTH_TX || purpose == VAULT_AUTH_RX);
    return &p->ways[purpose == VAULT_AUTH_RX];
}

static const struct way *way_in(const struct pads *p, enum vault_purpose purpose)
{
    assert(purpose == VAULT_AUTH_TX || purpose == VAULT_AUTH_RX);
    return &p->ways[purpose == VAULT_AUTH_RX];
}

struct pads *pads_new(void)
{
    return calloc(1, sizeof(struct pads));
}

void pads_free(struct pads *p)
{
    if (!p)
        return;
    secret_deinit(&p->ways[0].bytes);
    secret_deinit(&p->ways[1].bytes);
    free(p);
}

struct pads_span pads_span(const struct pads *p, enum vault_purpose purpose)
{
    const struct way *w = way_in(p, purpose);
    return (struct pads_span){w->start, w->end};
}

/* Makes room for `len` more bytes behind those held. */
static int way_reserve(struct way *w, uint64_t len)
{
    uint64_t held = w->end - w->start;
    if (len > PADS_MAX - MIN(held, PADS_MAX))
        return -ENOMEM;
    if (held + len <= w->bytes.len)
        return 0;
    struct secret more;
    int r = secret_init(&more, MAX(2 * w->bytes.len, held + len));
    if (r < 0)
        return r;
    if (held > 0)
        memcpy(more.data, w->bytes.data, held);
    secret_deinit(&w->bytes);
    w->bytes = secret_move(&more);
    return 0;
}

uint8_t *pads_append(struct pads *p, enum vault_purpose purpose, uint64_t len)
{
    struct way *w = way_of(p, purpose);
    if (way_reserve(w, len) < 0)
        return NULL;
    uint8_t *at = w->bytes.data + (w->end - w->start);
    w->end += len;
    return at;
}

void pads_restart(struct pads *p, enum vault_purpose purpose, uint64_t offset)
{
    struct way *w = way_of(p, purpose);
    if (w->bytes.data)
        secret_wipe(w->bytes.data, w->bytes.len);
    w->start = offset;
    w->end = offset;
}

void pads_drop(struct pads *p, enum vault_purpose purpose, uint64_t offset)
{
    struct way *w = way_of(p, purpose);
    if (offset <= w->start)
        return;
    if (offset >= w->end) {
        pads_restart(p, purpose, offset);
        return;
    }
    uint64_t gone = offset - w->start;
    uint64_t left = w->end - offset;
    memmove(w->bytes.data, w->bytes.data + gone, left);
    secret_wipe(w->bytes.data + left, gone);
    w->start = offset;
}

const uint8_t *pads_at(
    const struct pads *p, enum vault_purpose purpose, uint64_t offset, uint64_t len)
{
    const struct way *w = way_in(p, purpose);
    if (offset < w->start || offset > w->end || len > w->end - offset)
        return NULL;
    return w->bytes.data + (offset - w->start);
}

bool pads_is_stale(const struct pads *p)
{
    return p->ways[0].start > p->saved_start[0] || p->ways[1].start > p->saved_start[1];
}

/* ---- the file -------------------------------------------------------------------------------- */

static void name_of(const uint8_t *mask_stream, unsigned which, char name[DISK_NAME_MAX])
{
    char hex[2 * ENTRY_ID_BYTES + 1];
    hex_encode(hex, mask_stream, ENTRY_ID_BYTES);
    snprintf(name, DISK_NAME_MAX, FOLDER "%s-%u", hex, which & 1);
}

bool pads_parse_name(const char *name, uint8_t mask_stream[ENTRY_ID_BYTES])
{
    const size_t digits = 2 * (size_t)ENTRY_ID_BYTES;
    const char *p = name + strlen(FOLDER);
    return strncmp(name, FOLDER, strlen(FOLDER)) == 0 && strlen(p) == digits + 2 &&
           p[digits] == '-' && hex_decode(mask_stream, ENTRY_ID_BYTES, p, digits);
}

static struct seal_place place_of(const uint8_t *mask_stream)
{
    return (struct seal_place){0, mask_stream, ENTRY_ID_BYTES};
}

static uint64_t held(const struct way *w)
{
    return w->end - w->start;
}

static void plain_fill(const struct pads *p, uint8_t *plain)
{
    put_u64le(plain, p->generation + 1);
    uint8_t *at = plain + HEAD;
    for (size_t i = 0; i < 2; i++) {
        const struct way *w = &p->ways[i];
        put_u64le(plain + 8 + 16 * i, w->start);
        put_u64le(plain + 16 + 16 * i, held(w));
        if (held(w) > 0)
            memcpy(at, w->bytes.data, held(w));
        at += held(w);
    }
}

int pads_save(struct pads *p, struct disk *disk, struct seal *seal, const uint8_t *mask_stream)
{
    cleanup(secret_deinit) struct secret plain = {0};
    size_t len = HEAD + held(&p->ways[0]) + held(&p->ways[1]);
    auto_free uint8_t *file = malloc(SEAL_WRAPPED_BYTES + len + SEAL_TAG_BYTES);
    if (!file || secret_init(&plain, len) < 0)
        return -ENOMEM;
    plain_fill(p, plain.data);
    const struct seal_place at = place_of(mask_stream);
    seal_begin(seal, file);
    seal_chunk(seal, &at, plain.data, len, file + SEAL_WRAPPED_BYTES);
    char name[DISK_NAME_MAX];
    name_of(mask_stream, (unsigned)(p->generation + 1), name);
    int r = disk_replace(disk, name, file, SEAL_WRAPPED_BYTES + len + SEAL_TAG_BYTES);
    if (r < 0)
        return r;
    name_of(mask_stream, (unsigned)p->generation, name);
    p->generation++;
    p->saved_start[0] = p->ways[0].start;
    p->saved_start[1] = p->ways[1].start;
    return disk_erase(disk, name);
}

/* The numbers of an opened file are those of something that pads_save wrote: else SEAL_E_BROKEN. */
static int plain_parse(struct pads *p, const uint8_t *plain, size_t len)
{
    uint64_t first = len >= HEAD ? get_u64le(plain + 16) : 0;
    uint64_t second = len >= HEAD ? get_u64le(plain + 32) : 0;
    if (len < HEAD || first > PADS_MAX || second > PADS_MAX || len != HEAD + first + second)
        return SEAL_E_BROKEN;
    const uint8_t *at = plain + HEAD;
    for (size_t i = 0; i < 2; i++) {
        uint64_t n = get_u64le(plain + 16 + 16 * i);
        struct way *w = &p->ways[i];
        int r = way_reserve(w, n);
        if (r < 0)
            return r; /* no memory is no damage: the key is not given up for it */
        w->start = get_u64le(plain + 8 + 16 * i);
        w->end = w->start + n;
        if (n > 0)
            memcpy(w->bytes.data, at, n);
        at += n;
        p->saved_start[i] = w->start;
    }
    p->generation = get_u64le(plain);
    return 0;
}

/* Reads and opens one file into `plain`. */
static int open_file(struct disk *disk, struct seal *seal, const uint8_t *mask_stream,
    unsigned which, struct secret *plain)
{
    char name[DISK_NAME_MAX];
    name_of(mask_stream, which, name);
    int64_t size = disk_size(disk, name);
    if (size < 0 && size != -ENOENT)
        return (int)size;
    const int64_t least = SEAL_WRAPPED_BYTES + HEAD + SEAL_TAG_BYTES;
    if (size < least || size > least + 2 * (int64_t)PADS_MAX)
        return SEAL_E_BROKEN;
    auto_free uint8_t *file = malloc((size_t)size);
    size_t len = (size_t)size - SEAL_WRAPPED_BYTES - SEAL_TAG_BYTES;
    if (!file || secret_init(plain, len) < 0)
        return -ENOMEM;
    int64_t got = disk_read(disk, name, 0, file, (size_t)size);
    if (got < 0)
        return (int)got;
    if (got != size || seal_resume(seal, file) != 0)
        return SEAL_E_BROKEN;
    const struct seal_place at = place_of(mask_stream);
    return seal_open(seal, &at, file + SEAL_WRAPPED_BYTES, len, plain->data);
}

int pads_load(struct pads *p, struct disk *disk, struct seal *seal, const uint8_t *mask_stream)
{
    cleanup(secret_deinit) struct secret one = {0};
    cleanup(secret_deinit) struct secret other = {0};
    int r = open_file(disk, seal, mask_stream, 0, &one);
    if (r < 0)
        return r;
    int r2 = open_file(disk, seal, mask_stream, 1, &other);
    if (r2 < 0)
        return r2;
    if (r > 0 && r2 > 0)
        return SEAL_E_BROKEN;
    bool takes_other = r2 == 0 && (r > 0 || get_u64le(other.data) > get_u64le(one.data));
    const struct secret *newest = takes_other ? &other : &one;
    return plain_parse(p, newest->data, newest->len);
}
