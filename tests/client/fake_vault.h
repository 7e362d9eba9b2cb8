/* SPDX-License-Identifier: Apache-2.0 */
/* A vault that answers at once: the same bytes for both ends of a pair, every byte handed out once.
 *
 * It checks what a real one would: starts at or above the cursor, takes in order and within the
 * reservation. The bytes of a pair are a function of both names and the offset.
 */
#pragma once

#include "common/buf.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"

#include <stdbool.h>

#define FAKE_PEERS_MAX 8

struct fake_stream {
    const char *peer;
    uint8_t id[16];
    uint64_t cursor;
    uint64_t end;
    uint64_t peer_cursor;
    bool in_step;
};

struct fake_range {
    uint32_t stream;
    uint64_t start;
    uint64_t length;
    uint64_t taken; /* bytes handed out so far */
};

struct fake_vault {
    const char *site;
    struct fake_stream streams[FAKE_PEERS_MAX];
    uint32_t n;
    uint64_t attempt; /* last reserved */
    bool is_reserved;
    struct fake_range ranges[FAKE_PEERS_MAX];
    uint32_t n_ranges;
    uint64_t handed_out; /* key bytes */
    uint32_t refuse;     /* enum vault_code for the next RESERVE, once */
};

/* Key bytes of the pair: the same at both ends. */
void fake_vault_bytes(const char *a, const char *b, uint64_t offset, uint8_t *out, size_t len);
/* Stream id of the pair. */
void fake_vault_id(const char *a, const char *b, uint8_t id[16]);

void fake_vault_init(struct fake_vault *v, const char *site, const char *const *peers, size_t n);
struct fake_stream *fake_vault_stream(struct fake_vault *v, const char *peer);

/* Answers one frame; the answer's type, with the body in *out (owned by the caller), or 0 for none. */
uint16_t fake_vault_answer(
    struct fake_vault *v, uint16_t type, const uint8_t *body, size_t len, struct blob **out);
