/* SPDX-License-Identifier: Apache-2.0 */
/* What the aggregator counts since its start; shown by the verb `metrics`. */
#pragma once

#include "common/metrics.h"

struct counters {
    uint64_t frames_received;
    uint64_t bytes_received;
    uint64_t violations;
    uint64_t strangers;
    uint64_t sessions_replaced;
    uint64_t second_instances;
    uint64_t stale_frames;
    uint64_t duplicate_chunks;
    uint64_t chunks_added;
    uint64_t rounds_summed;
    uint64_t rounds_skipped;
    uint64_t attempts_aborted;
    uint64_t tags_wrong;
    uint64_t canary_failures;
    uint64_t key_waits;
};

extern const struct metric counters_table[];
