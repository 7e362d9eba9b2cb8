/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/disk_sim.h"

#include "common/util.h"
#include "tests/sim/disk_file.h"
#include "tests/sim/need.h"

#include <errno.h>
#include <stdio.h>

/* What the power cut fell into, so that the crash can draw its outcome. */
enum torn_kind { TORN_NONE, TORN_REPLACE, TORN_ERASE };

struct disk_sim {
    struct disk disk; /* first: the interface is cast back */
    struct rnd rnd;
    struct disk_file *files; /* owned */
    size_t n;
    size_t cap;
    uint64_t operations;
    uint64_t cut_in;  /* operations to the power cut, 0: none */
    uint64_t fail_in; /* operations to the injected error, 0: none */
    int fail_error;
    bool failed;
    bool cut;
    uint64_t lost;
    enum torn_kind torn;
    char torn_name[DISK_NAME_MAX + 1];
    struct buf torn_data; /* of the interrupted replace */
    const char *forgotten[4];
    size_t n_forgotten;
    bool record;
    struct buf *written; /* owned: one buffer per recorded write */
    size_t n_written;
    size_t cap_written;
};

struct disk_image {
    struct disk_file *files; /* owned; only name and now are used */
    size_t n;
};

static void *need_array(void *array, size_t count, size_t size)
{
    return need(reallocarray(array, count ? count : 1, size));
}

static struct disk_sim *of(struct disk *d)
{
    return (struct disk_sim *)d;
}

/* ---- files ---- */

static struct disk_file *file_find(const struct disk_sim *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->files[i].name, name) == 0)
            return &s->files[i];
    return NULL;
}

static struct disk_file *file_seen(const struct disk_sim *s, const char *name)
{
    struct disk_file *f = file_find(s, name);
    return f && f->seen ? f : NULL;
}

static struct disk_file *file_make(struct disk_sim *s, const char *name)
{
    struct disk_file *f = file_find(s, name);
    if (!f) {
        if (s->n == s->cap) {
            s->cap = s->cap ? 2 * s->cap : 8;
            s->files = need_array(s->files, s->cap, sizeof(*s->files));
        }
        f = &s->files[s->n++];
        *f = (struct disk_file){0};
        strncpy(f->name, name, DISK_NAME_MAX);
    }
    f->seen = true;
    return f;
}

/* Forgets files that neither readers nor the disk know. */
static void files_prune(struct disk_sim *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->files[i].seen || s->files[i].on_disk)
            s->files[kept++] = s->files[i];
        else
            disk_file_deinit(&s->files[i]);
    }
    s->n = kept;
}

/* ---- the operations of struct disk ---- */

static void record(struct disk_sim *s, const void *data, size_t len)
{
    if (!s->record || len == 0)
        return;
    if (s->n_written == s->cap_written) {
        s->cap_written = s->cap_written ? 2 * s->cap_written : 64;
        s->written = need_array(s->written, s->cap_written, sizeof(*s->written));
    }
    s->written[s->n_written] = (struct buf){0};
    disk_bytes_set(&s->written[s->n_written++], data, len);
}

enum fate { FATE_DONE, FATE_CUT, FATE_FAIL };

/* Counts a mutating operation and says how it ends. */
static enum fate operation(struct disk_sim *s)
{
    s->operations++;
    if (s->cut_in > 0 && --s->cut_in == 0) {
        s->cut = true;
        return FATE_CUT;
    }
    if (s->fail_in > 0 && --s->fail_in == 0) {
        s->failed = true;
        return FATE_FAIL;
    }
    return FATE_DONE;
}

static int64_t sim_read(struct disk *d, const char *name, uint64_t offset, void *out, size_t len)
{
    struct disk_sim *s = of(d);
    if (s->cut)
        return -EIO;
    const struct disk_file *f = file_seen(s, name);
    if (!f)
        return -ENOENT;
    if (offset >= f->now.len)
        return 0;
    size_t n = MIN(len, f->now.len - offset);
    if (n > 0)
        memcpy(out, f->now.data + offset, n);
    return (int64_t)n;
}

static int64_t sim_size(struct disk *d, const char *name)
{
    struct disk_sim *s = of(d);
    if (s->cut)
        return -EIO;
    const struct disk_file *f = file_seen(s, name);
    return f ? (int64_t)f->now.len : -ENOENT;
}

