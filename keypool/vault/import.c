/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/import.h"

#include "common/file_io.h"
#include "common/util.h"
#include "keypool/vault/pairing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* The bytes of a file that nobody else may read. */
static int read_private(int fd, struct secret *text, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s", strerror(errno));
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(e, -EACCES, "others may read it: it is no secret any more; pair again");
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (size_t)st.st_size > PAIRING_TEXT_MAX)
        return err_set(e, -EBADMSG, "not a pairing file");
    int r = secret_init(text, (size_t)st.st_size);
    if (r < 0)
        return r;
    int64_t n = file_read_at(fd, text->data, text->len, 0);
    return n == (int64_t)text->len ? 0 : err_set(e, -EIO, "cannot be read");
}

static int take_text(
    const struct importer *i, struct vault *v, const struct secret *text, struct err *e)
{
    struct pairing p;
    struct vault_pairing seen;
    int r = pairing_parse(&p, text->data, text->len, e);
    if (r < 0)
        return r;
    r = pairing_for(&p, i->site, &seen, e);
    if (r == 0)
        r = vault_pair(v, &seen, e);
    if (r == 0)
        log_write(i->log, NOTE_INFO, "paired with %s", seen.peer);
    pairing_deinit(&p);
    return r == -EEXIST ? 0 : r;
}

/* Overwritten, synced, unlinked: only once the vault has it. */
static int erase_file(int fd, const char *path, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || file_zero(fd, (uint64_t)st.st_size) < 0 || fsync(fd) < 0 ||
        unlink(path) < 0)
        return err_set(e, -errno, "imported, but cannot be erased: %s", strerror(errno));
    return 0;
}

static int import_file(const struct importer *i, struct vault *v, const char *path, struct err *e)
{
    struct secret text = {0};
    cleanup(closep) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    int r = read_private(fd, &text, e);
    if (r == 0)
        r = take_text(i, v, &text, e);
    secret_deinit(&text);
    if (r == 0)
        r = erase_file(fd, path, e);
    return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

static int is_pair_file(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".pair") == 0;
}

static int import_folder(const struct importer *i, struct vault *v, struct err *e)
{
    struct dirent **entries = NULL;
    int n = scandir(i->folder, &entries, is_pair_file, alphasort);
    int result = 0;
    for (int k = 0; k < n; k++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", i->folder, entries[k]->d_name);
        int r = import_file(i, v, path, e);
        if (r < 0) {
            log_write(i->log, NOTE_WARNING, "pairing not taken: %s", e->text);
            result = r;
        }
        free(entries[k]);
    }
    free(entries);
    return result;
}

int importer_run(void *importer, struct vault *v, const char *path, struct err *e)
{
    const struct importer *i = importer;
    return path ? import_file(i, v, path, e) : import_folder(i, v, e);
}
