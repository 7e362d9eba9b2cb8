/* SPDX-License-Identifier: Apache-2.0 */
/* A seed that is new at each start, also when a configured seed wants a repeatable experiment.
 *
 * Simulated keys come from a generator; a process that began again from the same seed would hand out
 * the same pads twice. So the seed of a boot is SHA-256 over the configured one and a durable counter
 * of boots: a directory that starts empty repeats the experiment, a restart never repeats a byte.
 */
#pragma once

#include "common/disk.h"
#include "common/rng.h"

/* Counts this boot durably, then derives. Wipes nothing of the caller's. -errno with a sentence;
 * -EBADMSG if the counter is damaged. */
int boot_seed_next(struct disk *disk, const uint8_t configured[RNG_SEED_BYTES],
    uint8_t out[RNG_SEED_BYTES], struct err *e) must_check;
