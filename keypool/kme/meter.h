/* SPDX-License-Identifier: Apache-2.0 */
/* How much came in over the last minute, second by second. */
#pragma once

#include <stdint.h>

#define METER_SECONDS 60

struct meter {
    uint64_t second[METER_SECONDS]; /* which one the bucket holds */
    uint64_t bytes[METER_SECONDS];
};

void meter_add(struct meter *m, uint64_t now_ms, uint64_t bytes);
/* Mean over the last minute, in kbit/s. */
double meter_kbps(const struct meter *m, uint64_t now_ms);
