/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sha256.h"

#include "common/util.h"

#include <openssl/evp.h>

/* EVP fails here only without memory or without the default provider: no daemon can go on then. */
#define evp_must(call)                                                                             \
    do {                                                                                           \
        if ((call) != 1)                                                                           \
            abort();                                                                               \
    } while (0)

void sha256(uint8_t out[SHA256_BYTES], const void *data, size_t len)
{
    evp_must(EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL));
}

void sha256_parts(uint8_t out[SHA256_BYTES], const struct sha256_part *parts, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx)
        abort();
    evp_must(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL));
    for (size_t i = 0; i < n; i++) {
        uint8_t length[8];
        put_u64le(length, parts[i].len);
        evp_must(EVP_DigestUpdate(ctx, length, sizeof(length)));
        evp_must(EVP_DigestUpdate(ctx, parts[i].data, parts[i].len));
    }
    evp_must(EVP_DigestFinal_ex(ctx, out, NULL));
    EVP_MD_CTX_free(ctx);
}
