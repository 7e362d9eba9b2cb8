/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange between a local consumer (initiator) and the key pool (responder). */
#pragma once

#include "proto/link.h"

#define VAULT_VERSION    1
#define VAULT_TAKE_MAX   ((uint32_t)64 * 1024)      /* bytes of one PAD */
#define VAULT_BLOCK_MAX  ((size_t)64 * 1024 * 1024) /* bytes of one key block */
#define VAULT_RANGES_MAX 1024
#define VAULT_DRAW_MAX   64 /* bytes of pads drawn at once */

enum vault_type {
    VAULT_HELLO = 16,
    VAULT_WELCOME,
    VAULT_LEVELS_GET,
    VAULT_LEVELS,
    VAULT_RESERVE,
    VAULT_RESERVED,
    VAULT_TAKE,
    VAULT_PAD,
    VAULT_RELEASE,
    VAULT_INGEST,
    VAULT_INGESTED,
    VAULT_DECIDED,
    VAULT_CARRY,
    VAULT_LINK_STATE,
    VAULT_ROOM,
    VAULT_DRAW,
    VAULT_DRAWN,
};

enum vault_code {
    VAULT_OK,
    VAULT_OLD_ATTEMPT, /* attempt not above the last seen */
    VAULT_LOST,        /* that very attempt was reserved before a crash: its bytes are gone */
    VAULT_REUSE,       /* a start below the cursor */
    VAULT_NO_KEY,      /* an end beyond what both ends confirmed; nothing consumed */
    VAULT_OUT_OF_STEP, /* cursors not compared with the peer since start */
    VAULT_NO_STREAM,
    VAULT_FULL,      /* the pair's pool holds all it may */
    VAULT_DUPLICATE, /* a block of this id is known already */
    VAULT_BAD_REQUEST,
};

extern const struct exchange vault_exchange;

/* Vault to vault, inside VAULT_CARRY and KME_CARRY: u16 type little-endian, then the body. */
enum pool_type { POOL_SYNC = 16, POOL_STAGED, POOL_DECISION, POOL_CURSORS };
extern const struct exchange pool_exchange;
