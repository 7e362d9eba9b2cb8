/* SPDX-License-Identifier: Apache-2.0 */
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void err_write(struct err *e, const char *format, ...)
{
    if (!e)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
}

/* What does not fit is cut. */
static size_t append(struct err *e, size_t at, const char *text)
{
    size_t n = strnlen(text, sizeof(e->text) - 1 - at);
    memcpy(e->text + at, text, n);
    e->text[at + n] = '\0';
    return at + n;
}

void err_prefix(struct err *e, const char *format, ...)
{
    if (!e)
        return;
    char inner[ERR_TEXT_MAX];
    memcpy(inner, e->text, sizeof(inner));
    va_list args;
    va_start(args, format);
    int used = vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(e->text))
        append(e, append(e, (size_t)used, ": "), inner);
}
