/* SPDX-License-Identifier: Apache-2.0 */
/* test_hooks: each attempt's quantised integers, in a 0600 file, so that the published sums can be
 * compared with what went into them. Built only with the option test_hooks; never in packages.
 *
 * File: <dir>/<site>-<round>-<attempt>.json, an array of integers (parameters, without canaries).
 */
#pragma once

#include "common/log.h"

#include <stdint.h>

struct hook {
    const char *dir;
    const char *site;
    struct log *log;
};

/* As participant_config.on_quantised; `arg` is a struct hook. */
void hook_write(void *arg, uint64_t round, uint64_t attempt, const int64_t *v, uint32_t n);
