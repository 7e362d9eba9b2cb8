/* SPDX-License-Identifier: Apache-2.0 */
#include "common/disk_posix.h"

#include "common/file_io.h"
#include "common/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME   ".lock"
#define TAG_NAME    "CACHEDIR.TAG"
#define NEW_PREFIX  ".new-"
#define OPEN_MAX_FD 16

/* The journal is appended to all the time, segments are read piece by piece: their descriptors stay
 * open, the least recently used one makes room. */
struct open_file {
    char name[DISK_NAME_MAX + 1]; /* "" when free */
    int fd;
    bool entry_synced; /* its directory entry is durable, as far as this process knows */
    uint64_t used;     /* when last */
};

struct disk_posix {
    struct disk base; /* first */
    int dir_fd;
    int lock_fd;
    int failed; /* -errno of the first failed sync: final */
    uint64_t uses;
    struct open_file files[OPEN_MAX_FD];
};

static struct disk_posix *posix_of(struct disk *d)
{
    return (struct disk_posix *)d;
}

/* ---- names ---- */

static bool part_ok(const char *part, size_t len)
{
    return len > 0 && part[0] != '.';
}

/* Flat or one folder deep, no part empty or starting with '.', not our own tag. */
static bool name_ok(const char *name)
{
    size_t len = strlen(name);
    if (len > DISK_NAME_MAX || strcmp(name, TAG_NAME) == 0)
        return false;
    const char *slash = strchr(name, '/');
    if (!slash)
        return part_ok(name, len);
    size_t folder = (size_t)(slash - name);
    return part_ok(name, folder) && part_ok(slash + 1, len - folder - 1) && !strchr(slash + 1, '/');
}

/* Copies the folder part of the name, "" if it has none. */
static void folder_of(const char *name, char out[DISK_NAME_MAX + 1])
{
    const char *slash = strchr(name, '/');
    size_t len = slash ? (size_t)(slash - name) : 0;
    memcpy(out, name, len);
    out[len] = '\0';
}

/* ---- durability ---- */

/* Remembers the first failure: what a failed fsync has dropped, a second one does not report. */
static int sync_failed(struct disk_posix *p, int r)
{
    if (p->failed == 0)
        p->failed = r;
    return r;
}

static int sync_data(struct disk_posix *p, int fd)
{
    return fdatasync(fd) < 0 ? sync_failed(p, -errno) : 0;
}

