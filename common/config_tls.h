/* SPDX-License-Identifier: Apache-2.0 */
/* The section `tls:` of a daemon's configuration. */
#pragma once

#include "common/config.h"

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
