/* SPDX-License-Identifier: Apache-2.0 */
/* The section `tls:` of a daemon's configuration. */
#pragma once

#include "common/config.h"
#include "common/log.h"
#include "common/tls.h"

#define CONFIG_TLS_WARN_DAYS 7

struct config_tls {
    char *certificate;
    char *key;
    char *ca;
};
extern const struct config_field config_tls_fields[];

#define CONFIG_TLS_FIELD(config, member)                                                           \
    {                                                                                              \
        .key = "tls", .type = CONFIG_SECTION, .offset = offsetof(config, member),                  \
        .help = "who this process is, and whom it believes", .required = true,                     \
        .fields = config_tls_fields                                                                \
    }

/* The context of a process that is `role` of `site`. The log says until when its certificate is valid,
 * as a warning in its last CONFIG_TLS_WARN_DAYS days. */
int config_tls_open(struct tls_context **out, const struct config_tls *c, const char *federation,
    enum role role, const char *site, struct log *log, struct err *e) must_check;
/* SIGHUP: reads the files again and says so; on error the log says why and the old ones stay. */
void config_tls_reload(struct tls_context *t, struct log *log);
