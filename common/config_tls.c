/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_tls.h"

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

int config_tls_open(struct tls_context **out, const struct config_tls *c, const char *federation,
    enum role role, const char *site, struct err *e)
{
    const struct tls_files files = {.certificate = c->certificate,
        .key = c->key,
        .ca = c->ca,
        .federation = federation,
        .role = role,
        .site = site};
    return tls_context_new(out, &files, e);
}

void config_tls_reload(struct tls_context *t, struct log *log)
{
    struct err e = {{0}};
    if (tls_context_reload(t, &e) < 0)
        log_write(log, NOTE_WARNING, "certificates not read again: %s", e.text);
}
