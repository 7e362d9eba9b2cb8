/* SPDX-License-Identifier: Apache-2.0 */
/* One question to a daemon's admin socket, blocking: for qflctl and tests. Exchange `ctl`. */
#pragma once

#include "common/err.h"

/* Sends {verb, arguments (JSON object text)} to the AF_UNIX socket and waits for the answer at most
 * `timeout_ms`. 0 with the JSON text in *result (owned by the caller); > 0 the exit status that the
 * daemon answered, with its sentence; -errno with a sentence when the daemon cannot be asked. */
int control_call(const char *socket_path, const char *verb, const char *arguments, int timeout_ms,
    char **result, struct err *e) must_check;
