/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines for people (text) or machines (JSON), to stderr. Never key or plaintext bytes. */
#pragma once

#include "common/machine.h"

struct log;

enum log_format { LOG_TEXT, LOG_JSON };

/* `name`: "server", "client alice". Lines below `level` are dropped. */
struct log *log_new(const char *name, enum log_format format, enum note_level level) must_check;
void log_free(struct log *l);
void log_write(struct log *l, enum note_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
