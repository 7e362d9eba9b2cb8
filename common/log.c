/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include "common/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 2048
/* An escaped byte is at most 6 long; the rest of a line is short. */
#define LINE_MAX_BYTES (6 * (TEXT_MAX + 128) + 128)
#define NAME_MAX_BYTES 128

const char *const log_level_names[] = {"debug", "info", "warning", "alarm", NULL};
const char *const log_format_names[] = {"text", "json", NULL};

struct log {
    char name[NAME_MAX_BYTES];
    enum log_format format;
    enum note_level level;
    void (*sink)(void *arg, enum note_level level, const char *text);
    void *sink_arg;
};

struct line {
    char data[LINE_MAX_BYTES];
    size_t len;
};

struct log *log_new(const char *name, enum log_format format, enum note_level level)
{
    struct log *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    snprintf(l->name, sizeof(l->name), "%s", name);
    l->format = format;
    l->level = level;
    return l;
}

void log_free(struct log *l)
{
    free(l);
}

void log_set_sink(
    struct log *l, void (*sink)(void *arg, enum note_level level, const char *text), void *arg)
{
    l->sink = sink;
    l->sink_arg = arg;
}

static void put(struct line *l, const char *bytes, size_t len)
{
    len = MIN(len, sizeof(l->data) - l->len);
    memcpy(l->data + l->len, bytes, len);
    l->len += len;
}

static void put_text(struct line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* Length of the UTF-8 character at `s`, 0 if there is none (RFC 3629 table 3-7 of Unicode). */
static size_t utf8_length(const uint8_t *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    size_t n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint8_t low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return n;
}

static void put_escaped(struct line *l, uint8_t byte, enum log_format format)
{
    char escape[8];
    if (format == LOG_JSON && (byte == '"' || byte == '\\'))
        snprintf(escape, sizeof(escape), "\\%c", byte);
    else if (format == LOG_JSON)
        snprintf(escape, sizeof(escape), "\\u%04x", byte < 0x80 ? byte : 0xfffd);
    else
        snprintf(escape, sizeof(escape), "\\x%02x", byte);
    put_text(l, escape);
}

static void put_safe(struct line *l, const char *text, enum log_format format)
{
    const uint8_t *s = (const uint8_t *)text;
    while (*s) {
        size_t n = utf8_length(s);
        bool is_control = *s < 0x20 || *s == 0x7f;
        bool is_syntax = format == LOG_JSON && (*s == '"' || *s == '\\');
        if (n == 0 || is_control || is_syntax) {
            put_escaped(l, *s++, format);
            continue;
        }
        put(l, (const char *)s, n);
        s += n;
    }
}

static void put_time(struct line *l)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm utc;
    gmtime_r(&now.tv_sec, &utc);
    char day[32];
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
    char text[48];
    snprintf(text, sizeof(text), "%s.%03ldZ", day, now.tv_nsec / 1000000);
    put_text(l, text);
}

static void put_line(struct line *out, const struct log *l, enum note_level level, const char *text)
{
    bool is_json = l->format == LOG_JSON;
    put_text(out, is_json ? "{\"time\":\"" : "");
    put_time(out);
    put_text(out, is_json ? "\",\"level\":\"" : " ");
    put_text(out, log_level_names[level]);
    put_text(out, is_json ? "\",\"name\":\"" : " ");
    put_safe(out, l->name, l->format);
    put_text(out, is_json ? "\",\"text\":\"" : ": ");
    put_safe(out, text, l->format);
    put_text(out, is_json ? "\"}\n" : "\n");
}

static void write_line(const struct line *l)
{
    size_t done = 0;
    while (done < l->len) {
        ssize_t n = write(STDERR_FILENO, l->data + done, l->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        done += (size_t)n;
    }
}

void log_write(struct log *l, enum note_level level, const char *format, ...)
{
    if (!l || level < l->level)
        return;
    int saved = errno;
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len >= (int)sizeof(text))
        memcpy(text + sizeof(text) - 4, "...", 4);
    if (l->sink) {
        l->sink(l->sink_arg, level, text);
    } else {
        struct line line;
        line.len = 0;
        put_line(&line, l, level, text);
        write_line(&line);
    }
    errno = saved;
}
