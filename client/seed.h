/* SPDX-License-Identifier: Apache-2.0 */
/* The client's seed: 32 bytes in a file of mode 0600, made at the first start.
 *
 * Training and rounding draw from PRF(seed, round, training). Who has it can repeat this site's
 * rounding; pads never come from it.
 */
#pragma once

#include "common/err.h"
#include "common/rng.h"

#include <stdint.h>

/* Reads, or makes, the file. -EACCES if others may read it, -EBADMSG if it is not 32 bytes long,
 * -errno; with a sentence. */
int client_seed_load(const char *path, uint8_t seed[RNG_SEED_BYTES], struct err *e) must_check;
