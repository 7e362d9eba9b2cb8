/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/common/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void scratch_init(struct scratch *s)
{
    const char *base = getenv("TMPDIR");
    snprintf(s->path, sizeof(s->path), "%.40s/qfl-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(s->path));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

void scratch_deinit(struct scratch *s)
{
    nftw(s->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_path(const struct scratch *s, const char *name)
{
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", s->path, name);
    return path;
}

void scratch_write(const struct scratch *s, const char *name, const char *text, unsigned mode)
{
    const char *path = scratch_path(s, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

char *scratch_read(const struct scratch *s, const char *name)
{
    FILE *f = fopen(scratch_path(s, name), "r");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

struct scratch_capture scratch_capture(const struct scratch *s, int fd, const char *name)
{
    fflush(stdout);
    struct scratch_capture c = {.fd = fd, .saved = dup(fd)};
    int file = open(scratch_path(s, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(c.saved >= 0 && file >= 0);
    assert_int_equal(dup2(file, fd), fd);
    close(file);
    return c;
}

void scratch_release(struct scratch_capture *c)
{
    fflush(stdout);
    assert_int_equal(dup2(c->saved, c->fd), c->fd);
    close(c->saved);
}

size_t scratch_count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    size_t n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}
