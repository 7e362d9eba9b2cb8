/* SPDX-License-Identifier: Apache-2.0 */
/* A key source: where the KME of a site gets blocks of key shared with one peer.
 *
 * One implementation per file: `file` (recorded keys carried by hand) and `sim` (qfl-qkdsim) now;
 * `mdi-qkd` and `etsi014` behind the same calls. A source is a machine of its own (common/machine.h);
 * the KME drives it with a grant per block and tells it how each block ended.
 */
#pragma once

#include "common/machine.h"

#define SOURCE_BLOCK_ID_BYTES 16

struct source;

/* A finished block, the same bytes and id at both ends. */
struct source_block {
    const char *peer; /* borrowed */
    uint8_t id[SOURCE_BLOCK_ID_BYTES];
    const uint8_t *key; /* borrowed for the call */
    size_t len;
    bool simulated;
    double rate_kbps;
    double qber;
    double seconds;
};

struct source_ops {
    /* One more block with this peer is welcome; `want_bytes` and `deadline_ms` are hints (0: none). */
    int (*grant)(struct source *s, const char *peer, uint64_t want_bytes, uint64_t deadline_ms,
        struct update *u);
    /* An event that concerns the source (its connection, its time). Blocks come out by on_block. */
    int (*step)(struct source *s, const struct event *event, struct update *u);
    uint64_t (*deadline_ms)(const struct source *s);
    /* Both vaults hold the block (confirmed), or neither may use it (void). */
    int (*close_block)(struct source *s, const char *peer, const uint8_t *id, bool confirmed);
    void (*free)(struct source *s);
};

struct source {
    const struct source_ops *ops;
    const char *name; /* "file", "qkdsim-rate", ...: shown in status and accounting */
    bool simulated;
    /* Set by the owner: takes a finished block, within step or grant. */
    int (*on_block)(void *owner, const struct source_block *block, struct update *u);
    void *owner;
};
