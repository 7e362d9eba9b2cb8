/* SPDX-License-Identifier: Apache-2.0 */
/* How much key the vault holds with each peer, as it last said: the mask streams only.
 *
 * Offsets are bytes of the pair's mask stream (keypool.md section 1). Streams of sites that are not
 * on the roster are left out.
 */
#pragma once

#include "common/machine.h"
#include "proto/fed.h"
#include "proto/fed.pb-c.h"
#include "proto/vault.pb-c.h"

#include <stdbool.h>

struct level {
    const char *peer; /* of the roster */
    uint8_t stream[FED_STREAM_BYTES];
    uint64_t cursor;
    uint64_t end;
    uint64_t peer_cursor;
    bool in_step;
    bool simulated;
};

struct levels {
    struct level *list; /* owned, by roster order */
    size_t n;
};

void client_levels_deinit(struct levels *l);
/* Replaces what was known. > 0 with a sentence if the message makes no sense; -ENOMEM. */
int client_levels_set(struct levels *l, const Vault__Levels *from, const char *const *peers,
    size_t n_peers, struct err *e) must_check;
/* NULL if the vault has no mask stream with this peer. */
const struct level *client_levels_find(const struct levels *l, const char *peer);
/* Bytes that a range may still use. */
uint64_t client_level_available(const struct level *l);
/* A difference that the aggregator would want to know: a pair in or out of step, new, or with an
 * eighth more or less key. */
bool client_levels_differ(const struct levels *a, const struct levels *b);
int client_levels_copy(struct levels *to, const struct levels *from) must_check;

/* As a message; the array and what it points to live until client_levels_message_free. */
struct levels_message {
    Fed__Level *items;
    Fed__Level **list;
};
int client_levels_message(struct levels_message *m, const struct levels *l) must_check;
void client_levels_message_free(struct levels_message *m);
