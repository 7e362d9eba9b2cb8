/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4) by OpenSSL: names for models, views and results. Never over key bytes alone. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

void sha256(uint8_t out[SHA256_BYTES], const void *data, size_t len);

/* The hash of the parts one after the other, each preceded by its length (u64, little-endian), so
 * that no two different lists of parts have the same preimage. */
struct sha256_part {
    const void *data;
    size_t len;
};
void sha256_parts(uint8_t out[SHA256_BYTES], const struct sha256_part *parts, size_t n);
