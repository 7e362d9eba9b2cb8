/* SPDX-License-Identifier: Apache-2.0 */
/* The text of one scalar of a configuration <-> its value in memory. Internal to common/config.c. */
#pragma once

#include "common/config.h"

/* Reads `text` as the field's type into `out`. `folder`: of the configuration file, "" or ending with
 * '/'. -EINVAL with the end of a sentence that starts with the key ("must be true or false, not
 * \"maybe\""), -ENOMEM. SECTION, LIST and MAP are not scalars. */
int config_value_read(const struct config_field *field, const char *folder, const char *text,
    void *out, struct err *e) must_check;

/* A number within min_double and max_double. */
int config_double_read(
    const struct config_field *field, const char *text, double *out, struct err *e) must_check;

/* Prints the value such that YAML reads it as the same. */
void config_value_print(const struct config_field *field, const void *value, FILE *to);
void config_string_print(const char *text, FILE *to);
void config_double_print(double value, FILE *to);
