/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ctl/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static const struct option_spec *find_option(
    const struct option_spec *specs, const char *name, size_t len)
{
    for (const struct option_spec *s = specs; s->name; s++)
        if (strlen(s->name) == len && strncmp(s->name, name, len) == 0)
            return s;
    return NULL;
}

static int store_value(const struct option_spec *s, const char *value, struct err *e)
{
    if (s->value)
        *s->value = value;
    if (!s->values)
        return 0;
    if (*s->n_values == OPTION_VALUES_MAX)
        return err_set(
            e, EX_USAGE, "--%s may be given at most %d times", s->name, OPTION_VALUES_MAX);
    s->values[(*s->n_values)++] = value;
    return 0;
}

static int refuse_operand(const char *verb, const char *operand, int most, struct err *e)
{
    if (most == 0)
        return err_set(e, EX_USAGE, "%s takes options only, not \"%s\"", verb, operand);
    return err_set(e, EX_USAGE, "%s: \"%s\" is one operand too many", verb, operand);
}

int options_parse(
    const struct option_spec *specs, int argc, char **argv, int most, int *operands, struct err *e)
{
    const char *verb = argv[0];
    int n = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (n == most)
                return refuse_operand(verb, argv[i], most, e);
            argv[n++] = argv[i];
            continue;
        }
        const char *name = argv[i] + 2;
        const char *equals = strchr(name, '=');
        const struct option_spec *s =
            find_option(specs, name, equals ? (size_t)(equals - name) : strlen(name));
        if (!s)
            return err_set(e, EX_USAGE, "%s does not know the option %s; see qflctl %s --help",
                verb, argv[i], verb);
        if (s->is_flag) {
            if (equals)
                return err_set(e, EX_USAGE, "--%s takes no value", s->name);
            *s->flag = true;
            continue;
        }
        if (!equals && i + 1 == argc)
            return err_set(e, EX_USAGE, "--%s needs a value", s->name);
        int r = store_value(s, equals ? equals + 1 : argv[++i], e);
        if (r != 0)
            return r;
    }
    *operands = n;
    return 0;
}

int options_number(const char *option, const char *text, long long min, long long max,
    long long *out, struct err *e)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < min || v > max)
        return err_set(e, EX_USAGE, "--%s takes a whole number from %lld to %lld, not \"%s\"",
            option, min, max, text);
    *out = v;
    return 0;
}
