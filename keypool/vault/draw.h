/* SPDX-License-Identifier: Apache-2.0 */
/* Pads of the auth streams for the KME: burn before use, as for any consumer (keypool.md section 1), but
 * in one message, because order matters: the two vaults use the same streams for their own tags, and
 * every byte at either end is burnt in the order in which the sender drew it. The sender's pads lie at
 * its cursor; the receiver's where the sender says, never below its own cursor.
 */
#pragma once

#include "keypool/vault/core.h"

/* Answers DRAWN on `conn`. */
int draw_pads(struct vault *v, uint32_t conn, const Vault__Draw *m, struct update *u) must_check;
