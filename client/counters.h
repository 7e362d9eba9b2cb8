/* SPDX-License-Identifier: Apache-2.0 */
/* What a client counts since its start; shown by the verb `metrics`. */
#pragma once

#include "common/metrics.h"

struct counters {
    uint64_t rounds_done;
    uint64_t rounds_skipped;
    uint64_t rounds_changed;
    uint64_t trainings;
    uint64_t attempts;
    uint64_t refusals;
    uint64_t releases;
    uint64_t wrong_tags;
    uint64_t wrong_results;
    uint64_t violations;
    uint64_t clipped_values;
    uint64_t key_burnt_bytes;
    uint64_t uploaded_bytes;
};

extern const struct metric client_counters_table[];
