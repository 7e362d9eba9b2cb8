/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/seal.h"

#include "common/secret.h"
#include "common/util.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

struct seal_keys {
    uint8_t kek[SEAL_KEY_BYTES];
    uint8_t data[SEAL_KEY_BYTES]; /* of the segment in hand */
    uint8_t scratch[SEAL_SCRATCH];
};

struct seal {
    EVP_CIPHER_CTX *cipher;
    struct secret keys; /* struct seal_keys */
    struct rng *rng;
};

static struct seal_keys *keys_of(struct seal *s)
{
    return (struct seal_keys *)s->keys.data;
}

struct seal *seal_new(const uint8_t kek[SEAL_KEY_BYTES], const uint8_t entropy[RNG_SEED_BYTES])
{
    struct seal *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->cipher = EVP_CIPHER_CTX_new();
    s->rng = rng_new(entropy);
    if (!s->cipher || !s->rng || secret_init(&s->keys, sizeof(struct seal_keys)) < 0) {
        seal_free(s);
        return NULL;
    }
    seal_derive(keys_of(s)->kek, kek, "qfl vault: data keys");
    return s;
}

void seal_free(struct seal *s)
{
    if (!s)
        return;
    EVP_CIPHER_CTX_free(s->cipher);
    secret_deinit(&s->keys);
    rng_free(s->rng);
    free(s);
}

/* The ways in which EVP fails here are no memory and our own mistakes. */
static void must(int ok)
{
    if (ok != 1)
        abort();
}

void seal_derive(uint8_t out[SEAL_KEY_BYTES], const uint8_t kek[SEAL_KEY_BYTES], const char *label)
{
    unsigned n = 0;
    must(HMAC(EVP_sha256(), kek, SEAL_KEY_BYTES, (const uint8_t *)label, strlen(label), out, &n) !=
         NULL);
}

static void gcm_init(struct seal *s, bool encrypts, const uint8_t *key, const uint8_t *nonce,
    const void *aad, size_t aad_len)
{
    int n;
    must(EVP_CipherInit_ex(s->cipher, EVP_aes_256_gcm(), NULL, key, nonce, encrypts));
    if (aad_len > 0)
        must(EVP_CipherUpdate(s->cipher, NULL, &n, aad, (int)aad_len));
}

static void gcm_close(struct seal *s, const uint8_t *in, size_t len, uint8_t *out)
{
    int n;
    must(EVP_CipherUpdate(s->cipher, out, &n, in, (int)len));
    must(EVP_CipherFinal_ex(s->cipher, out + len, &n));
    must(EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, out + len));
}

static int gcm_open(struct seal *s, const uint8_t *in, size_t len, uint8_t *out)
{
    int n;
    uint8_t tag[SEAL_TAG_BYTES];
    memcpy(tag, in + len, sizeof(tag));
    must(EVP_CipherUpdate(s->cipher, out, &n, in, (int)len));
    must(EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag));
    if (EVP_CipherFinal_ex(s->cipher, out + len, &n) == 1)
        return 0;
    secret_wipe(out, len);
    return SEAL_E_BROKEN;
}

void seal_begin(struct seal *s, uint8_t wrapped[SEAL_WRAPPED_BYTES])
{
    struct seal_keys *keys = keys_of(s);
    rng_bytes(s->rng, keys->data, SEAL_KEY_BYTES);
    rng_bytes(s->rng, wrapped, SEAL_NONCE_BYTES);
    gcm_init(s, true, keys->kek, wrapped, NULL, 0);
    gcm_close(s, keys->data, SEAL_KEY_BYTES, wrapped + SEAL_NONCE_BYTES);
}

int seal_resume(struct seal *s, const uint8_t wrapped[SEAL_WRAPPED_BYTES])
{
    struct seal_keys *keys = keys_of(s);
    gcm_init(s, false, keys->kek, wrapped, NULL, 0);
    return gcm_open(s, wrapped + SEAL_NONCE_BYTES, SEAL_KEY_BYTES, keys->data);
}

uint8_t *seal_scratch(struct seal *s)
{
    return keys_of(s)->scratch;
}

static void nonce_of(const struct seal_place *at, uint8_t nonce[SEAL_NONCE_BYTES])
{
    memset(nonce, 0, SEAL_NONCE_BYTES);
    put_u64le(nonce, at->index);
}

void seal_chunk(
    struct seal *s, const struct seal_place *at, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t nonce[SEAL_NONCE_BYTES];
    nonce_of(at, nonce);
    gcm_init(s, true, keys_of(s)->data, nonce, at->aad, at->aad_len);
    gcm_close(s, in, len, out);
}

int seal_open(
    struct seal *s, const struct seal_place *at, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t nonce[SEAL_NONCE_BYTES];
    nonce_of(at, nonce);
    gcm_init(s, false, keys_of(s)->data, nonce, at->aad, at->aad_len);
    return gcm_open(s, in, len, out);
}
