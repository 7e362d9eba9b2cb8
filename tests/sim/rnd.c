/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/rnd.h"

#include <string.h>

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void rnd_init(struct rnd *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

struct rnd rnd_fork(struct rnd *r)
{
    struct rnd child;
    rnd_init(&child, rnd_u64(r));
    return child;
}

static uint64_t rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

uint64_t rnd_u64(struct rnd *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t rnd_below(struct rnd *r, uint64_t n)
{
    return rnd_u64(r) % n;
}

uint64_t rnd_between(struct rnd *r, uint64_t low, uint64_t high)
{
    return low + rnd_below(r, high - low + 1);
}

double rnd_uniform(struct rnd *r)
{
    return (double)(rnd_u64(r) >> 11) * 0x1p-53;
}

bool rnd_chance(struct rnd *r, double probability)
{
    return rnd_uniform(r) < probability;
}

void rnd_bytes(struct rnd *r, void *out, size_t len)
{
    uint8_t *p = out;
    while (len > 0) {
        uint64_t v = rnd_u64(r);
        size_t n = len < 8 ? len : 8;
        memcpy(p, &v, n);
        p += n;
        len -= n;
    }
}
