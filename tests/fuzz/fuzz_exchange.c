/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a conversation against any bytes: FUZZ_EXCHANGE is the exchange.
 *
 * Input: a byte whose lowest bit is our side, then frames as on the wire (u32 length, u16 type, body).
 * Oracle: what we accept, protobuf-c accepts, and both have read the same; and accepted messages pack
 * into at most what they came in.
 */
#include "common/util.h"
#include "proto/ctl.h"
#include "proto/fed.h"
#include "proto/kme.h"
#include "proto/post.h"
#include "proto/vault.h"

#include "tests/fuzz/fuzz.h"

static void compare(
    const struct exchange_rule *rule, const ProtobufCMessage *ours, const uint8_t *body, size_t len)
{
    ProtobufCMessage *theirs = protobuf_c_message_unpack(rule->descriptor, NULL, len, body);
    fuzz_assert(theirs);
    struct blob *a = codec_pack(ours), *b = codec_pack(theirs);
    fuzz_assert(a && b && a->len == b->len && a->len <= len && len <= rule->max_bytes);
    fuzz_assert(memcmp(a->data, b->data, a->len) == 0);
    blob_unref(a);
    blob_unref(b);
    protobuf_c_message_free_unpacked(theirs, NULL);
}

static const struct exchange_rule *rule_of(uint16_t type)
{
    for (size_t i = 0; i < FUZZ_EXCHANGE.n; i++)
        if (FUZZ_EXCHANGE.rules[i].type == type)
            return &FUZZ_EXCHANGE.rules[i];
    return NULL;
}

/* One frame; the body is a copy on the heap, so that a byte too far is seen. */
static int hear(struct link *l, struct arena *a, uint64_t now_ms, uint16_t type,
    const uint8_t *body, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    fuzz_assert(copy);
    memcpy(copy, body, len);
    struct event event = {.kind = EVENT_FRAME, .now_ms = now_ms, .conn = 1};
    event.frame.type = type;
    event.frame.body = copy;
    event.frame.len = len;
    struct update u = {0};
    struct err e = {0};
    ProtobufCMessage *message;
    int r = link_frame(l, &event, a, &u, &message, &e);
    fuzz_assert(r >= 0 && (r == 0 || e.text[0]));
    if (message)
        compare(rule_of(type), message, body, len);
    if (r == 0)
        r = link_tick(l, now_ms + 4000, 1, &u, &e);
    fuzz_assert(u.n <= 2);
    update_deinit(&u);
    arena_reset(a, true);
    free(copy);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *a = arena_new(1024);
    struct link l;
    uint64_t now_ms = 1;
    link_init(&l, &FUZZ_EXCHANGE, data[0] & 1 ? LINK_RESPONDER : LINK_INITIATOR, now_ms);
    for (data++, size--; size >= 6; now_ms += 700) {
        size_t length =
            (size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
        if (length < 2 || length > size - 4)
            break;
        uint16_t type = (uint16_t)(data[4] << 8 | data[5]);
        if (hear(&l, a, now_ms, type, data + 6, length - 2) != 0)
            break;
        data += 4 + length;
        size -= 4 + length;
    }
    arena_free(a);
    return 0;
}
