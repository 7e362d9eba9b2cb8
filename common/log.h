/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines for people (text) or machines (JSON), to stderr. Never key or plaintext bytes.
 *
 *     2026-05-04T10:11:12.345Z info qfl-server: round 3 summed over 4 sites
 *     {"time":"2026-05-04T10:11:12.345Z","level":"info","name":"qfl-server","text":"round 3 ..."}
 *
 * One line is one write, so that lines of several processes never mix. Control characters and bytes
 * that are no UTF-8 are escaped: a peer's name cannot forge a line. Long texts are cut. Needs no
 * memory, so that "out of memory" can be logged.
 */
#pragma once

#include "common/machine.h"

struct log;

enum log_format { LOG_TEXT, LOG_JSON };

/* `name`: "server", "client alice". Lines below `level` are dropped. */
struct log *log_new(const char *name, enum log_format format, enum note_level level) must_check;
/* Safe on NULL. */
void log_free(struct log *l);
/* Keeps errno. On a NULL log it does nothing. */
void log_write(struct log *l, enum note_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Hands each text to `sink` instead of stderr, for tests. */
void log_set_sink(
    struct log *l, void (*sink)(void *arg, enum note_level level, const char *text), void *arg);

/* "debug", "info", "warning", "alarm"; ends with NULL: choices of a configuration. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];
