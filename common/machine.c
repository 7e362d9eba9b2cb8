/* SPDX-License-Identifier: Apache-2.0 */
#include "common/machine.h"

#include "common/secret.h"
#include "common/util.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const role_names[] = {
    [ROLE_NONE] = "none",
    [ROLE_SERVER] = "server",
    [ROLE_CLIENT] = "client",
    [ROLE_VAULT] = "vault",
    [ROLE_KME] = "kme",
    [ROLE_QKDSIM] = "qkdsim",
    [ROLE_CTL] = "ctl",
};

const char *role_name(enum role role)
{
    return role_names[role];
}

enum role role_parse(const char *name)
{
    for (size_t i = 1; i < ARRAY_SIZE(role_names); i++)
        if (strcmp(name, role_names[i]) == 0)
            return (enum role)i;
    return ROLE_NONE;
}

bool site_name_is_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len > 0 && len <= SITE_NAME_MAX && name[len] == '\0';
}

static void effect_deinit(struct effect *e)
{
    if (e->body && e->is_secret)
        secret_wipe(e->body->data, e->body->len);
    blob_unref(e->body);
    if (e->job)
        e->job->free(e->job);
    free(e->text);
}

void update_deinit(struct update *u)
{
    for (size_t i = 0; i < u->n; i++)
        effect_deinit(&u->effects[i]);
    free(u->effects);
    *u = (struct update){0};
}

/* Takes what the effect owns, also on error. */
static int update_push(struct update *u, struct effect e)
{
    if (u->n == u->cap) {
        size_t cap = u->cap ? 2 * u->cap : 8;
        struct effect *effects = realloc(u->effects, cap * sizeof(*effects));
        if (!effects) {
            effect_deinit(&e);
            return -ENOMEM;
        }
        u->effects = effects;
        u->cap = cap;
    }
    u->effects[u->n++] = e;
    return 0;
}

int update_send(struct update *u, uint32_t conn, uint16_t type, struct blob *body)
{
    return update_push(
        u, (struct effect){.kind = EFFECT_SEND, .conn = conn, .type = type, .body = body});
}

int update_send_secret(struct update *u, uint32_t conn, uint16_t type, struct blob *body)
{
    return update_push(
        u, (struct effect){
               .kind = EFFECT_SEND, .conn = conn, .type = type, .body = body, .is_secret = true});
}

__attribute__((format(printf, 1, 0))) static char *format_text(const char *format, va_list args)
{
    char *text = NULL;
    return vasprintf(&text, format, args) < 0 ? NULL : text;
}

int update_close(struct update *u, uint32_t conn, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    if (!text)
        return -ENOMEM;
    return update_push(u, (struct effect){.kind = EFFECT_CLOSE, .conn = conn, .text = text});
}

int update_limit(struct update *u, uint32_t conn, size_t limit)
{
    return update_push(u, (struct effect){.kind = EFFECT_LIMIT, .conn = conn, .limit = limit});
}

int update_job(struct update *u, struct job *job)
{
    return update_push(u, (struct effect){.kind = EFFECT_JOB, .job = job});
}

int update_stop(struct update *u, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    if (!text)
        return -ENOMEM;
    return update_push(u, (struct effect){.kind = EFFECT_STOP, .code = code, .text = text});
}

void update_note(struct update *u, enum note_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text(format, args);
    va_end(args);
    if (text &&
        update_push(u, (struct effect){.kind = EFFECT_NOTE, .level = level, .text = text}) < 0)
        return;
}
