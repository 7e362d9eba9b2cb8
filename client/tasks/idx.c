/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/idx.h"

#include <errno.h>

#define IDX_UNSIGNED_BYTE 8

int idx_parse(struct idx *out, const uint8_t *data, size_t len, struct err *e)
{
    if (len < 4 || data[0] != 0 || data[1] != 0)
        return err_set(e, -EBADMSG, "not an IDX file");
    if (data[2] != IDX_UNSIGNED_BYTE)
        return err_set(
            e, -EBADMSG, "the IDX values are of type 0x%02x, not unsigned bytes", data[2]);
    unsigned d = data[3];
    if (d < 1 || d > 3 || len < 4 + 4 * (size_t)d)
        return err_set(e, -EBADMSG, "an IDX file of %u dimensions cannot be read", d);
    uint64_t n = 1;
    *out = (struct idx){.dimensions = d, .values = data + 4 + 4 * d};
    for (unsigned i = 0; i < d; i++) {
        const uint8_t *p = data + 4 + 4 * i;
        out->shape[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        if (out->shape[i] == 0 || out->shape[i] > IDX_BYTES_MAX / n)
            return err_set(e, -EBADMSG, "the IDX sizes are zero or too large");
        n *= out->shape[i];
    }
    if (len - 4 - 4 * d != n)
        return err_set(e, -EBADMSG, "the IDX file has %zu values instead of %llu", len - 4 - 4 * d,
            (unsigned long long)n);
    return 0;
}
