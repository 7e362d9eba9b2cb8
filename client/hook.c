/* SPDX-License-Identifier: Apache-2.0 */
#include "client/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static FILE *create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? NULL : fdopen(fd, "w");
}

void hook_write(void *arg, uint64_t round, uint64_t attempt, const int64_t *v, uint32_t n)
{
    const struct hook *hook = arg;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s-%" PRIu64 "-%" PRIu64 ".json", hook->dir, hook->site, round,
        attempt);
    FILE *to = create(path);
    if (!to) {
        log_write(hook->log, NOTE_WARNING, "%s: %s", path, strerror(errno));
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        fprintf(to, "%c%" PRId64, i == 0 ? '[' : ',', v[i]);
    fprintf(to, "]\n");
    if (fclose(to) != 0)
        log_write(hook->log, NOTE_WARNING, "%s: %s", path, strerror(errno));
}
