/* SPDX-License-Identifier: Apache-2.0 */
/* What a key pool counts since its start; shown by the verb `metrics`. */
#pragma once

#include "common/metrics.h"

struct vault_counters {
    uint64_t reservations;
    uint64_t refusals;
    uint64_t takes;
    uint64_t taken_bytes;
    uint64_t blocks_staged;
    uint64_t blocks_confirmed;
    uint64_t blocks_void;
    uint64_t wrong_tags;
    uint64_t violations;
};

extern const struct metric vault_counters_table[];
