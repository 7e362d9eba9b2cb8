/* SPDX-License-Identifier: Apache-2.0 */
/* YAML configuration against a schema: a table of fields that fill a struct.
 *
 * Every error names file:line:column and says what to do; unknown keys name the nearest known one.
 * The same table prints the effective configuration (--print-config).
 *
 * A subset of YAML: one document of mappings, lists and scalars; no anchors, aliases or tags. Files
 * are at most CONFIG_FILE_MAX bytes long and CONFIG_DEPTH_MAX levels deep.
 *
 * A section that is absent and not required takes the defaults of its fields; its required fields
 * are asked for only when it is present.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_FILE_MAX  ((size_t)1024 * 1024)
#define CONFIG_DEPTH_MAX 16
#define CONFIG_ITEMS_MAX 4096 /* of one list or map */
#define CONFIG_TEXT_MAX  4096 /* bytes of one string */

enum config_type {
    CONFIG_STRING,  /* char * (owned by the loaded configuration) */
    CONFIG_PATH,    /* char *, relative ones are relative to the file's folder */
    CONFIG_BOOL,    /* bool */
    CONFIG_U64,     /* uint64_t with min, max; suffixes k, M, G allowed (1000s) */
    CONFIG_DOUBLE,  /* double with min_double, max_double */
    CONFIG_ENUM,    /* int: index into choices */
    CONFIG_SECTION, /* struct: fields */
    CONFIG_LIST,    /* struct config_list: of sections with `fields`, or of strings without */
    CONFIG_MAP,     /* struct config_list of {char *key; double value}: numbers by free names */
};

struct config_list {
    void *items; /* owned; element_size bytes each; strings: char *[] */
    size_t n;
};

struct config_number {
    char *key;
    double value;
};

struct config_field {
    const char *key;
    enum config_type type;
    bool required;
    size_t offset;
    const char *help;     /* half a sentence, for --print-config and errors */
    const char *fallback; /* text of the default; NULL: zero */
    uint64_t min, max;    /* CONFIG_U64; LIST, MAP: of the number of items; max 0: no limit */
    double min_double, max_double;     /* DOUBLE and the values of a MAP; both 0: no limit */
    const char *const *choices;        /* CONFIG_ENUM, NULL-terminated */
    const struct config_field *fields; /* SECTION, LIST of sections; ends with key NULL */
    size_t element_size;               /* LIST of sections */
};

/* Loads into `out` (zeroed first). 0, or -EINVAL with "file:line:column: sentence"; -ENOENT, -EACCES
 * or another error of open() with "file: sentence"; -ENOMEM. On error nothing is left to free. */
int config_load(
    const char *path, const struct config_field *fields, void *out, struct err *e) must_check;
/* The same from memory; `path` is used in sentences and for relative paths. */
int config_load_text(const char *path, const char *text, size_t len,
    const struct config_field *fields, void *out, struct err *e) must_check;
void config_free(const struct config_field *fields, void *out);
/* The effective configuration as YAML with the help texts as comments: loads again to the same. What
 * is unset is printed as a comment. -EIO. */
int config_print(const struct config_field *fields, const void *value, FILE *to) must_check;
