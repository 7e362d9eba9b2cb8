/* SPDX-License-Identifier: Apache-2.0 */
/* Encryption of key bytes at rest: AES-256-GCM, a random data key per segment, wrapped by the KEK.
 *
 * keypool.md section 1. A segment is written once under its own data key; its chunks use their index
 * as nonce and what they are (stream, block, offset) as additional data, so that a chunk moved to
 * another place does not open. Destroying the wrapped key destroys the segment.
 */
#pragma once

#include "common/err.h"
#include "common/rng.h"

#include <stdint.h>

#define SEAL_KEY_BYTES     32
#define SEAL_TAG_BYTES     16
#define SEAL_NONCE_BYTES   12
#define SEAL_WRAPPED_BYTES (SEAL_NONCE_BYTES + SEAL_KEY_BYTES + SEAL_TAG_BYTES)

enum seal_condition { SEAL_E_BROKEN = 1 /* altered, of another place, or of another key */ };

struct seal;

/* `entropy` seeds the data keys. NULL if there is no memory. */
struct seal *seal_new(
    const uint8_t kek[SEAL_KEY_BYTES], const uint8_t entropy[RNG_SEED_BYTES]) must_check;
/* Safe on NULL. */
void seal_free(struct seal *s);

/* Another key from the same KEK. */
void seal_derive(uint8_t out[SEAL_KEY_BYTES], const uint8_t kek[SEAL_KEY_BYTES], const char *label);

/* Draws a new data key, the one in use from now on, and wraps it. */
void seal_begin(struct seal *s, uint8_t wrapped[SEAL_WRAPPED_BYTES]);
/* Takes a wrapped data key into use. */
int seal_resume(struct seal *s, const uint8_t wrapped[SEAL_WRAPPED_BYTES]) must_check;

/* SEAL_SCRATCH bytes of locked memory for whoever works with `s`, for the time of one call. */
#define SEAL_SCRATCH 4096
uint8_t *seal_scratch(struct seal *s);

/* What a chunk is and where it belongs. */
struct seal_place {
    uint64_t index; /* nonce: unique under one data key */
    const void *aad;
    size_t aad_len;
};

/* `out` takes len + SEAL_TAG_BYTES. */
void seal_chunk(
    struct seal *s, const struct seal_place *at, const uint8_t *in, size_t len, uint8_t *out);
/* `in` holds len + SEAL_TAG_BYTES; `out` takes len. */
int seal_open(struct seal *s, const struct seal_place *at, const uint8_t *in, size_t len,
    uint8_t *out) must_check;