static int sync_dir(struct disk_posix *p, const char *folder)
{
    if (folder[0] == '\0')
        return fsync(p->dir_fd) < 0 ? sync_failed(p, -errno) : 0;
    int fd = openat(p->dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return sync_failed(p, -errno);
    int r = fsync(fd) < 0 ? sync_failed(p, -errno) : 0;
    close(fd);
    return r;
}

/* The entry of `name`, and of its folder. */
static int sync_entry(struct disk_posix *p, const char *name)
{
    char folder[DISK_NAME_MAX + 1];
    folder_of(name, folder);
    int r = folder[0] ? sync_dir(p, folder) : 0;
    return r < 0 ? r : sync_dir(p, "");
}

/* ---- open files ---- */

static struct open_file *find_open(struct disk_posix *p, const char *name)
{
    for (size_t i = 0; i < OPEN_MAX_FD; i++)
        if (strcmp(p->files[i].name, name) == 0)
            return &p->files[i];
    return NULL;
}

static void close_file(struct open_file *f)
{
    if (f->name[0])
        close(f->fd);
    *f = (struct open_file){.fd = -1};
}

static void forget(struct disk_posix *p, const char *name)
{
    struct open_file *f = find_open(p, name);
    if (f)
        close_file(f);
}

static struct open_file *free_slot(struct disk_posix *p)
{
    struct open_file *oldest = &p->files[0];
    for (size_t i = 0; i < OPEN_MAX_FD; i++) {
        if (p->files[i].name[0] == '\0')
            return &p->files[i];
        if (p->files[i].used < oldest->used)
            oldest = &p->files[i];
    }
    close_file(oldest);
    return oldest;
}

static int make_folder(struct disk_posix *p, const char *name)
{
    char folder[DISK_NAME_MAX + 1];
    folder_of(name, folder);
    if (folder[0] && mkdirat(p->dir_fd, folder, 0700) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}

/* A descriptor, or -errno. */
static int open_name(struct disk_posix *p, const char *name, bool create)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = openat(p->dir_fd, name, flags);
    if (fd >= 0 || errno != ENOENT || !create)
        return fd >= 0 ? fd : -errno;
    int r = make_folder(p, name);
    if (r < 0)
        return r;
    fd = openat(p->dir_fd, name, flags | O_CREAT, 0600);
    return fd >= 0 ? fd : -errno;
}

/* The open file, or NULL with the error. */
static struct open_file *get_file(struct disk_posix *p, const char *name, bool create, int *result)
{
    *result = p->failed ? p->failed : name_ok(name) ? 0 : -EINVAL;
    if (*result < 0)
        return NULL;
    struct open_file *f = find_open(p, name);
    if (!f) {
        int fd = open_name(p, name, create);
        if (fd < 0) {
            *result = fd;
            return NULL;
        }
        f = free_slot(p);
        *f = (struct open_file){.fd = fd};
        snprintf(f->name, sizeof(f->name), "%s", name);
    }
    f->used = ++p->uses;
    return f;
}

/* ---- struct disk ---- */

static int64_t posix_read(struct disk *d, const char *name, uint64_t offset, void *out, size_t len)
{
    int r = 0;
    struct open_file *f = get_file(posix_of(d), name, false, &r);
    return !f ? r : file_read_at(f->fd, out, len, offset);
}

static int64_t posix_size(struct disk *d, const char *name)
{
    int r = 0;
    struct open_file *f = get_file(posix_of(d), name, false, &r);
    if (!f)
        return r;
    struct stat st;
    return fstat(f->fd, &st) < 0 ? -errno : (int64_t)st.st_size;
}

static int posix_write(
    struct disk *d, const char *name, uint64_t offset, const void *data, size_t len)
{
    int r = 0;
    struct open_file *f = get_file(posix_of(d), name, true, &r);
    return !f ? r : file_write_at(f->fd, data, len, offset);
}

static int posix_sync(struct disk *d, const char *name)
{
    struct disk_posix *p = posix_of(d);
    int r = 0;
    struct open_file *f = get_file(p, name, false, &r);
    if (!f)
        return r;
    r = sync_data(p, f->fd);
    if (r == 0 && !f->entry_synced)
        r = sync_entry(p, name);
    if (r == 0)
        f->entry_synced = true;
    return r;
}

/* Where the new contents of `name` are prepared, in the same folder. */
static void new_name(const char *name, char out[DISK_NAME_MAX + sizeof(NEW_PREFIX)])
{
    const char *slash = strchr(name, '/');
    int folder = slash ? (int)(slash + 1 - name) : 0;
    sprintf(out, "%.*s%s%s", folder, name, NEW_PREFIX, name + folder);
}

static int write_new(struct disk_posix *p, const char *name, const void *data, size_t len)
{
    int fd = openat(p->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = file_write_at(fd, data, len, 0);
    if (r == 0 && fsync(fd) < 0)
        r = sync_failed(p, -errno);
    close(fd);
    return r;
}

static int posix_replace(struct disk *d, const char *name, const void *data, size_t len)
{
    struct disk_posix *p = posix_of(d);
    if (p->failed)
        return p->failed;
    if (!name_ok(name))
        return -EINVAL;
    char fresh[DISK_NAME_MAX + sizeof(NEW_PREFIX)];
    new_name(name, fresh);
    int r = make_folder(p, name);
    if (r == 0)
        r = write_new(p, fresh, data, len);
    if (r == 0 && renameat(p->dir_fd, fresh, p->dir_fd, name) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(p->dir_fd, fresh, 0);
        return r;
    }
    forget(p, name);
    return sync_entry(p, name);
}

static int zero_file(struct disk_posix *p, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    int r = file_zero(fd, (uint64_t)st.st_size);
    return r < 0 ? r : sync_data(p, fd);
}

/* Any name, also our own temporary ones. */
static int erase_name(struct disk_posix *p, const char *name)
{
    int fd = open_name(p, name, false);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    int r = zero_file(p, fd);
    close(fd);
    if (r == 0 && unlinkat(p->dir_fd, name, 0) < 0)
        r = -errno;
    char folder[DISK_NAME_MAX + 1];
    folder_of(name, folder);
    return r < 0 ? r : sync_dir(p, folder);
}

static int posix_erase(struct disk *d, const char *name)
{
    struct disk_posix *p = posix_of(d);
    if (p->failed)
        return p->failed;
    if (!name_ok(name))
        return -EINVAL;
    forget(p, name);
    return erase_name(p, name);
}

/* ---- walking ---- */

struct names {
    char (*name)[DISK_NAME_MAX + 1 + sizeof(NEW_PREFIX)];
    size_t n;
    size_t cap;
};

static void names_deinit(struct names *names)
{
    free(names->name);
}

static int names_add(struct names *names, const char *folder, const char *name)
{
    if (names->n == names->cap) {
        size_t cap = MAX((size_t)64, 2 * names->cap);
        void *bigger = realloc(names->name, cap * sizeof(*names->name));
        if (!bigger)
            return -ENOMEM;
        names->name = bigger;
        names->cap = cap;
    }
    int n = snprintf(
        names->name[names->n], sizeof(*names->name), "%s%s%s", folder, folder[0] ? "/" : "", name);
    if (n < (int)sizeof(*names->name))
        names->n++; /* a longer one is not ours */
    return 0;
}

/* Which of a folder's entries a walk wants. */
enum wanted { WANT_FILES, WANT_LEFTOVERS, WANT_FOLDERS };

static bool is_wanted(int dir_fd, const char *name, enum wanted wanted)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (wanted == WANT_FOLDERS)
        return S_ISDIR(st.st_mode) && name[0] != '.';
    bool is_leftover = strncmp(name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0;
    return S_ISREG(st.st_mode) && (wanted == WANT_LEFTOVERS ? is_leftover : name[0] != '.');
}

/* Adds the wanted entries of one folder ("" for the top one). */
static int collect(struct disk_posix *p, const char *folder, enum wanted wanted, struct names *out)
{
    int fd = openat(
        p->dir_fd, folder[0] ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    int r = 0;
    struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)) != NULL)
        if (is_wanted(fd, entry->d_name, wanted))
            r = names_add(out, folder, entry->d_name);
    closedir(dir);
    return r;
}

