/* SPDX-License-Identifier: Apache-2.0 */
/* KME <-> KME, and KME (initiator) <-> simulator of the quantum layer (responder). */
#pragma once

#include "proto/link.h"

#define KME_VERSION 1
#define QKD_VERSION 1

#define KME_SOURCE_MAX ((size_t)1024 * 1024) /* bytes of one message between the ends of a source */

/* Levels `event` and `pulse`: events in one message, bytes of their gaps, and events that the simulator
 * may be ahead of what an end said it took, per end and link. */
#define QKD_EVENTS_MAX   ((uint32_t)65536)
#define QKD_GAPS_MAX     ((size_t)216 * 1024)
#define QKD_EVENTS_AHEAD (4 * (uint64_t)QKD_EVENTS_MAX)
#define QKD_REASON_MAX   ((size_t)256)

enum kme_type { KME_HELLO = 16, KME_CARRY, KME_POOL, KME_SOURCE };
enum qkd_type {
    QKD_HELLO = 16,
    QKD_WELCOME,
    QKD_GRANT,
    QKD_RATE_BLOCK,
    QKD_BLOCK,
    QKD_EVENTS,
    QKD_BLOCK_END,
    QKD_GOT,
    QKD_STOP,
    QKD_BLOCK_OFF,
};

extern const struct exchange kme_exchange;
extern const struct exchange qkd_exchange;
