/* SPDX-License-Identifier: Apache-2.0 */
#include "common/seed_file.h"

#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_seed(int fd, const char *path, uint8_t seed[SEED_FILE_BYTES], struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(e, -EACCES, "%s: others may read it; chmod 600", path);
    if (st.st_size != SEED_FILE_BYTES || read(fd, seed, SEED_FILE_BYTES) != SEED_FILE_BYTES)
        return err_set(e, -EBADMSG, "%s: it must hold %d bytes", path, SEED_FILE_BYTES);
    return 0;
}

static int write_seed(int fd, const char *path, uint8_t seed[SEED_FILE_BYTES], struct err *e)
{
    if (getrandom(seed, SEED_FILE_BYTES, 0) != SEED_FILE_BYTES)
        return err_set(e, -EIO, "no random bytes from the system");
    if (write(fd, seed, SEED_FILE_BYTES) != SEED_FILE_BYTES || fsync(fd) < 0)
        return err_set(e, errno ? -errno : -EIO, "%s: cannot be written", path);
    return 0;
}

int seed_file_load(const char *path, bool create, uint8_t seed[SEED_FILE_BYTES], struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool is_new = fd < 0 && errno == ENOENT && create;
    if (is_new)
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    int r = is_new ? write_seed(fd, path, seed, e) : read_seed(fd, path, seed, e);
    close(fd);
    return r;
}
