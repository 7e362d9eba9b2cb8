/* SPDX-License-Identifier: Apache-2.0 */
/* A verb of qflctl: one entry of a table, one file of code.
 *
 * A verb parses its own options, does its work and returns an exit status of sysexits.h; a sentence
 * in `e` is printed by main. Every verb takes --json, which prints one JSON value on stdout instead
 * of text for people.
 */
#pragma once

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

struct verb {
    const char *name;    /* "run start": words separated by one space */
    const char *usage;   /* options and operands, as shown by --help */
    const char *summary; /* half a sentence */
    /* argv[0] is the verb's name. */
    int (*run)(int argc, char **argv, struct err *e);
};

/* Each file of verbs ends its table with an entry whose name is NULL. */
extern const struct verb verbs_run[];
extern const struct verb verbs_status[];
extern const struct verb verbs_watch[];
extern const struct verb verbs_keys[];
extern const struct verb verbs_qkd[];
extern const struct verb verbs_audit[];
extern const struct verb verbs_pki[];
extern const struct verb verbs_site[];
extern const struct verb verbs_task[];
extern const struct verb verbs_evaluate[];
extern const struct verb verbs_keyrate[];
