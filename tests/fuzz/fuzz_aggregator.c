/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator against clients that say anything after HELLO.
 *
 * Input: a byte that says how far an honest round has come, then frames: client (u8), type (u16), length
 * (u16), body; of the client's number the two bits above the lowest two reconnect it first (4), or let
 * time pass (8). Oracle: the core never fails, never asks to be woken in the past (tests/server/stage.c),
 * never counts a sum that three clients have not uploaded, never goes back.
 */
#include "tests/server/stage.h"

#include "common/util.h"
#include "tests/fuzz/fuzz.h"

#define CLIENTS 3

static void (*const begin[])(struct stage *s) = {
    stage_connect_all,
    stage_to_commit,
    stage_to_lock,
    stage_to_go,
    stage_to_result,
};

/* Chunks that the core says it has added. */
static uint64_t chunks_added(struct stage *s)
{
    const char *at = strstr(stage_ask(s, "metrics", ""), "\"chunks_added\":");
    fuzz_assert(at);
    return strtoull(at + strlen("\"chunks_added\":"), NULL, 10);
}

static void check(const struct aggregator_view *before, const struct aggregator_view *after)
{
    fuzz_assert(after->attempt >= before->attempt);
    fuzz_assert(after->round >= before->round);
    fuzz_assert(after->rounds_summed >= before->rounds_summed);
    fuzz_assert(after->rounds_skipped >= before->rounds_skipped);
}

static void say(struct stage *s, uint8_t who, uint16_t type, const uint8_t *body, size_t len)
{
    int client = (who & 3) % CLIENTS;
    if (who & 4 && s->clients[client].conn)
        stage_drop(s, client);
    if (who & 8)
        stage_tick(s, 5000);
    if (s->clients[client].conn == 0)
        stage_connect(s, client);
    if (s->clients[client].conn)
        stage_frame(s, client, type, body, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct stage s;
    stage_init(&s, CLIENTS);
    stage_start(&s);
    begin[data[0] % ARRAY_SIZE(begin)](&s);
    for (data++, size--; size >= 5;) {
        size_t len = (size_t)data[3] << 8 | data[4];
        if (len > size - 5)
            break;
        struct aggregator_view before = aggregator_query(s.a);
        say(&s, data[0], (uint16_t)(data[1] << 8 | data[2]), data + 5, len);
        struct aggregator_view after = aggregator_query(s.a);
        check(&before, &after);
        data += 5 + len;
        size -= 5 + len;
    }
    uint64_t summed = aggregator_query(s.a).rounds_summed;
    fuzz_assert(chunks_added(&s) >= summed * CLIENTS * STAGE_CHUNKS);
    stage_deinit(&s);
    return 0;
}
