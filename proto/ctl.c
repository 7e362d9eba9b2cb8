/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ctl.h"

#include "common/util.h"
#include "proto/ctl.pb-c.h"

static const struct exchange_rule rules[] = {
    {CTL_REQUEST, 1 << LINK_INITIATOR, EXCHANGE_HELLO_MAX, &ctl__request__descriptor},
    {CTL_REPLY, 1 << LINK_RESPONDER, CTL_BYTES_MAX, &ctl__reply__descriptor},
};

/* No times: an operator may type slowly, and a verb may take as long as it takes. */
const struct exchange ctl_exchange = {
    .name = "ctl",
    .rules = rules,
    .n = ARRAY_SIZE(rules),
    .hello = {CTL_REQUEST, CTL_REPLY},
    .hello_ms = NEVER_MS,
    .ping_ms = NEVER_MS,
    .silent_ms = NEVER_MS,
    .hello_repeats = true,
};
