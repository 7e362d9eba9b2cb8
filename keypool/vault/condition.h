/* SPDX-License-Identifier: Apache-2.0 */
/* How a pair is, in the words that operators know: AUTH EMPTY, DOWN, OUT OF STEP, LOW AUTH, LOW, UP. */
#pragma once

#include "keypool/vault/ledger.h"

/* Every stream's cursor was compared with the peer's since the start. */
bool condition_is_in_step(const struct ledger_peer *p);
/* Less mask key than for two more ranges of the last length. */
bool condition_is_low(const struct ledger_peer *p);
/* The worst of what applies. */
const char *condition_name(const struct ledger_peer *p);
