/* SPDX-License-Identifier: Apache-2.0 */
/* Data files of the tasks: IDX and .npy. Oracle: an error is a sentence; what is accepted accounts for
 * every byte of the file. */
#include "client/tasks/idx.h"
#include "client/tasks/npy.h"
#include "common/err.h"

#include "tests/fuzz/fuzz.h"

static void check_idx(const uint8_t *data, size_t size)
{
    struct idx idx;
    struct err e = {{0}};
    if (idx_parse(&idx, data, size, &e) < 0) {
        fuzz_assert(e.text[0]);
        return;
    }
    uint64_t n = 1;
    for (unsigned i = 0; i < idx.dimensions; i++)
        n *= idx.shape[i];
    fuzz_assert(idx.values + n == data + size);
}

static void check_npy(const uint8_t *data, size_t size)
{
    struct npy npy;
    struct err e = {{0}};
    if (npy_parse(&npy, data, size, &e) < 0) {
        fuzz_assert(e.text[0] && !npy.values);
        return;
    }
    uint64_t n = 1;
    for (unsigned i = 0; i < npy.dimensions; i++)
        n *= npy.shape[i];
    fuzz_assert(n == npy.n && n * sizeof(float) < size);
    npy_deinit(&npy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_idx(data, size);
    check_npy(data, size);
    return 0;
}
