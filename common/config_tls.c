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
