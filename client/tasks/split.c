/* SPDX-License-Identifier: Apache-2.0 */
#include "client/tasks/split.h"

#include <math.h>

const char *const split_names[] = {"iid", "80-60-40-20", "one-class", "sizes", NULL};

static uint32_t total_of(enum split split, uint32_t shard, uint32_t shards, uint32_t samples)
{
    if (split != SPLIT_SIZES)
        return samples;
    double weight = 2.0 * (shards - shard) / (shards + 1.0);
    return (uint32_t)lround(samples * weight);
}

/* Part of the first class in a shard. */
static double part_of(enum split split, uint32_t shard, uint32_t shards)
{
    switch (split) {
    case SPLIT_80_60_40_20:
        return shards == 1 ? 0.5 : 0.8 - 0.6 * shard / (shards - 1);
    case SPLIT_ONE_CLASS:
        return shards == 1 ? 0.5 : 2 * shard < shards ? 1 : 0;
    case SPLIT_IID:
    case SPLIT_SIZES:
    default:
        return 0.5;
    }
}

struct split_share split_share(enum split split, uint32_t shard, uint32_t shards, uint32_t samples)
{
    struct split_share share = {0};
    for (uint32_t i = 0; i <= shard; i++) {
        share.first[0] += share.of[0];
        share.first[1] += share.of[1];
        uint32_t total = total_of(split, i, shards, samples);
        share.of[0] = (uint32_t)lround(total * part_of(split, i, shards));
        share.of[1] = total - share.of[0];
    }
    return share;
}
