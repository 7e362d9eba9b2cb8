/* SPDX-License-Identifier: Apache-2.0 */
/* Where the next range of each pair's mask stream may start: high[stream].
 *
 * A stream is known here by a key made of its id and its two sites, so that a third client that names the
 * same id moves nothing.
 *
 * high = max(cursors that both ends' reports name, end of every range ever proposed): no range is
 * proposed twice, whatever became of the first proposal. `burnt` counts only what is known to be
 * burnt; it is the aggregator's witness against restored vaults and never goes down.
 *
 * Proposals that neither end burnt (a server that dies after its journal write, links that break) would
 * push high past what clients accept, two ranges above their cursors, and the pair could never be used
 * again. So when both ends have refused the pair's last proposal, which started beyond what clients
 * accept, none of them can burn it any more, and high falls back to max(burnt, cursors they report). No byte of an aborted attempt is then
 * proposed again, because no end has taken it.
 */
#pragma once

#include "server/store.h"

struct high {
    struct store_high value; /* its `stream` is the key */
    uint64_t attempt;        /* that made the last proposal; 0: none since the start */
    uint64_t refused[2];     /* the attempt that the low and the high end refused last */
    bool is_dirty;           /* differs from what is durable */
};

struct highs {
    struct high *list; /* owned, sorted by key */
    size_t n;
    size_t cap;
    size_t max; /* entries; peers cannot grow it further */
};

/* `low` and `high`: the pair's site names, in order. */
void high_key(uint8_t key[FED_STREAM_BYTES], const char *low, const char *high,
    const uint8_t stream[FED_STREAM_BYTES]);

int highs_init(struct highs *h, const struct store_high *durable, size_t n, size_t max) must_check;
void highs_deinit(struct highs *h);

/* 0 for a stream that is not known. */
uint64_t highs_get(const struct highs *h, const uint8_t key[FED_STREAM_BYTES]);

enum highs_condition { HIGHS_E_FULL = 1 };

/* Both ends of a pair name this stream; the higher of their cursors. */
int highs_report(struct highs *h, const uint8_t key[FED_STREAM_BYTES], uint64_t cursor) must_check;
/* A range up to `end` is about to be proposed by `attempt`. */
int highs_propose(struct highs *h, const uint8_t key[FED_STREAM_BYTES], uint64_t attempt,
    uint64_t end) must_check;
/* An end is known to have burnt up to `end`. */
void highs_burn(struct highs *h, const uint8_t key[FED_STREAM_BYTES], uint64_t end);
/* The low (end 0) or high (end 1) site of the pair has refused `attempt` and will not burn for it.
 * True when both have, and high has fallen to max(burnt, `cursor`, the higher of both reports). */
bool highs_refuse(struct highs *h, const uint8_t key[FED_STREAM_BYTES], unsigned end,
    uint64_t attempt, uint64_t cursor);

/* What is not durable yet: an array owned by the caller, *n entries. NULL if there is no memory. */
struct store_high *highs_dirty(const struct highs *h, size_t *n) must_check;
/* All of it is durable now. */
void highs_clean(struct highs *h);
