/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/post.h"

#include "common/util.h"
#include "proto/post.pb-c.h"

#define LOW  (1 << LINK_INITIATOR)
#define HIGH (1 << LINK_RESPONDER)
#define BOTH (LOW | HIGH)

#define SMALL  ((size_t)160)
#define VECTOR (POST_CHUNK_MAX + 32)

static const struct exchange_rule rules[] = {
    {POST_ANNOUNCE, BOTH, SMALL, &post__announce__descriptor},
    {POST_BASES, BOTH, VECTOR, &post__bases__descriptor},
    {POST_DISCLOSE, BOTH, VECTOR, &post__disclose__descriptor},
    {POST_PLAN, LOW, SMALL, &post__plan__descriptor},
    {POST_ASK, HIGH, VECTOR, &post__ask__descriptor},
    {POST_ANSWER, LOW, VECTOR, &post__answer__descriptor},
    {POST_CORRECTED, HIGH, SMALL, &post__corrected__descriptor},
    {POST_SEED, LOW, VECTOR, &post__seed__descriptor},
    {POST_NEXT, HIGH, SMALL, &post__next__descriptor},
    {POST_TAG, BOTH, SMALL, &post__tag__descriptor},
    {POST_DONE, LOW, 0, &post__done__descriptor},
    {POST_VOID, BOTH, SMALL + POST_REASON_MAX, &post__void__descriptor},
};

/* Carried by a channel that has its own hello and pings. */
const struct exchange post_exchange = {
    .name = "post",
    .rules = rules,
    .n = ARRAY_SIZE(rules),
    .hello = {POST_ANNOUNCE, POST_ANNOUNCE},
    .hello_ms = 5000,
    .ping_ms = NEVER_MS,
    .silent_ms = NEVER_MS,
};
