/* SPDX-License-Identifier: Apache-2.0 */
/* keyscan KEYS (--pid PID | FILE)...: looks for key bytes where none may be.
 *
 * KEYS holds the marker key. Any 16 consecutive bytes of it that occur in the memory of a process or
 * in a file are reported; exit 1 then. */
#include "common/util.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define WINDOW     16
#define STEP       8 /* windows are taken at every multiple */
#define SLOTS      ((size_t)1 << 20)
#define SCAN_BYTES ((size_t)1 << 20)

struct scan {
    uint8_t *key; /* owned */
    size_t key_len;
    uint32_t *slots; /* owned: offset + 1 of a window, by hash */
    uint64_t scanned;
    uint64_t found;
};

static size_t slot_of(const uint8_t *p)
{
    return (size_t)((get_u64le(p) * 0x9e3779b97f4a7c15ULL) >> 44) % SLOTS;
}

static bool is_plain(const uint8_t *p)
{
    for (size_t i = 1; i < WINDOW; i++)
        if (p[i] != p[0])
            return false;
    return true;
}

static void load_key(struct scan *s, const char *path)
{
    FILE *f = fopen(path, "rb");
    s->key = malloc(SLOTS * 4);
    s->slots = calloc(SLOTS, sizeof(*s->slots));
    if (!f || !s->key || !s->slots) {
        perror(path);
        exit(2);
    }
    s->key_len = fread(s->key, 1, SLOTS * 4, f);
    fclose(f);
    for (size_t at = 0; at + WINDOW <= s->key_len; at += STEP) {
        size_t slot = slot_of(s->key + at);
        if (is_plain(s->key + at))
            continue;
        while (s->slots[slot])
            slot = (slot + 1) % SLOTS;
        s->slots[slot] = (uint32_t)at + 1;
    }
}

static bool has_window(const struct scan *s, const uint8_t *p)
{
    for (size_t slot = slot_of(p); s->slots[slot]; slot = (slot + 1) % SLOTS)
        if (memcmp(s->key + s->slots[slot] - 1, p, WINDOW) == 0)
            return true;
    return false;
}

static void scan_bytes(struct scan *s, const char *where, const uint8_t *p, size_t len)
{
    s->scanned += len;
    for (size_t i = 0; i + WINDOW <= len; i++)
        if (has_window(s, p + i)) {
            printf("key bytes in %s\n", where);
            s->found++;
            return;
        }
}

static void scan_range(struct scan *s, const char *where, int fd, uint64_t from, uint64_t to)
{
    uint8_t *buffer = malloc(SCAN_BYTES);
    for (uint64_t at = from; at < to; at += SCAN_BYTES - WINDOW) {
        ssize_t n = pread(fd, buffer, MIN(SCAN_BYTES, to - at), (off_t)at);
        if (n <= 0)
            break;
        scan_bytes(s, where, buffer, (size_t)n);
    }
    free(buffer);
}

static void scan_process(struct scan *s, const char *pid)
{
    char path[64];
    char line[512];
    snprintf(path, sizeof(path), "/proc/%s/mem", pid);
    int mem = open(path, O_RDONLY);
    snprintf(path, sizeof(path), "/proc/%s/maps", pid);
    FILE *maps = fopen(path, "r");
    if (mem < 0 || !maps) {
        perror(path);
        exit(2);
    }
    while (fgets(line, sizeof(line), maps)) {
        unsigned long long from;
        unsigned long long to;
        char mode[8];
        if (sscanf(line, "%llx-%llx %7s", &from, &to, mode) == 3 && mode[0] == 'r' &&
            !strstr(line, "[vvar]") && !strstr(line, "[vsyscall]"))
            scan_range(s, line, mem, from, to);
    }
    fclose(maps);
    close(mem);
}

int main(int argc, char **argv)
{
    struct scan s = {0};
    if (argc < 3)
        return 2;
    load_key(&s, argv[1]);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--pid") == 0 && i + 1 < argc) {
            scan_process(&s, argv[++i]);
            continue;
        }
        int fd = open(argv[i], O_RDONLY);
        if (fd >= 0)
            scan_range(&s, argv[i], fd, 0, UINT64_MAX / 2);
        close(fd);
    }
    printf("%llu bytes looked through for %zu bytes of key: %llu places\n",
        (unsigned long long)s.scanned, s.key_len, (unsigned long long)s.found);
    free(s.key);
    free(s.slots);
    return s.scanned == 0 ? 2 : s.found > 0;
}
