/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkdsim/seed.h"

#include "common/disk_posix.h"
#include "common/file_io.h"
#include "common/secret.h"
#include "keypool/qkd/boot_seed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_seed(int fd, const char *path, uint8_t out[RNG_SEED_BYTES], struct err *e)
{
    struct stat s;
    uint8_t bytes[RNG_SEED_BYTES + 1];
    if (fstat(fd, &s) < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    if (s.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(e, -EACCES, "%s: others may read it; chmod 600 it", path);
    int64_t n = file_read_at(fd, bytes, sizeof(bytes), 0);
    if (n < 0)
        return err_set(e, (int)n, "%s: %s", path, strerror((int)-n));
    if (n != RNG_SEED_BYTES)
        return err_set(e, -EINVAL, "%s: a seed is exactly %d bytes long", path, RNG_SEED_BYTES);
    memcpy(out, bytes, RNG_SEED_BYTES);
    secret_wipe(bytes, sizeof(bytes));
    return 0;
}

static int read_seed_file(const char *path, uint8_t out[RNG_SEED_BYTES], struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    int r = read_seed(fd, path, out, e);
    close(fd);
    return r;
}

/* The folder is held only while the start is counted. */
static int count_start(const char *state, const uint8_t configured[RNG_SEED_BYTES],
    uint8_t out[RNG_SEED_BYTES], struct err *e)
{
    int r = 0;
    struct disk *disk = disk_posix_new(state, &r, e);
    if (!disk)
        return r;
    r = boot_seed_next(disk, configured, out, e);
    disk_posix_free(disk);
    return r;
}

int qkdsim_seed(const struct qkdsim_config *c, uint8_t out[RNG_SEED_BYTES], struct err *e)
{
    uint8_t configured[RNG_SEED_BYTES];
    if (!c->seed) {
        ssize_t n = getrandom(out, RNG_SEED_BYTES, 0);
        return n == RNG_SEED_BYTES ? 0 : err_set(e, -EIO, "no random bytes from the system");
    }
    int r = read_seed_file(c->seed, configured, e);
    if (r == 0)
        r = count_start(c->state, configured, out, e);
    secret_wipe(configured, sizeof(configured));
    return r;
}