static int sim_write(
    struct disk *d, const char *name, uint64_t offset, const void *data, size_t len)
{
    struct disk_sim *s = of(d);
    if (s->cut)
        return -EIO;
    record(s, data, len);
    enum fate fate = operation(s);
    if (fate == FATE_FAIL)
        len = len > 0 ? rnd_below(&s->rnd, len) : 0; /* a short write before the error */
    struct disk_file *f = file_make(s, name);
    disk_file_write(f, offset, data, len);
    return fate == FATE_DONE ? 0 : fate == FATE_CUT ? -EIO : s->fail_error;
}

static int sim_sync(struct disk *d, const char *name)
{
    struct disk_sim *s = of(d);
    if (s->cut)
        return -EIO;
    struct disk_file *f = file_seen(s, name);
    if (!f)
        return -ENOENT;
    switch (operation(s)) {
    case FATE_CUT:
        return -EIO; /* the pieces stay: the crash draws which got there */
    case FATE_FAIL:
        for (size_t i = 0; i < f->n_pieces; i++)
            f->pieces[i].doomed = true;
        return s->fail_error;
    case FATE_DONE:
        break;
    }
    disk_file_sync(f);
    return 0;
}

static int tear(struct disk_sim *s, enum torn_kind kind, const char *name)
{
    s->torn = kind;
    snprintf(s->torn_name, sizeof(s->torn_name), "%s", name);
    return -EIO;
}

static int sim_replace(struct disk *d, const char *name, const void *data, size_t len)
{
    struct disk_sim *s = of(d);
    if (s->cut)
        return -EIO;
    record(s, data, len);
    switch (operation(s)) {
    case FATE_CUT:
        disk_bytes_set(&s->torn_data, data, len);
        return tear(s, TORN_REPLACE, name);
    case FATE_FAIL:
        return s->fail_error;
    case FATE_DONE:
        break;
    }
    disk_file_become(file_make(s, name), data, len);
    return 0;
}

static int sim_erase(struct disk *d, const char *name)
{
    struct disk_sim *s = of(d);
    if (s->cut)
        return -EIO;
    struct disk_file *f = file_seen(s, name);
    if (!f)
        return 0;
    switch (operation(s)) {
    case FATE_CUT:
        return tear(s, TORN_ERASE, name);
    case FATE_FAIL:
        return s->fail_error;
    case FATE_DONE:
        break;
    }
    disk_file_vanish(f);
    files_prune(s);
    return 0;
}

static int sim_list(
    struct disk *d, const char *prefix, int (*each)(void *arg, const char *name), void *arg)
{
    struct disk_sim *s = of(d);
    if (s->cut)
        return -EIO;
    size_t n = 0;
    char(*names)[DISK_NAME_MAX + 1] = need_array(NULL, s->n, sizeof(*names));
    for (size_t i = 0; i < s->n; i++)
        if (s->files[i].seen && strncmp(s->files[i].name, prefix, strlen(prefix)) == 0)
            memcpy(names[n++], s->files[i].name, sizeof(*names));
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++)
        result = each(arg, names[i]);
    free(names);
    return result;
}

static const struct disk_ops sim_ops = {
    .read = sim_read,
    .size = sim_size,
    .write = sim_write,
    .sync = sim_sync,
    .replace = sim_replace,
    .erase = sim_erase,
    .list = sim_list,
};

/* ---- crashes ---- */

static void torn_crash(struct disk_sim *s)
{
    struct disk_file *f = file_seen(s, s->torn_name);
    if (s->torn == TORN_REPLACE && rnd_chance(&s->rnd, 0.5))
        disk_file_become(file_make(s, s->torn_name), s->torn_data.data, s->torn_data.len);
    if (s->torn == TORN_ERASE && f)
        disk_file_crash_erase(f, &s->rnd);
    s->torn = TORN_NONE;
    s->torn_data.len = 0;
}

static void power_on(struct disk_sim *s)
{
    for (size_t i = 0; i < s->n_forgotten; i++)
        if (file_find(s, s->forgotten[i]))
            disk_file_vanish(file_find(s, s->forgotten[i]));
    files_prune(s);
    s->cut = false;
    s->failed = false;
    s->cut_in = 0;
    s->fail_in = 0;
}

