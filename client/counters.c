/* SPDX-License-Identifier: Apache-2.0 */
#include "client/counters.h"

#define COUNTER(member, help) METRIC(struct counters, member, METRIC_COUNTER, help)

const struct metric client_counters_table[] = {
    COUNTER(rounds_done, "rounds whose model this client has verified"),
    COUNTER(rounds_skipped, "rounds without a result"),
    COUNTER(rounds_changed, "sums with other participants than the skipped round before them"),
    COUNTER(trainings, "local trainings begun"),
    COUNTER(attempts, "attempts in which key was burnt"),
    COUNTER(refusals, "rounds and views refused"),
    COUNTER(releases, "masked updates that were released"),
    COUNTER(wrong_tags, "tags of neighbours that were wrong: peer or relay"),
    COUNTER(wrong_results, "results that do not follow from their sum"),
    COUNTER(violations, "connections closed because the other end broke the protocol"),
    COUNTER(clipped_values, "values beyond the clip"),
    COUNTER(key_burnt_bytes, "key burnt, what was skipped included"),
    COUNTER(uploaded_bytes, "masked words sent, again ones included"),
    {0},
};
