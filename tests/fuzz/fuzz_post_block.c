/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a block against an other end that may say anything.
 *
 * Input: a byte whose lowest bit is the side of the other end, then its messages: u16 length
 * (little-endian), bytes. Oracle: no step fails, and it ends, with a sentence or with a key. */
#include "tests/fuzz/fuzz.h"

#include "common/util.h"
#include "tests/keypool/post_pair.h"

static void expect_end(struct post_result *r)
{
    fuzz_assert(r->outcome != POST_OPEN);
    fuzz_assert((r->outcome == POST_KEY) == (r->key.data != NULL));
    fuzz_assert(r->outcome == POST_KEY || r->reason.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct post_event begin = {.kind = POST_EVENT_START};
    const struct post_event abandon = {.kind = POST_EVENT_ABANDON, .text = "no more"};
    const struct pair_config config = pair_small();
    enum post_side side = size > 0 && data[0] & 1 ? POST_LOW : POST_HIGH;
    struct post_pair p;
    pair_init(&p, &config);
    pair_event(&p, side, &begin);
    for (size_t at = 1; at + 2 <= size;) {
        size_t len = MIN((size_t)data[at] | (size_t)data[at + 1] << 8, size - at - 2);
        uint8_t *copy = malloc(len ? len : 1);
        fuzz_assert(copy);
        memcpy(copy, data + at + 2, len);
        const struct post_event e = {.kind = POST_EVENT_MESSAGE, .message = {copy, len}};
        pair_event(&p, side, &e);
        free(copy);
        at += 2 + len;
    }
    pair_event(&p, side, &abandon);
    expect_end(pair_result(&p, side));
    pair_deinit(&p);
    return 0;
}
