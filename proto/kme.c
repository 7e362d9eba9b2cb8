/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/kme.h"

#include "common/util.h"
#include "proto/kme.pb-c.h"
#include "proto/qkd.pb-c.h"
#include "proto/vault.h"

#define CALLER (1 << LINK_INITIATOR)
#define CALLED (1 << LINK_RESPONDER)
#define BOTH   (CALLER | CALLED)

#define SMALL  ((size_t)256)
#define EVENTS (SMALL + QKD_GAPS_MAX + 3 * (size_t)QKD_EVENTS_MAX / 8)

static const struct exchange_rule kme_rules[] = {
    {KME_HELLO, BOTH, SMALL, &kme__hello__descriptor},
    {KME_CARRY, BOTH, SMALL + (size_t)64 * 1024, &kme__carry__descriptor},
    {KME_POOL, BOTH, SMALL, &kme__pool__descriptor},
    {KME_SOURCE, BOTH, SMALL + KME_SOURCE_MAX, &kme__source__descriptor},
};

const struct exchange kme_exchange = {
    .name = "kme",
    .rules = kme_rules,
    .n = ARRAY_SIZE(kme_rules),
    .hello = {KME_HELLO, KME_HELLO},
    .hello_ms = 5000,
    .ping_ms = 4000,
    .silent_ms = 10000,
};

static const struct exchange_rule qkd_rules[] = {
    {QKD_HELLO, CALLER, SMALL, &qkd__hello__descriptor},
    {QKD_WELCOME, CALLED, EXCHANGE_WELCOME_MAX, &qkd__welcome__descriptor},
    {QKD_GRANT, CALLER, SMALL, &qkd__grant__descriptor},
    {QKD_RATE_BLOCK, CALLED, SMALL + VAULT_BLOCK_MAX, &qkd__rate_block__descriptor},
    {QKD_BLOCK, CALLED, SMALL, &qkd__block__descriptor},
    {QKD_EVENTS, CALLED, EVENTS, &qkd__events__descriptor},
    {QKD_BLOCK_END, CALLED, SMALL, &qkd__block_end__descriptor},
    {QKD_GOT, CALLER, SMALL, &qkd__got__descriptor},
    {QKD_STOP, CALLER, SMALL + QKD_REASON_MAX, &qkd__stop__descriptor},
    {QKD_BLOCK_OFF, CALLED, SMALL + QKD_REASON_MAX, &qkd__block_off__descriptor},
};

const struct exchange qkd_exchange = {
    .name = "qkd",
    .rules = qkd_rules,
    .n = ARRAY_SIZE(qkd_rules),
    .hello = {QKD_HELLO, QKD_WELCOME},
    .hello_ms = 5000,
    .ping_ms = 4000,
    .silent_ms = 10000,
};
