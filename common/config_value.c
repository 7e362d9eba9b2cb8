/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_value.h"

#include "common/nearest.h"
#include "common/util.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>

static int read_string(const char *text, char **out, struct err *e)
{
    if (strlen(text) > CONFIG_TEXT_MAX)
        return err_set(e, -EINVAL, "is longer than %d bytes", CONFIG_TEXT_MAX);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return err_set(e, -EINVAL, "must be one line without control characters");
    *out = strdup(text);
    return *out ? 0 : -ENOMEM;
}

static int read_path(const char *folder, const char *text, char **out, struct err *e)
{
    if (text[0] == '\0')
        return err_set(e, -EINVAL, "must be a path, not an empty text");
    if (text[0] == '/' || folder[0] == '\0')
        return read_string(text, out, e);
    auto_free char *joined = NULL;
    if (asprintf(&joined, "%s%s", folder, text) < 0)
        return -ENOMEM;
    return read_string(joined, out, e);
}

static int read_bool(const char *text, bool *out, struct err *e)
{
    *out = strcmp(text, "true") == 0;
    if (*out || strcmp(text, "false") == 0)
        return 0;
    return err_set(e, -EINVAL, "must be true or false, not \"%.100s\"", text);
}

/* 10^3 per suffix letter; 0 for a suffix that is none. */
static uint64_t suffix_scale(const char *suffix)
{
    if (suffix[0] == '\0')
        return 1;
    const char *letters = "kMG";
    const char *found = suffix[1] == '\0' ? strchr(letters, suffix[0]) : NULL;
    if (!found)
        return 0;
    uint64_t scale = 1000;
    for (const char *p = letters; p < found; p++)
        scale *= 1000;
    return scale;
}

static int read_u64(
    const struct config_field *field, const char *text, uint64_t *out, struct err *e)
{
    char *end = NULL;
    errno = 0;
    uint64_t v = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 10) : 0;
    uint64_t scale = end ? suffix_scale(end) : 0;
    if (scale == 0)
        return err_set(
            e, -EINVAL, "must be a whole number, such as 500, 20k or 3M, not \"%.100s\"", text);
    uint64_t max = field->max ? field->max : UINT64_MAX;
    bool is_huge = errno == ERANGE || __builtin_mul_overflow(v, scale, &v);
    if (is_huge || v < field->min || v > max)
        return err_set(
            e, -EINVAL, "is %.100s, but must be %" PRIu64 " to %" PRIu64, text, field->min, max);
    *out = v;
    return 0;
}

int config_double_read(
    const struct config_field *field, const char *text, double *out, struct err *e)
{
    char *end = NULL;
    /* strtod alone would take "nan", "inf" and "0x1p3". */
    bool is_plain = text[0] && strspn(text, "+-.0123456789eE") == strlen(text);
    double v = is_plain ? strtod(text, &end) : 0;
    if (!is_plain || *end || !isfinite(v))
        return err_set(e, -EINVAL, "must be a number, such as 0.05 or 1e-3, not \"%.100s\"", text);
    bool has_limits = field->min_double != 0 || field->max_double != 0;
    if (has_limits && (v < field->min_double || v > field->max_double))
        return err_set(e, -EINVAL, "is %.100s, but must be %g to %g", text, field->min_double,
            field->max_double);
    *out = v;
    return 0;
}

static int read_enum(const struct config_field *field, const char *text, int *out, struct err *e)
{
    char all[256] = "";
    struct nearest near = nearest_to(text);
    for (int i = 0; field->choices[i]; i++) {
        if (strcmp(field->choices[i], text) == 0) {
            *out = i;
            return 0;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", field->choices[i]);
        nearest_offer(&near, field->choices[i]);
    }
    err_set(e, -EINVAL, "must be one of %s, not \"%.100s\"", all, text);
    if (e && near.best) {
        size_t used = strlen(e->text);
        snprintf(e->text + used, sizeof(e->text) - used, "; did you mean \"%s\"?", near.best);
    }
    return -EINVAL;
}

int config_value_read(const struct config_field *field, const char *folder, const char *text,
    void *out, struct err *e)
{
    switch (field->type) {
    case CONFIG_STRING:
        return read_string(text, out, e);
    case CONFIG_PATH:
        return read_path(folder, text, out, e);
    case CONFIG_BOOL:
        return read_bool(text, out, e);
    case CONFIG_U64:
        return read_u64(field, text, out, e);
    case CONFIG_DOUBLE:
        return config_double_read(field, text, out, e);
    case CONFIG_ENUM:
        return read_enum(field, text, out, e);
    case CONFIG_SECTION:
    case CONFIG_LIST:
    case CONFIG_MAP:
        break;
    }
    return -EINVAL;
}

void config_string_print(const char *text, FILE *to)
{
    fputc('"', to);
    for (const char *p = text; *p; p++)
        fprintf(to, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    fputc('"', to);
}

void config_double_print(double value, FILE *to)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    fputs(text, to);
}

/* A name or path that YAML cannot take for anything but itself. */
static bool is_plain_word(const char *s)
{
    const char *safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-";
    static const char *const reserved[] = {"null", "Null", "NULL"};
    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
        if (strcmp(s, reserved[i]) == 0)
            return false;
    return (isalpha((unsigned char)s[0]) || s[0] == '/') && strspn(s, safe) == strlen(s);
}

void config_value_print(const struct config_field *field, const void *value, FILE *to)
{
    const char *text;
    switch (field->type) {
    case CONFIG_STRING:
    case CONFIG_PATH:
        text = *(char *const *)value;
        if (is_plain_word(text))
            fputs(text, to);
        else
            config_string_print(text, to);
        break;
    case CONFIG_BOOL:
        fputs(*(const bool *)value ? "true" : "false", to);
        break;
    case CONFIG_U64:
        fprintf(to, "%" PRIu64, *(const uint64_t *)value);
        break;
    case CONFIG_DOUBLE:
        config_double_print(*(const double *)value, to);
        break;
    case CONFIG_ENUM:
        fputs(field->choices[*(const int *)value], to);
        break;
    case CONFIG_SECTION:
    case CONFIG_LIST:
    case CONFIG_MAP:
        break;
    }
}
