/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of level `event` and `pulse`: what one end of a link is told of a chunk of events.
 *
 * Positions and detectors are Eve's announcement; bases and bits are the user's own, never the other's.
 * One encoder serves all links in turn; it holds nothing of a chunk when it returns.
 */
#pragma once

#include "keypool/qkd/optics.h"
#include "keypool/qkd/sim_topology.h"

struct sim_frames;

/* NULL if there is no memory. */
struct sim_frames *sim_frames_new(void) must_check;
void sim_frames_free(struct sim_frames *f);

/* Where an end stands in its block. */
struct sim_told {
    const struct sim_link *link;
    int end; /* 0 or 1 */
    const uint8_t *block;
    uint64_t events; /* told so far */
    uint64_t next;   /* last position told, plus 1 */
};

/* Puts as many frames as it takes into the update and moves `told` on; at most QKD_EVENTS_MAX events,
 * positions in no order smaller than told->next - 1. -ENOMEM. */
int sim_frames_send(struct sim_frames *f, struct sim_told *told, const struct optics_event *events,
    size_t n, struct update *u) must_check;
