/* SPDX-License-Identifier: Apache-2.0 */
/* The key levels that clients report, and what two reports make of a pair.
 *
 * A pair is usable if both ends name the same stream, both are in step, and the smaller of both
 * confirmed ends reaches start + need; start is high[stream] (server/high.h). A client speaks only for
 * its own end: it cannot move a stream of others.
 */
#pragma once

#include "proto/fed.pb-c.h"
#include "server/high.h"

/* Offsets beyond this are no honest ones; sums of two still fit. */
#define LEVELS_OFFSET_MAX ((uint64_t)1 << 62)

struct level {
    bool is_known;
    bool in_step;
    bool simulated; /* for display */
    uint8_t stream[FED_STREAM_BYTES];
    uint8_t key[FED_STREAM_BYTES]; /* of the stream in high */
    uint64_t cursor;               /* bytes below are burnt at this end */
    uint64_t end;                  /* bytes below are confirmed by both ends */
};

struct levels {
    const char *const *roster; /* sorted; borrowed */
    size_t sites;
    struct level *list; /* owned, sites x sites: [of][with] */
};

int levels_init(struct levels *l, const char *const *roster, size_t sites) must_check;
void levels_deinit(struct levels *l);

/* A new instance of the site: what the old one said does not count. */
void levels_clear(struct levels *l, size_t site);

enum levels_condition {
    LEVELS_E_INVALID = 1, /* no honest client reports that */
};

/* What `site` reports about its pair with `peer`; raises high when both ends name the same stream. */
int levels_report(struct levels *l, struct highs *h, size_t site, size_t peer,
    const Fed__Level *level) must_check;

const struct level *levels_of(const struct levels *l, size_t site, size_t peer);

enum pair_state {
    PAIR_READY,       /* `available` bytes from `start` on */
    PAIR_UNKNOWN,     /* an end has not reported */
    PAIR_DIFFERENT,   /* the ends name different streams: not paired with each other */
    PAIR_OUT_OF_STEP, /* an end has not compared its cursor with the other's */
};

struct pair {
    enum pair_state state;
    uint8_t stream[FED_STREAM_BYTES];
    uint64_t start;
    uint64_t available; /* bytes, 0 unless ready */
    bool simulated;
};

struct pair levels_pair(const struct levels *l, const struct highs *h, size_t a, size_t b);
/* Half a sentence on why a pair has not `need` bytes. */
const char *pair_state_text(enum pair_state state);
