/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/vault.h"

#include "common/util.h"
#include "proto/pool.pb-c.h"
#include "proto/vault.pb-c.h"

#define CONSUMER (1 << LINK_INITIATOR)
#define VAULT    (1 << LINK_RESPONDER)
#define BOTH     (CONSUMER | VAULT)

#define SMALL   ((size_t)256)       /* numbers, ids and a site name */
#define SAID    ((size_t)4 * 1024)  /* the same with a sentence */
#define CARRIED ((size_t)64 * 1024) /* a frame of the pool exchange */

/* Local connections need no pings: the kernel reports a dead peer. */
static const struct exchange_rule rules[] = {
    {VAULT_HELLO, CONSUMER, SMALL, &vault__hello__descriptor},
    {VAULT_WELCOME, VAULT, EXCHANGE_WELCOME_MAX, &vault__welcome__descriptor},
    {VAULT_LEVELS_GET, CONSUMER, 0, &vault__levels_get__descriptor},
    {VAULT_LEVELS, VAULT, (size_t)1024 * 1024, &vault__levels__descriptor},
    {VAULT_RESERVE, CONSUMER, SMALL + (size_t)VAULT_RANGES_MAX * 48, &vault__reserve__descriptor},
    {VAULT_RESERVED, VAULT, SAID, &vault__reserved__descriptor},
    {VAULT_TAKE, CONSUMER, SMALL, &vault__take__descriptor},
    {VAULT_PAD, VAULT, SMALL + VAULT_TAKE_MAX, &vault__pad__descriptor},
    {VAULT_RELEASE, CONSUMER, SMALL, &vault__release__descriptor},
    {VAULT_INGEST, CONSUMER, SAID + VAULT_BLOCK_MAX, &vault__ingest__descriptor},
    {VAULT_INGESTED, VAULT, SAID, &vault__ingested__descriptor},
    {VAULT_DECIDED, VAULT, SMALL, &vault__decided__descriptor},
    {VAULT_CARRY, BOTH, SMALL + CARRIED, &vault__carry__descriptor},
    {VAULT_LINK_STATE, CONSUMER, SMALL, &vault__link_state__descriptor},
    {VAULT_ROOM, VAULT, SMALL, &vault__room__descriptor},
    {VAULT_DRAW, CONSUMER, SMALL, &vault__draw__descriptor},
    {VAULT_DRAWN, VAULT, SAID, &vault__drawn__descriptor},
};

const struct exchange vault_exchange = {
    .name = "vault",
    .rules = rules,
    .n = ARRAY_SIZE(rules),
    .hello = {VAULT_HELLO, VAULT_WELCOME},
    .hello_ms = 5000,
    .ping_ms = NEVER_MS,
    .silent_ms = NEVER_MS,
};

/* Carried by the KMEs' link, which has its own pings; a SYNC may be long in coming, and comes again
 * when a vault was restarted behind it. */
static const struct exchange_rule pool_rules[] = {
    {POOL_SYNC, BOTH, (size_t)32 * 1024, &pool__sync__descriptor},
    {POOL_STAGED, BOTH, SMALL, &pool__staged__descriptor},
    {POOL_DECISION, BOTH, SAID, &pool__decision__descriptor},
    {POOL_CURSORS, BOTH, SAID, &pool__cursors__descriptor},
};

const struct exchange pool_exchange = {
    .name = "pool",
    .rules = pool_rules,
    .n = ARRAY_SIZE(pool_rules),
    .hello = {POOL_SYNC, POOL_SYNC},
    .hello_ms = NEVER_MS,
    .ping_ms = NEVER_MS,
    .silent_ms = NEVER_MS,
    .hello_repeats = true,
};
