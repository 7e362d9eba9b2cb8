/* SPDX-License-Identifier: Apache-2.0 */
/* Who a certificate says that its holder is: one subjectAltName URI qfl://<federation>/<role>/<site>.
 *
 * Names are lower-case letters, digits and '-', at most SITE_NAME_MAX long, so that an identity has
 * exactly one spelling.
 */
#pragma once

#include "common/machine.h"

struct x509_st; /* OpenSSL's X509 */

struct identity {
    char federation[SITE_NAME_MAX + 1];
    enum role role;
    char site[SITE_NAME_MAX + 1];
};

#define IDENTITY_URI_MAX (sizeof("qfl:///qkdsim/") + 2 * SITE_NAME_MAX)

/* True for a name that may be a site or a federation. */
bool identity_is_name(const char *name);
/* Splits the URI; -EINVAL if it is not exactly that. */
int identity_parse(const char *uri, struct identity *out) must_check;
void identity_format(const struct identity *who, char out[IDENTITY_URI_MAX]);
/* -EINVAL unless the certificate holds exactly one qfl: URI, and that one is well-formed. */
int identity_of_certificate(const struct x509_st *certificate, struct identity *out) must_check;
