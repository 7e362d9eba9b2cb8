/* SPDX-License-Identifier: Apache-2.0 */
/* The IDX format of MNIST (LeCun, Cortes, Burges): unsigned bytes in 1 to 3 dimensions.
 *
 * Bytes: 0 0 8 d, then d big-endian 32-bit sizes, then the values, and nothing after them.
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

#define IDX_BYTES_MAX (256u << 20)

struct idx {
    unsigned dimensions;
    uint32_t shape[3];
    const uint8_t *values; /* into the parsed file */
};

/* -EBADMSG with a sentence unless it is exactly that. */
int idx_parse(struct idx *out, const uint8_t *data, size_t len, struct err *e) must_check;