/* Files, or leftovers, of the top folder and one level below. */
static int collect_all(struct disk_posix *p, enum wanted wanted, struct names *out)
{
    cleanup(names_deinit) struct names folders = {0};
    int r = collect(p, "", WANT_FOLDERS, &folders);
    if (r == 0)
        r = collect(p, "", wanted, out);
    for (size_t i = 0; i < folders.n && r == 0; i++)
        r = collect(p, folders.name[i], wanted, out);
    return r;
}

/* The names are collected first: `each` may erase and write. */
static int posix_list(
    struct disk *d, const char *prefix, int (*each)(void *arg, const char *name), void *arg)
{
    struct disk_posix *p = posix_of(d);
    if (p->failed)
        return p->failed;
    cleanup(names_deinit) struct names names = {0};
    int r = collect_all(p, WANT_FILES, &names);
    for (size_t i = 0; i < names.n && r == 0; i++)
        if (strncmp(names.name[i], prefix, strlen(prefix)) == 0 && name_ok(names.name[i]))
            r = each(arg, names.name[i]);
    return r;
}

static const struct disk_ops posix_ops = {
    .read = posix_read,
    .size = posix_size,
    .write = posix_write,
    .sync = posix_sync,
    .replace = posix_replace,
    .erase = posix_erase,
    .list = posix_list,
};

/* ---- opening ---- */

static int open_directory(struct disk_posix *p, const char *path, struct err *e)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_set(e, -errno, "%s: cannot be created: %s", path, strerror(errno));
    p->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dir_fd < 0)
        return err_set(e, -errno, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat st;
    if (fstat(p->dir_fd, &st) < 0)
        return err_set(e, -errno, "%s: %s", path, strerror(errno));
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return err_set(
            e, -EPERM, "%s: group or others may write to it; run chmod go-w on it", path);
    return 0;
}

