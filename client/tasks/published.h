/* SPDX-License-Identifier: Apache-2.0 */
/* The published NTangled weights, where the data directory holds them: for comparison. */
#pragma once

#include "client/tasks/generator.h"

/* Reads hwe_3q_ps_5_6_weights.npy and hwe_3q_ps_35_6_weights.npy from the directory or its folder
 * ntangled: goals .05 and .35. */
int published_generators(
    const char *data_dir, struct generator generators[2], struct err *e) must_check;
