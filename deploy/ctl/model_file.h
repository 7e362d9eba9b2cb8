/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoint files (docs/checkpoint.md) on disk, for verbs. */
#pragma once

#include "common/checkpoint.h"

/* Exit status with a sentence, or 0. */
int model_file_read(const char *path, struct checkpoint *out, struct err *e) must_check;
/* Never overwrites. */
int model_file_write(const char *path, const struct checkpoint *c, struct err *e) must_check;
