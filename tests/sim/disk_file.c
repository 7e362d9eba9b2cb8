/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/disk_file.h"

#include "common/util.h"
#include "tests/sim/need.h"

void disk_bytes_set(struct buf *b, const void *data, size_t len)
{
    b->len = 0;
    need_ok(buf_append(b, data, len));
}

static void bytes_resize(struct buf *b, size_t len)
{
    if (len > b->len) {
        need_ok(buf_reserve(b, len - b->len));
        memset(b->data + b->len, 0, len - b->len);
    }
    b->len = len;
}

static void bytes_put(struct buf *b, uint64_t offset, const void *data, size_t len)
{
    if (offset + len > b->len)
        bytes_resize(b, offset + len);
    if (len > 0)
        memcpy(b->data + offset, data, len);
}

void disk_file_deinit(struct disk_file *f)
{
    buf_deinit(&f->now);
    buf_deinit(&f->durable);
    free(f->pieces);
}

static void add_pieces(struct disk_file *f, uint64_t offset, const uint8_t *data, size_t len)
{
    while (len > 0) {
        uint64_t room = DISK_SIM_SECTOR - offset % DISK_SIM_SECTOR;
        struct disk_piece p = {.offset = offset, .len = (uint32_t)MIN(len, room)};
        memcpy(p.data, data, p.len);
        if (f->n_pieces == f->cap_pieces) {
            f->cap_pieces = f->cap_pieces ? 2 * f->cap_pieces : 8;
            f->pieces = need(reallocarray(f->pieces, f->cap_pieces, sizeof(*f->pieces)));
        }
        f->pieces[f->n_pieces++] = p;
        offset += p.len;
        data += p.len;
        len -= p.len;
    }
}

void disk_file_write(struct disk_file *f, uint64_t offset, const void *data, size_t len)
{
    bytes_put(&f->now, offset, data, len);
    add_pieces(f, offset, data, len);
}

void disk_file_sync(struct disk_file *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->n_pieces; i++) {
        if (f->pieces[i].doomed)
            f->pieces[kept++] = f->pieces[i];
        else
            bytes_put(&f->durable, f->pieces[i].offset, f->pieces[i].data, f->pieces[i].len);
    }
    f->n_pieces = kept;
    f->on_disk = true;
}

void disk_file_become(struct disk_file *f, const void *data, size_t len)
{
    disk_bytes_set(&f->now, data, len);
    disk_bytes_set(&f->durable, data, len);
    f->n_pieces = 0;
    f->seen = true;
    f->on_disk = true;
}

void disk_file_vanish(struct disk_file *f)
{
    f->seen = false;
    f->on_disk = false;
    f->n_pieces = 0;
    f->now.len = 0;
    f->durable.len = 0;
}

/* How many of the writes into one sector survive: often all or none, else any prefix. */
static size_t survivors(struct rnd *r, unsigned mood, size_t writes)
{
    if (mood == 0)
        return 0;
    if (mood == 1)
        return writes;
    return rnd_below(r, writes + 1);
}

/* Draws the outcome of one sector: applies to `durable` a prefix of the pieces that lie in it. */
static size_t sector_crash(struct disk_file *f, uint64_t sector, unsigned mood, struct rnd *r)
{
    size_t writes = 0;
    for (size_t i = 0; i < f->n_pieces; i++)
        writes += f->pieces[i].offset / DISK_SIM_SECTOR == sector;
    size_t keep = survivors(r, mood, writes);
    size_t lost = writes - keep;
    for (size_t i = 0; i < f->n_pieces && keep > 0; i++) {
        const struct disk_piece *p = &f->pieces[i];
        if (p->offset / DISK_SIM_SECTOR != sector)
            continue;
        bytes_put(&f->durable, p->offset, p->data, p->len);
        keep--;
    }
    return lost;
}

size_t disk_file_crash(struct disk_file *f, struct rnd *r)
{
    unsigned mood = (unsigned)rnd_below(r, 4); /* none, all, twice: each sector by itself */
    size_t lost = 0;
    if (f->n_pieces > 0) {
        uint64_t sectors = (f->now.len + DISK_SIM_SECTOR - 1) / DISK_SIM_SECTOR;
        for (uint64_t i = 0; i < sectors; i++)
            lost += sector_crash(f, i, mood, r);
    }
    f->n_pieces = 0;
    if (!f->on_disk && rnd_chance(r, 0.5)) {
        disk_file_vanish(f);
        return lost;
    }
    f->on_disk = true;
    f->seen = true;
    disk_bytes_set(&f->now, f->durable.data, f->durable.len);
    return lost;
}

void disk_file_crash_erase(struct disk_file *f, struct rnd *r)
{
    unsigned mood = (unsigned)rnd_below(r, 4);
    if (mood == 0) {
        disk_file_vanish(f);
        return;
    }
    for (size_t at = 0; at < f->durable.len && mood > 1; at += DISK_SIM_SECTOR)
        if (mood == 2 || rnd_chance(r, 0.5))
            memset(f->durable.data + at, 0, MIN(DISK_SIM_SECTOR, f->durable.len - at));
    disk_bytes_set(&f->now, f->durable.data, f->durable.len);
}
