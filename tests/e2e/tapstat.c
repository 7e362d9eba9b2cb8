/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what the tap wrote.
 *
 *   tapstat chi TAP             chi-square of the bytes of all uploaded words against uniform; exit 1
 *                               when it is further than 5 standard deviations from 255
 *   tapstat find TAP FILE...    exit 1 when the bytes of a FILE occur in any frame
 */
#include "common/util.h"
#include "proto/fed.h"
#include "proto/fed.pb-c.h"

#include <math.h>
#include <stdio.h>

struct bytes {
    uint8_t *data; /* owned */
    size_t len;
};

static struct bytes read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    struct bytes b = {.len = (size_t)ftell(f)};
    rewind(f);
    b.data = malloc(b.len + 1);
    if (!b.data || fread(b.data, 1, b.len, f) != b.len)
        exit(2);
    fclose(f);
    return b;
}

static void count_chunk(const uint8_t *body, size_t len, uint64_t counts[256])
{
    Fed__Chunk *chunk = fed__chunk__unpack(NULL, len, body);
    if (!chunk)
        exit(2);
    for (size_t i = 0; i < chunk->data.len; i++)
        counts[chunk->data.data[i]]++;
    fed__chunk__free_unpacked(chunk, NULL);
}

static int chi(const struct bytes *tap)
{
    uint64_t counts[256] = {0};
    uint64_t total = 0;
    for (size_t at = 0; at + 6 <= tap->len;) {
        uint16_t type = (uint16_t)(tap->data[at] | tap->data[at + 1] << 8);
        uint32_t len = get_u32le(tap->data + at + 2);
        if (type == FED_CHUNK)
            count_chunk(tap->data + at + 6, len, counts);
        at += 6 + len;
    }
    for (size_t i = 0; i < 256; i++)
        total += counts[i];
    double expected = (double)total / 256;
    double x = 0;
    for (size_t i = 0; i < 256; i++)
        x += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    double deviations = (x - 255) / sqrt(2 * 255.0);
    printf("chi-square %.1f over %llu bytes, %.2f standard deviations from 255\n", x,
        (unsigned long long)total, deviations);
    return total >= 256 * 5 && fabs(deviations) < 5 ? 0 : 1;
}

static int find(const struct bytes *tap, char **files, int n)
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        struct bytes needle = read_file(files[i]);
        if (needle.len < 8)
            exit(2);
        if (memmem(tap->data, tap->len, needle.data, needle.len)) {
            printf("%s occurs in a frame\n", files[i]);
            found = 1;
        }
        free(needle.data);
    }
    if (!found)
        printf("none of %d vectors occurs in %zu bytes of frames\n", n, tap->len);
    return found;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    struct bytes tap = read_file(argv[2]);
    int status = strcmp(argv[1], "chi") == 0 ? chi(&tap) : find(&tap, argv + 3, argc - 3);
    free(tap.data);
    return status;
}
