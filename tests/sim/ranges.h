/* SPDX-License-Identifier: Apache-2.0 */
/* Who has had which byte of which stream: invariant 1. Every (stream, offset) is handed out at most
 * once at each end, and for the same attempt at both. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RANGES_STREAM_BYTES 16

/* One (stream, end). */
struct ranges_end {
    uint8_t stream[RANGES_STREAM_BYTES];
    unsigned site;
    struct range {
        uint64_t start, end, attempt;
    } * list; /* owned, in order of time */
    size_t n, cap;
};

struct ranges {
    struct ranges_end *ends; /* owned */
    size_t n;
};

void ranges_deinit(struct ranges *r);
/* Bytes [start, end) were handed out at `site` for `attempt`. 0, or another attempt (or the same) for
 * which some of them had been handed out before, at this end or the other. */
uint64_t ranges_use(struct ranges *r, const uint8_t stream[RANGES_STREAM_BYTES], unsigned site,
    uint64_t attempt, uint64_t start, uint64_t end);
/* Bytes handed out at one end. */
uint64_t ranges_bytes(
    const struct ranges *r, const uint8_t stream[RANGES_STREAM_BYTES], unsigned site);
