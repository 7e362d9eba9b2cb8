/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/witness.h"

#include "common/file_io.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define WITNESS_BYTES 32 /* "qfl-witness" and 20 digits, in one sector */

int witness_open(struct witness *w, const char *path, struct err *e)
{
    char text[WITNESS_BYTES + 1] = {0};
    *w = (struct witness){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (w->fd < 0)
        return err_set(e, -errno, "witness %s: %s", path, strerror(errno));
    int64_t n = file_read_at(w->fd, text, WITNESS_BYTES, 0);
    if (n == 0)
        return 0;
    if (n == WITNESS_BYTES && sscanf(text, "qfl-witness %" SCNu64, &w->epoch) == 1 && w->epoch > 0)
        return 0;
    witness_close(w);
    return n < 0 ? err_set(e, (int)n, "witness %s: %s", path, strerror((int)-n))
                 : err_set(e, -EBADMSG, "witness %s: not what a key pool writes there", path);
}

void witness_close(struct witness *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

int witness_write(struct witness *w, uint64_t epoch)
{
    char text[WITNESS_BYTES + 1];
    if (epoch == w->epoch)
        return 0;
    snprintf(text, sizeof(text), "qfl-witness %019" PRIu64 "\n", epoch);
    int r = file_write_at(w->fd, text, WITNESS_BYTES, 0);
    w->epoch = r < 0 ? w->epoch : epoch;
    return r;
}

bool witness_take_adoption(const char *path)
{
    char name[4096];
    return snprintf(name, sizeof(name), "%s.adopt", path) < (int)sizeof(name) && unlink(name) == 0;
}
