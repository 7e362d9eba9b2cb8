/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds how much of which class.
 *
 *   iid          every shard the same size, both classes in equal parts
 *   80-60-40-20  every shard the same size; the first class is 80 % of the first shard's samples, and
 *                falls evenly to 20 % of the last one's
 *   one-class    every shard the same size; the first half of the shards holds only the first class,
 *                the other half only the second
 *   sizes        both classes in equal parts; sizes fall evenly, 4:3:2:1 for four shards
 */
#pragma once

#include "common/err.h"

#include <stdint.h>

enum split { SPLIT_IID, SPLIT_80_60_40_20, SPLIT_ONE_CLASS, SPLIT_SIZES };

/* Names in the order of the enum, NULL at the end. */
extern const char *const split_names[];

struct split_share {
    uint32_t of[2];    /* samples of each class */
    uint32_t first[2]; /* how many of each class the shards before this one hold */
};

/* `samples`: the mean per shard. */
struct split_share split_share(enum split split, uint32_t shard, uint32_t shards, uint32_t samples);
