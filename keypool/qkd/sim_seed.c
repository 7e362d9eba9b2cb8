/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/sim_seed.h"

#include "common/sha256.h"
#include "common/util.h"

void sim_seed_derive(uint8_t out[RNG_SEED_BYTES], const uint8_t boot[RNG_SEED_BYTES],
    const char *use, const struct sim_link *link, uint64_t number)
{
    uint8_t bytes[8];
    put_u64le(bytes, number);
    const char *a = link->user[0]->name;
    const char *b = link->user[1]->name;
    const struct sha256_part parts[] = {{use, strlen(use)}, {boot, RNG_SEED_BYTES}, {a, strlen(a)},
        {b, strlen(b)}, {bytes, sizeof(bytes)}};
    sha256_parts(out, parts, ARRAY_SIZE(parts));
}
