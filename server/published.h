/* SPDX-License-Identifier: Apache-2.0 */
/* A published sum as the messages that carry it, packed once for all clients. */
#pragma once

#include "common/quantiser.h"
#include "server/store.h"

struct published {
    struct store_published result; /* owned */
    struct blob *head;             /* owned: body of RESULT; NULL when there is none */
    struct blob **chunks;          /* owned: bodies of RESULT_CHUNK */
    uint32_t n_chunks;
};

/* Moves `result` in (also on error). -EINVAL if its sum is not as long as `z` says. */
int published_init(struct published *p, const uint8_t run[FED_RUN_BYTES],
    struct store_published *result, const struct quantiser *z) must_check;
void published_deinit(struct published *p);

int published_send(const struct published *p, uint32_t conn, struct update *u) must_check;

/* What the next view names as `previous`: chains results, so that two clients with the same digest
 * have seen the same history. */
void published_digest(uint8_t out[SHA256_BYTES], const uint8_t previous[SHA256_BYTES],
    const uint8_t run[FED_RUN_BYTES], const struct store_published *result);
