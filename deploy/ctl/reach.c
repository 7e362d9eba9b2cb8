/* SPDX-License-Identifier: Apache-2.0 */
#include "deploy/ctl/reach.h"

#include "deploy/ctl/options.h"
#include "proto/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define REACH_TIMEOUT_MS 10000

int reach(const char *socket, const char *verb, json_t *arguments, json_t **result, struct err *e)
{
    json_t *asked = arguments ? arguments : json_object();
    char *text = json_dumps(asked, JSON_COMPACT);
    json_decref(asked);
    if (!text)
        return err_set(e, EX_OSERR, "out of memory");
    char *answer = NULL;
    int code = control_call(socket, verb, text, REACH_TIMEOUT_MS, &answer, e);
    free(text);
    if (code > 0) /* the daemon's own refusal: say whose */
        return err_wrap(e, code, "%s", socket);
    if (code < 0)
        return EX_UNAVAILABLE;
    json_error_t at;
    *result = json_loads(answer, JSON_DECODE_ANY, &at);
    free(answer);
    if (!*result)
        return err_set(e, EX_PROTOCOL, "%s answered %s with something that is not JSON: %s", socket,
            verb, at.text);
    return 0;
}

int reach_verb(int argc, char **argv, const char *socket, const char *verb,
    void (*print)(const json_t *answer), struct err *e)
{
    bool json = false;
    const struct option_spec specs[] = {{.name = "control", .value = &socket},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    json_t *answer = NULL;
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r == 0)
        r = reach(socket, verb, NULL, &answer, e);
    if (r != 0)
        return r;
    if (json)
        reach_print(answer);
    else
        print(answer);
    json_decref(answer);
    return EX_OK;
}

void reach_print(const json_t *value)
{
    json_dumpf(
        value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
    putchar('\n');
}

double reach_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

const char *reach_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}
