/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ctl/model_file.h"

#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

int model_file_read(const char *path, struct checkpoint *out, struct err *e)
{
    cleanup(fclosep) FILE *f = fopen(path, "re");
    struct stat st;
    if (!f || fstat(fileno(f), &st) < 0)
        return err_set(e, EX_NOINPUT, "cannot read %s: %s", path, strerror(errno));
    size_t most = CHECKPOINT_HEADER_BYTES + (size_t)CHECKPOINT_PARAMETERS_MAX * 8 + SHA256_BYTES;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > most)
        return err_set(e, EX_DATAERR, "%s is not a checkpoint file", path);
    size_t len = (size_t)st.st_size;
    auto_free uint8_t *bytes = malloc(len + 1);
    if (!bytes || fread(bytes, 1, len, f) != len)
        return err_set(e, EX_IOERR, "cannot read %s", path);
    if (checkpoint_decode(bytes, len, out, e) == 0)
        return EX_OK;
    err_wrap(e, 0, "%s", path);
    return EX_DATAERR;
}

int model_file_write(const char *path, const struct checkpoint *c, struct err *e)
{
    struct blob *bytes = checkpoint_encode(c);
    if (!bytes)
        return err_set(e, EX_OSERR, "out of memory");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool ok =
        fd >= 0 && write(fd, bytes->data, bytes->len) == (ssize_t)bytes->len && fsync(fd) == 0;
    int problem = errno;
    if (fd >= 0)
        ok = close(fd) == 0 && ok;
    blob_unref(bytes);
    return ok ? EX_OK : err_set(e, EX_CANTCREAT, "cannot write %s: %s", path, strerror(problem));
}
