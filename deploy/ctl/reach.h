/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching a daemon's admin socket from a verb, and printing what it answers. */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

#define REACH_SERVER  "/run/qfl/server.sock"
#define REACH_CLIENT  "/run/qfl/client-ctl.sock"
#define REACH_KEYPOOL "/run/qfl/keypool-ctl.sock"
#define REACH_KME     "/run/qfl/kme-ctl.sock"
#define REACH_QKDSIM  "/run/qfl/qkdsim-ctl.sock"

/* Asks the daemon; `arguments` is taken and may be NULL. 0 with *result owned by the caller, or an
 * exit status with a sentence. */
int reach(const char *socket, const char *verb, json_t *arguments, json_t **result,
    struct err *e) must_check;

/* A verb of qflctl that is one question: parses --control (of default `socket`) and --json, asks, and
 * prints the answer by `print`, or as JSON. No operands. Exit status. */
int reach_verb(int argc, char **argv, const char *socket, const char *verb,
    void (*print)(const json_t *answer), struct err *e) must_check;

/* Prints a JSON value and a newline. */
void reach_print(const json_t *value);

/* Members of an answer, with a default where they are missing. */
double reach_number(const json_t *object, const char *key);
const char *reach_text(const json_t *object, const char *key);
