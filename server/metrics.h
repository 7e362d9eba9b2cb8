/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of the aggregator since its start, by the names that the verb `metrics` shows. */
#pragma once

#include <stdint.h>

#define METRICS(X)                                                                                 \
    X(frames_received, "frames from clients")                                                      \
    X(bytes_received, "bytes of their bodies")                                                     \
    X(violations, "connections closed because the peer broke the protocol")                        \
    X(strangers, "connections refused because the site is not in the roster")                      \
    X(sessions_replaced, "connections that took the place of an older one of the same site")       \
    X(second_instances, "connections refused because the site's other instance answers")           \
    X(stale_frames, "messages for a round or attempt that is over")                                \
    X(duplicate_chunks, "chunks received again")                                                   \
    X(chunks_added, "chunks added to a sum")                                                       \
    X(rounds_summed, "rounds with a result")                                                       \
    X(rounds_skipped, "rounds without a result")                                                   \
    X(attempts_aborted, "attempts that ended before their release")                                \
    X(tags_wrong, "wrong tags reported: peer or relay")                                            \
    X(canary_failures, "sums whose canary words were wrong")                                       \
    X(key_waits, "rounds that had to wait for key")

struct metrics {
#define METRICS_FIELD(name, help) uint64_t name;
    METRICS(METRICS_FIELD)
#undef METRICS_FIELD
};

struct metrics_row {
    const char *name;
    const char *help;
    uint64_t value;
};
/* Row i, or one with name NULL behind the last. */
struct metrics_row metrics_row(const struct metrics *m, unsigned i);
