/* SPDX-License-Identifier: Apache-2.0 */
/* The weight rule: p_j = n_j / sum of n over the participants (VIEW_WEIGHTS_SAMPLES). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fewer than k_min of the participants have p_j >= 1/(4K): clients refuse such a view, because the
 * sum would hardly hide the heavy ones. */
bool weights_are_starved(const uint64_t *samples, uint32_t k, uint32_t k_min);