void disk_sim_crash(struct disk_sim *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->lost += disk_file_crash(&s->files[i], &s->rnd);
    torn_crash(s);
    power_on(s);
}

void disk_sim_kill(struct disk_sim *s)
{
    torn_crash(s);
    power_on(s);
}

void disk_sim_forget(struct disk_sim *s, const char *name)
{
    if (s->n_forgotten == ARRAY_SIZE(s->forgotten))
        abort();
    s->forgotten[s->n_forgotten++] = name;
}

void disk_sim_cut_at(struct disk_sim *s, uint64_t n)
{
    s->cut_in = n;
}

bool disk_sim_is_cut(const struct disk_sim *s)
{
    return s->cut;
}

void disk_sim_fail_at(struct disk_sim *s, uint64_t n, int error)
{
    s->fail_in = n;
    s->fail_error = error;
}

/* ---- backups ---- */

struct disk_image *disk_sim_snapshot(const struct disk_sim *s)
{
    struct disk_image *image = need_array(NULL, 1, sizeof(*image));
    *image = (struct disk_image){.files = need_array(NULL, s->n, sizeof(*image->files))};
    for (size_t i = 0; i < s->n; i++) {
        if (!s->files[i].seen)
            continue;
        struct disk_file *copy = &image->files[image->n++];
        *copy = (struct disk_file){0};
        memcpy(copy->name, s->files[i].name, sizeof(copy->name));
        disk_bytes_set(&copy->now, s->files[i].now.data, s->files[i].now.len);
    }
    return image;
}

void disk_sim_restore(struct disk_sim *s, const struct disk_image *image)
{
    for (size_t i = 0; i < s->n; i++)
        disk_file_vanish(&s->files[i]);
    files_prune(s);
    for (size_t i = 0; i < image->n; i++) {
        const struct disk_file *from = &image->files[i];
        disk_file_become(file_make(s, from->name), from->now.data, from->now.len);
    }
    s->torn = TORN_NONE;
    power_on(s);
}

void disk_image_free(struct disk_image *image)
{
    if (!image)
        return;
    for (size_t i = 0; i < image->n; i++)
        disk_file_deinit(&image->files[i]);
    free(image->files);
    free(image);
}

/* ---- queries ---- */

uint64_t disk_sim_operations(const struct disk_sim *s)
{
    return s->operations;
}

uint64_t disk_sim_lost(const struct disk_sim *s)
{
    return s->lost;
}

bool disk_sim_has_failed(const struct disk_sim *s)
{
    return s->failed;
}

void disk_sim_record(struct disk_sim *s)
{
    s->record = true;
}

static bool has(const struct buf *b, const void *bytes, size_t len)
{
    return b->len >= len && memmem(b->data, b->len, bytes, len);
}

bool disk_sim_has_written(const struct disk_sim *s, const void *bytes, size_t len)
{
    for (size_t i = 0; i < s->n_written; i++)
        if (has(&s->written[i], bytes, len))
            return true;
    return false;
}

bool disk_sim_holds(const struct disk_sim *s, const void *bytes, size_t len)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->files[i].seen && has(&s->files[i].now, bytes, len))
            return true;
    return false;
}

int disk_sim_flip(struct disk_sim *s, const char *name, uint64_t bit)
{
    struct disk_file *f = file_seen(s, name);
    if (!f)
        return -ENOENT;
    if (bit / 8 >= f->now.len)
        return -ERANGE;
    f->now.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    if (bit / 8 < f->durable.len)
        f->durable.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    return 0;
}

struct disk_sim *disk_sim_new(uint64_t seed)
{
    struct disk_sim *s = need_array(NULL, 1, sizeof(*s));
    *s = (struct disk_sim){.disk.ops = &sim_ops};
    rnd_init(&s->rnd, seed);
    return s;
}

void disk_sim_free(struct disk_sim *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        disk_file_deinit(&s->files[i]);
    for (size_t i = 0; i < s->n_written; i++)
        buf_deinit(&s->written[i]);
    free(s->files);
    free(s->written);
    buf_deinit(&s->torn_data);
    free(s);
}

struct disk *disk_sim_disk(struct disk_sim *s)
{
    return &s->disk;
}
