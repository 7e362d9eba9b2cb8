/* SPDX-License-Identifier: Apache-2.0 */
/* qflctl (initiator) <-> a daemon's admin socket (responder). REQUEST is the hello of its side, REPLY
 * of the other; a connection carries any number of pairs, in order. */
#pragma once

#include "proto/link.h"

#define CTL_BYTES_MAX ((size_t)16 * 1024 * 1024)

enum ctl_type { CTL_REQUEST = 16, CTL_REPLY };

extern const struct exchange ctl_exchange;
