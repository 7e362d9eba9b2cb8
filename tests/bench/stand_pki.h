/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for benchmarks with real TLS on loopback, in a folder that goes with them. */
#pragma once

#include "common/machine.h"
#include "common/tls.h"

struct stand_pki {
    char dir[32]; /* DIR/SITE/{cert,key,ca}.pem */
};

/* A new folder with a CA. */
void stand_pki_init(struct stand_pki *s);
void stand_pki_issue(const struct stand_pki *s, enum role role, const char *site);
struct tls_context *stand_pki_tls(const struct stand_pki *s, enum role role, const char *site);
void stand_pki_deinit(const struct stand_pki *s);
