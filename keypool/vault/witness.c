/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/witness.h"

#include "common/file_io.h"
#include "common/sha256.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define SECTOR     512
#define CHECK      8
#define SYNC_EVERY 64

struct slot {
    uint8_t magic[8];
    uint8_t epoch[8];
    uint8_t check[CHECK]; /* first bytes of the hash of what is before */
};

static const uint8_t magic[8] = {'Q', 'F', 'L', 'W', 'I', 'T', 'N', '1'};

static void slot_make(struct slot *s, uint64_t epoch)
{
    uint8_t hash[SHA256_BYTES];
    memcpy(s->magic, magic, sizeof(magic));
    put_u64le(s->epoch, epoch);
    sha256(hash, s, offsetof(struct slot, check));
    memcpy(s->check, hash, CHECK);
}

static bool slot_read(int fd, uint64_t which, uint64_t *epoch)
{
    struct slot s;
    struct slot expected;
    if (file_read_at(fd, &s, sizeof(s), which * SECTOR) != sizeof(s))
        return false;
    slot_make(&expected, get_u64le(s.epoch));
    if (memcmp(&s, &expected, sizeof(s)) != 0)
        return false;
    *epoch = get_u64le(s.epoch);
    return true;
}

/* An empty file is a new one. */
static int load(struct witness *w, const char *path, struct err *e)
{
    uint64_t epoch[2] = {0, 0};
    bool has_first = slot_read(w->fd, 0, &epoch[0]);
    bool has_second = slot_read(w->fd, 1, &epoch[1]);
    w->epoch = MAX(epoch[0], epoch[1]);
    if (has_first || has_second || lseek(w->fd, 0, SEEK_END) == 0)
        return 0;
    return err_set(e, -EBADMSG,
        "witness %s: damaged, or no witness; remove it and see `qflctl keys adopt`", path);
}

int witness_open(struct witness *w, const char *path, struct err *e)
{
    *w = (struct witness){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (w->fd < 0)
        return err_set(e, -errno, "witness %s: %s", path, strerror(errno));
    int r = load(w, path, e);
    if (r < 0)
        witness_close(w);
    return r;
}

void witness_close(struct witness *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

static int write_slot(struct witness *w, uint64_t epoch, uint64_t which)
{
    struct slot s;
    slot_make(&s, epoch);
    return file_write_at(w->fd, &s, sizeof(s), which * SECTOR);
}

int witness_write(struct witness *w, uint64_t epoch)
{
    if (epoch == w->epoch)
        return 0;
    int r = write_slot(w, epoch, epoch % 2);
    if (r == 0 && epoch < w->epoch)
        r = write_slot(w, epoch, 1 - epoch % 2);
    if (r < 0)
        return r;
    w->epoch = epoch;
    return ++w->unsynced < SYNC_EVERY ? 0 : witness_sync(w);
}

int witness_sync(struct witness *w)
{
    w->unsynced = 0;
    return fdatasync(w->fd) < 0 ? -errno : 0;
}

bool witness_take_adoption(const char *path)
{
    char name[4096];
    return snprintf(name, sizeof(name), "%s.adopt", path) < (int)sizeof(name) && unlink(name) == 0;
}
