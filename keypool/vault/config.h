/* SPDX-License-Identifier: Apache-2.0 */
/* What qfl-keypool is told in /etc/qfl/keypool.yaml. */
#pragma once

#include "common/config.h"
#include "common/daemon.h"

struct keypool_config {
    char *site;
    char *state;
    char *kek;
    bool create_kek;
    char *witness;
    char *socket;
    char *kme_socket;
    char *control;
    char *pairings;
    uint64_t capacity_mbit;
    bool allow_simulated_keys;
    struct config_list uids; /* of texts */
    uint64_t block_timeout_s;
    struct daemon_log log;
};

extern const struct config_field keypool_fields[];

int keypool_config_check(const void *config, const char *path, struct err *e) must_check;
/* The configured uids; `out` has room for uids.n. */
int keypool_config_uids(const struct keypool_config *c, uint32_t *out, struct err *e) must_check;
