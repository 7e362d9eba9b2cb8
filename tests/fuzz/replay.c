/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over its committed corpus, as an ordinary test: every file as it is, and with each of
 * its first bytes changed, and cut short. Argument: the folder. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#define INPUT_MAX ((size_t)1024 * 1024)
#define BENT_MAX  ((size_t)512) /* bytes of a file that are changed one at a time */

/* A copy of its own size: sanitizers see a byte too far. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    fuzz_assert(copy);
    memcpy(copy, data, size);
    fuzz_assert(LLVMFuzzerTestOneInput(copy, size) == 0);
    free(copy);
}

static void run_bent(uint8_t *data, size_t size)
{
    run(data, size);
    for (size_t i = 0; i < size && i < BENT_MAX; i++) {
        const uint8_t kept = data[i];
        const uint8_t others[] = {0, 0xff, (uint8_t)(kept ^ 1), (uint8_t)(kept ^ 0x80)};
        for (size_t k = 0; k < sizeof(others); k++) {
            data[i] = others[k];
            run(data, size);
        }
        data[i] = kept;
        run(data, i);
    }
}

static int run_file(const char *folder, const char *name, uint8_t *room)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    size_t size = fread(room, 1, INPUT_MAX, f);
    fclose(f);
    fprintf(stderr, "%s\n", name);
    run_bent(room, size);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
    uint8_t *room = malloc(INPUT_MAX);
    size_t n = 0;
    int failed = 0;
    if (!d || !room) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (struct dirent *entry; (entry = readdir(d));) {
        if (entry->d_name[0] == '.')
            continue;
        failed |= run_file(argv[1], entry->d_name, room);
        n++;
    }
    closedir(d);
    free(room);
    printf("%zu inputs\n", n);
    return failed || n == 0;
}
