/* SPDX-License-Identifier: Apache-2.0 */
#include "server/counters.h"

#define COUNTER(member, help) METRIC(struct counters, member, METRIC_COUNTER, help)

const struct metric counters_table[] = {
    COUNTER(frames_received, "frames from clients"),
    COUNTER(bytes_received, "bytes of their bodies"),
    COUNTER(violations, "connections closed because the peer broke the protocol"),
    COUNTER(strangers, "connections refused because the site is not in the roster"),
    COUNTER(sessions_replaced, "connections that took the place of an older one of the same site"),
    COUNTER(second_instances, "connections refused because the site's other instance answers"),
    COUNTER(stale_frames, "messages for a round or attempt that is over"),
    COUNTER(duplicate_chunks, "chunks received again"),
    COUNTER(chunks_added, "chunks added to a sum"),
    COUNTER(rounds_summed, "rounds with a result"),
    COUNTER(rounds_skipped, "rounds without a result"),
    COUNTER(attempts_aborted, "attempts that ended before their release"),
    COUNTER(tags_wrong, "wrong tags reported: peer or relay"),
    COUNTER(canary_failures, "sums whose canary words were wrong"),
    COUNTER(key_waits, "rounds that had to wait for key"),
    {0},
};
