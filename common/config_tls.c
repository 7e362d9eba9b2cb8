/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_tls.h"

#include <time.h>

const struct config_field config_tls_fields[] = {
    {.key = "certificate",
        .type = CONFIG_PATH,
        .offset = offsetof(struct config_tls, certificate),
        .help = "PEM, own certificate first",
        .required = true},
    {.key = "key",
        .type = CONFIG_PATH,
        .offset = offsetof(struct config_tls, key),
        .help = "PEM, mode 0600",
        .required = true},
    {.key = "ca",
        .type = CONFIG_PATH,
        .offset = offsetof(struct config_tls, ca),
        .help = "PEM, the federation's authority",
        .required = true},
    {0},
};

static void announce(const struct tls_context *t, const char *what, struct log *log)
{
    time_t expires = (time_t)tls_context_expires_s(t);
    bool is_soon = expires - time(NULL) < CONFIG_TLS_WARN_DAYS * 86400;
    char when[32] = "";
    struct tm tm;
    if (gmtime_r(&expires, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
    log_write(log, is_soon ? NOTE_WARNING : NOTE_INFO, "%s, valid until %s%s", what, when,
        is_soon ? ": renew it with qflctl pki renew" : "");
}

int config_tls_open(struct tls_context **out, const struct config_tls *c, const char *federation,
    enum role role, const char *site, struct log *log, struct err *e)
{
    const struct tls_files files = {.certificate = c->certificate,
        .key = c->key,
        .ca = c->ca,
        .federation = federation,
        .role = role,
        .site = site};
    int r = tls_context_new(out, &files, e);
    if (r == 0)
        announce(*out, "own certificate", log);
    return r;
}

void config_tls_reload(struct tls_context *t, struct log *log)
{
    struct err e = {{0}};
    if (tls_context_reload(t, &e) < 0)
        log_write(log, NOTE_WARNING, "certificates not read again: %s", e.text);
    else
        announce(t, "certificates have been read again; the own one", log);
}
