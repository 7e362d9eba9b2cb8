/* SPDX-License-Identifier: Apache-2.0 */
/* A tap behind TLS: qfl-server linked with --wrap=aggregator_step writes every frame that clients
 * send to the file named by QFL_TAP: u16 type, u32 length, body, all little-endian. */
#include "common/util.h"
#include "server/aggregator.h"

#include <stdio.h>

int __real_aggregator_step(struct aggregator *a, const struct event *event, struct update *update);
int __wrap_aggregator_step(struct aggregator *a, const struct event *event, struct update *update);

int __wrap_aggregator_step(struct aggregator *a, const struct event *event, struct update *update)
{
    const char *path = getenv("QFL_TAP");
    if (event->kind == EVENT_FRAME && path) {
        FILE *f = fopen(path, "ab");
        uint8_t head[6] = {(uint8_t)event->frame.type, (uint8_t)(event->frame.type >> 8)};
        put_u32le(head + 2, (uint32_t)event->frame.len);
        if (!f || fwrite(head, 1, sizeof(head), f) != sizeof(head) ||
            fwrite(event->frame.body, 1, event->frame.len, f) != event->frame.len || fclose(f) != 0)
            abort();
    }
    return __real_aggregator_step(a, event, update);
}
