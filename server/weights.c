/* SPDX-License-Identifier: Apache-2.0 */
#include "server/weights.h"

bool weights_are_starved(const uint64_t *samples, uint32_t k, uint32_t k_min)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < k; i++)
        sum += samples[i];
    uint32_t fed = 0;
    for (uint32_t i = 0; i < k; i++)
        fed += samples[i] >= sum / (4 * (uint64_t)k) + (sum % (4 * (uint64_t)k) != 0);
    return fed < k_min;
}
