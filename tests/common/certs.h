/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests of TLS: federations and their members in a scratch folder. */
#pragma once

#include "common/tls.h"
#include "tests/common/scratch.h"

/* One member's files; strings live as long as it. */
struct member {
    struct tls_files files;
    char certificate[128];
    char key[128];
    char ca[128];
    char site[SITE_NAME_MAX + 1];
    char federation[SITE_NAME_MAX + 1];
};

/* A CA for the federation in folder `ca`. */
void certs_ca(const struct scratch *s, const char *ca, const char *federation);
/* A certificate in folder `<ca>-<role>-<site>`; life in seconds from now. */
void certs_issue(const struct scratch *s, const char *ca, const char *federation, enum role role,
    const char *site, long from_s, long until_s, struct member *out);
/* The same with days of life. */
void certs_member(const struct scratch *s, enum role role, const char *site, struct member *out);
/* Signs the member's certificate anew with other alternative names ("URI:..."; NULL: none). */
void certs_rename(const struct scratch *s, const char *ca, struct member *m, const char *names);
/* Appends to the member's CA file a revocation list of `ca` that names `revoked`. */
void certs_revoke(
    const struct scratch *s, const char *ca, struct member *m, const struct member *revoked);
