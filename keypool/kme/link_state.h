/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a link in the words that operators know, from what the KME knows. Pure.
 *
 * What stops key from coming is worse than what will stop it soon; the first that applies is the state:
 * DOWN, OUT OF STEP, AUTH EMPTY, ABORTED, LOW AUTH, LOW, UP.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define LINK_LOW_AUTH_BYTES ((uint64_t)1024)
/* Less than one block may cost at one end: three pads and the vault's tag with its hash key. */
#define LINK_NO_AUTH_BYTES ((uint64_t)64)

enum link_state {
    LINK_DOWN,
    LINK_OUT_OF_STEP,
    LINK_AUTH_EMPTY,
    LINK_ABORTED,
    LINK_LOW_AUTH,
    LINK_LOW,
    LINK_UP,
    LINK_STATES,
};

struct link_facts {
    const char *peer;
    const char *missing; /* what keeps it down, or NULL */
    bool in_step;        /* the cursors of both pools were compared */
    uint64_t auth_bytes; /* pads left in the direction that has fewer */
    bool is_aborted;     /* the last block showed errors that allow no key */
    double qber;         /* then */
    const char *reason;  /* then */
    bool is_low;         /* little key in the pool */
};

/* `why`: a sentence, or empty when there is nothing to say. */
enum link_state link_state_of(const struct link_facts *f, struct err *why);
const char *link_state_name(enum link_state state);
/* Pads are left for another block. */
bool link_has_auth(uint64_t auth_bytes);
