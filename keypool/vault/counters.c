/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/counters.h"

#define COUNTER(member, help) METRIC(struct vault_counters, member, METRIC_COUNTER, help)

const struct metric vault_counters_table[] = {
    COUNTER(reservations, "reservations granted"),
    COUNTER(refusals, "reservations refused"),
    COUNTER(takes, "pieces of key handed out"),
    COUNTER(taken_bytes, "bytes of key handed out"),
    COUNTER(blocks_staged, "blocks that came in"),
    COUNTER(blocks_confirmed, "blocks that both ends hold alike"),
    COUNTER(blocks_void, "blocks thrown away"),
    COUNTER(wrong_tags, "tags over blocks that were wrong"),
    COUNTER(violations, "connections closed because the consumer broke the rules"),
    {0},
};
