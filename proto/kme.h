/* SPDX-License-Identifier: Apache-2.0 */
/* KME <-> KME, and KME (initiator) <-> simulator of the quantum layer (responder). */
#pragma once

#include "proto/link.h"

#define KME_VERSION 1
#define QKD_VERSION 1

enum kme_type { KME_HELLO = 16, KME_CARRY };
enum qkd_type { QKD_HELLO = 16, QKD_WELCOME, QKD_GRANT, QKD_RATE_BLOCK };

extern const struct exchange kme_exchange;
extern const struct exchange qkd_exchange;
