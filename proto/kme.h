/* SPDX-License-Identifier: Apache-2.0 */
/* KME <-> KME, and KME (initiator) <-> simulator of the quantum layer (responder). */
#pragma once

#include "proto/link.h"

#define KME_VERSION 1
#define QKD_VERSION 1

#define KME_SOURCE_MAX ((size_t)1024 * 1024) /* bytes of one message between the ends of a source */

enum kme_type { KME_HELLO = 16, KME_CARRY, KME_POOL, KME_SOURCE };
enum qkd_type { QKD_HELLO = 16, QKD_WELCOME, QKD_GRANT, QKD_RATE_BLOCK };

extern const struct exchange kme_exchange;
extern const struct exchange qkd_exchange;