static int lock_directory(struct disk_posix *p, const char *path, struct err *e)
{
    p->lock_fd = openat(p->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (p->lock_fd < 0)
        return err_set(e, -errno, "%s: cannot be locked: %s", path, strerror(errno));
    if (flock(p->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno;
        char pid[16] = "";
        (void)!pread(p->lock_fd, pid, sizeof(pid) - 1, 0);
        pid[strcspn(pid, "\n")] = '\0';
        if (error == EWOULDBLOCK)
            return err_set(e, -EBUSY, "%s: in use by process %s; stop that one first", path, pid);
        return err_set(e, -error, "%s: cannot be locked: %s", path, strerror(error));
    }
    if (ftruncate(p->lock_fd, 0) < 0 || dprintf(p->lock_fd, "%d\n", (int)getpid()) < 0)
        return err_set(e, -errno, "%s: the lock cannot be written: %s", path, strerror(errno));
    return 0;
}

/* https://bford.info/cachedir/ */
static int write_tag(struct disk_posix *p)
{
    static const char tag[] =
        "Signature: 8a477f597d28d172789f06886806bc55\n"
        "# State of QuNetQFL. Restoring it from a backup reuses one-time pads.\n";
    int fd = openat(p->dir_fd, TAG_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : -errno;
    int r = file_write_at(fd, tag, sizeof(tag) - 1, 0);
    close(fd);
    return r;
}

static int remove_tag(struct disk_posix *p)
{
    return unlinkat(p->dir_fd, TAG_NAME, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

static int remove_leftovers(struct disk_posix *p)
{
    cleanup(names_deinit) struct names names = {0};
    int r = collect_all(p, WANT_LEFTOVERS, &names);
    for (size_t i = 0; i < names.n && r == 0; i++)
        r = erase_name(p, names.name[i]);
    return r;
}

/* What a process wrote that was killed before its sync is there to be read, and may yet be lost. */
static int sync_earlier(struct disk_posix *p)
{
    cleanup(names_deinit) struct names files = {0};
    cleanup(names_deinit) struct names folders = {0};
    int r = collect_all(p, WANT_FILES, &files);
    if (r == 0)
        r = collect(p, "", WANT_FOLDERS, &folders);
    for (size_t i = 0; i < files.n && r == 0; i++) {
        int fd = open_name(p, files.name[i], false);
        if (fd < 0)
            continue; /* not ours */
        r = sync_data(p, fd);
        close(fd);
    }
    for (size_t i = 0; i < folders.n && r == 0; i++)
        r = sync_dir(p, folders.name[i]);
    return r == 0 ? sync_dir(p, "") : r;
}

static int prepare(struct disk_posix *p, const char *path, bool for_backup, struct err *e)
{
    int r = open_directory(p, path, e);
    if (r == 0)
        r = lock_directory(p, path, e);
    if (r < 0)
        return r;
    r = for_backup ? remove_tag(p) : write_tag(p);
    if (r == 0)
        r = remove_leftovers(p);
    if (r == 0)
        r = sync_earlier(p);
    return r < 0 ? err_set(e, r, "%s: cannot be prepared: %s", path, strerror(-r)) : 0;
}

static struct disk *new_disk(const char *path, bool for_backup, int *result, struct err *e)
{
    struct disk_posix *p = calloc(1, sizeof(*p));
    if (!p) {
        *result = err_set(e, -ENOMEM, "%s: out of memory", path);
        return NULL;
    }
    p->base.ops = &posix_ops;
    p->dir_fd = -1;
    p->lock_fd = -1;
    *result = prepare(p, path, for_backup, e);
    if (*result == 0)
        return &p->base;
    disk_posix_free(&p->base);
    return NULL;
}

struct disk *disk_posix_new(const char *path, int *result, struct err *e)
{
    return new_disk(path, false, result, e);
}

struct disk *disk_posix_new_for_backup(const char *path, int *result, struct err *e)
{
    return new_disk(path, true, result, e);
}

void disk_posix_free(struct disk *d)
{
    if (!d)
        return;
    struct disk_posix *p = posix_of(d);
    for (size_t i = 0; i < OPEN_MAX_FD; i++)
        close_file(&p->files[i]);
    if (p->lock_fd >= 0)
        close(p->lock_fd);
    if (p->dir_fd >= 0)
        close(p->dir_fd);
    free(p);
}
