/* SPDX-License-Identifier: Apache-2.0 */
/* Lies of the untrusted node: what Eve announces instead of what her detectors said.
 *
 * A switch per link of the simulator, to see that the users' ends notice: nothing else changes, and each
 * user is always told its own true choice of the pulse that she names. A chunk of true events goes
 * through eve_lies_invent (what she says to both) and, per end, eve_lies_turn (what she says to this one
 * alone). The last two are no lies of an announcement but a leak of the users' choices to her: she
 * keeps the events whose bits she likes, so that the raw key is biased or correlated.
 */
#pragma once

#include "common/err.h"
#include "common/rng.h"
#include "keypool/qkd/optics.h"

#include <stddef.h>

enum eve_lie {
    EVE_HONEST,
    EVE_BOTH_DETECTORS,      /* some positions twice, once with each detector */
    EVE_WRONG_COUNT,         /* the end of the block says one event more than there were */
    EVE_IMPOSSIBLE_POSITION, /* a last event after the last pulse */
    EVE_DIFFERENT_POSITIONS, /* to the second user some positions are one later */
    EVE_FLOOD,               /* fifteen invented events for each true one */
    EVE_PREFER_BASIS,        /* of sixteen events with both users in Y she keeps one */
    EVE_BIASED_KEY,          /* of four events with a 1 of the first user she keeps one */
    EVE_CORRELATED_KEY, /* of four events whose bit differs from the last one's she keeps one */
};
#define EVE_LIES (EVE_CORRELATED_KEY + 1)

/* "none", "both-detectors", ... */
const char *eve_lie_name(enum eve_lie lie);
/* -EINVAL with a sentence that names them all. */
int eve_lie_parse(const char *name, enum eve_lie *out, struct err *e) must_check;
/* True events that make at most so many announced ones. */
size_t eve_lie_room(enum eve_lie lie, size_t announced);

/* Of one block. */
struct eve_lies {
    enum eve_lie lie;
    struct link_params params;
    uint64_t pulses;
    struct rng *rng; /* owned; NULL while honest */
    uint64_t next;   /* first position that she has not spoken of */
    uint8_t last_bit;
};

/* -ENOMEM. */
int eve_lies_init(struct eve_lies *l, enum eve_lie lie, const struct link_params *p,
    uint64_t pulses, const uint8_t seed[RNG_SEED_BYTES]) must_check;
void eve_lies_deinit(struct eve_lies *l);

/* `n` true events in order; `is_last`: the block ends with them. `out` has room for so many that n is
 * their eve_lie_room. Returns how many she announces. */
size_t eve_lies_invent(struct eve_lies *l, const struct optics_event *events, size_t n,
    bool is_last, struct optics_event *out) must_check;
/* What she says to the second user alone, in place; `until`: later chunks begin there. */
void eve_lies_turn(struct eve_lies *l, struct optics_event *events, size_t n, uint64_t until);
/* What she says at the end of a block of so many announced events. */
uint64_t eve_lies_count(const struct eve_lies *l, uint64_t announced);
