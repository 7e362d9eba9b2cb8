/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/condition.h"

#include "common/util.h"
#include "keypool/vault/session.h"

#define LOW_AUTH_BYTES ((uint64_t)1024)
#define NO_AUTH_BYTES  ((uint64_t)32) /* not enough for a tag with its hash key */

static uint64_t least_auth(const struct ledger_peer *p)
{
    return MIN(
        ledger_available(&p->streams[VAULT_AUTH_TX]), ledger_available(&p->streams[VAULT_AUTH_RX]));
}

bool condition_is_in_step(const struct ledger_peer *p)
{
    for (size_t i = 0; i < LEDGER_STREAMS; i++)
        if (!p->session->streams[i].in_step)
            return false;
    return true;
}

bool condition_is_low(const struct ledger_peer *p)
{
    uint64_t available = ledger_available(&p->streams[VAULT_MASK]);
    return available == 0 || available / 2 < p->session->streams[VAULT_MASK].last_range;
}

const char *condition_name(const struct ledger_peer *p)
{
    if (least_auth(p) < NO_AUTH_BYTES)
        return "AUTH EMPTY";
    if (!p->session->link_up)
        return "DOWN";
    if (!condition_is_in_step(p))
        return "OUT OF STEP";
    if (least_auth(p) < LOW_AUTH_BYTES)
        return "LOW AUTH";
    return condition_is_low(p) ? "LOW" : "UP";
}
