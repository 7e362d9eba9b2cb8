/* SPDX-License-Identifier: Apache-2.0 */
/* Command-line options of a verb, as a table: --name VALUE or --name, then operands. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>

#define OPTION_VALUES_MAX 64

struct option_spec {
    const char *name;   /* without the dashes */
    bool is_flag;       /* takes no value */
    bool *flag;         /* set when given */
    const char **value; /* set to the last value */
    /* For options that may be given several times: up to OPTION_VALUES_MAX values. */
    const char **values;
    size_t *n_values;
};

/* Fills the table's targets; the operands, at most `most`, are left in argv[0..*operands). argv[0] is
 * the verb's name. `specs` ends with name NULL. EX_USAGE with a sentence, or 0. */
int options_parse(const struct option_spec *specs, int argc, char **argv, int most, int *operands,
    struct err *e) must_check;

/* A whole number within [min, max], or EX_USAGE with a sentence naming the option. */
int options_number(const char *option, const char *text, long long min, long long max,
    long long *out, struct err *e) must_check;
