/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/kme/meter.h"

void meter_add(struct meter *m, uint64_t now_ms, uint64_t bytes)
{
    uint64_t second = now_ms / 1000;
    uint64_t i = second % METER_SECONDS;
    if (m->second[i] != second) {
        m->second[i] = second;
        m->bytes[i] = 0;
    }
    m->bytes[i] += bytes;
}

double meter_kbps(const struct meter *m, uint64_t now_ms)
{
    uint64_t now = now_ms / 1000;
    uint64_t sum = 0;
    for (int i = 0; i < METER_SECONDS; i++)
        if (m->second[i] <= now && now - m->second[i] < METER_SECONDS)
            sum += m->bytes[i];
    return (double)sum * 8 / METER_SECONDS / 1e3;
}
