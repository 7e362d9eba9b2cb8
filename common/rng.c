/* SPDX-License-Identifier: Apache-2.0 */
#include "common/rng.h"

#include "common/secret.h"
#include "common/sha256.h"
#include "common/util.h"

#include <math.h>
#include <openssl/evp.h>

#define RNG_BLOCK 1024

struct rng {
    EVP_CIPHER_CTX *cipher;
    size_t used; /* bytes of block already given out */
    uint8_t block[RNG_BLOCK];
};

struct rng *rng_new(const uint8_t seed[RNG_SEED_BYTES])
{
    auto_free struct rng *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->cipher = EVP_CIPHER_CTX_new();
    if (!r->cipher)
        return NULL;
    static const uint8_t nonce[16];
    if (EVP_EncryptInit_ex(r->cipher, EVP_chacha20(), NULL, seed, nonce) != 1) {
        EVP_CIPHER_CTX_free(r->cipher);
        return NULL;
    }
    r->used = RNG_BLOCK;
    return steal(&r);
}

void rng_free(struct rng *r)
{
    if (!r)
        return;
    EVP_CIPHER_CTX_free(r->cipher);
    secret_wipe(r, sizeof(*r));
    free(r);
}

void rng_freep(struct rng **r)
{
    rng_free(*r);
}

void rng_derive(uint8_t out[RNG_SEED_BYTES], const uint8_t seed[RNG_SEED_BYTES], const char *label,
    uint64_t a, uint64_t b)
{
    uint8_t numbers[16];
    put_u64le(numbers, a);
    put_u64le(numbers + 8, b);
    const struct sha256_part parts[] = {
        {label, strlen(label)}, {seed, RNG_SEED_BYTES}, {numbers, sizeof(numbers)}};
    sha256_parts(out, parts, ARRAY_SIZE(parts));
}

static void rng_refill(struct rng *r)
{
    static const uint8_t zeros[RNG_BLOCK];
    int len = 0;
    if (EVP_EncryptUpdate(r->cipher, r->block, &len, zeros, RNG_BLOCK) != 1 || len != RNG_BLOCK)
        abort();
    r->used = 0;
}

void rng_bytes(struct rng *r, void *out, size_t len)
{
    uint8_t *p = out;
    while (len > 0) {
        if (r->used == RNG_BLOCK)
            rng_refill(r);
        size_t n = MIN(len, RNG_BLOCK - r->used);
        memcpy(p, r->block + r->used, n);
        r->used += n;
        p += n;
        len -= n;
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint8_t bytes[8];
    rng_bytes(r, bytes, sizeof(bytes));
    return get_u64le(bytes);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t v;
    do {
        v = rng_u64(r);
    } while (v >= limit);
    return v % n;
}

double rng_uniform(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_normal(struct rng *r)
{
    double u = 1.0 - rng_uniform(r);
    double v = rng_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}
