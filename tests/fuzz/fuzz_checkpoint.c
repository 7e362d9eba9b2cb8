/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint file of any bytes. The first byte says whether the target puts the right SHA-256 at the
 * end, so that what lies behind that check is reached too. Oracle: what is read is written back alike. */
#include "common/checkpoint.h"
#include "common/util.h"

#include "tests/fuzz/fuzz.h"

static void read_back(const uint8_t *bytes, size_t len)
{
    struct checkpoint c;
    struct err e = {0};
    int r = checkpoint_decode(bytes, len, &c, &e);
    fuzz_assert(r >= 0 && (r == 0 || (e.text[0] && !c.model)));
    if (r != 0)
        return;
    struct blob *again = checkpoint_encode(&c);
    fuzz_assert(again->len == len && memcmp(again->data, bytes, len) == 0);
    blob_unref(again);
    checkpoint_deinit(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool is_hashed = *data++ & 1;
    size--;
    uint8_t *bytes = malloc(size + SHA256_BYTES);
    fuzz_assert(bytes);
    memcpy(bytes, data, size);
    if (is_hashed)
        sha256(bytes + size, bytes, size);
    read_back(bytes, is_hashed ? size + SHA256_BYTES : size);
    free(bytes);
    return 0;
}
