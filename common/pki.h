/* SPDX-License-Identifier: Apache-2.0 */
/* The federation's own certification authority: who may speak as which role of which site.
 *
 * A certificate names its holder in one subjectAltName URI, qfl://<federation>/<role>/<site>
 * (common/tls.h checks it). Keys are EC P-256 or Ed25519 and written with mode 0600; nothing is
 * overwritten unless told to. Used by qflctl and by tests, never by a daemon.
 */
#pragma once

#include "common/machine.h"

#include <time.h>

#define PKI_CA_CERTIFICATE "ca.pem"
#define PKI_CA_KEY         "ca-key.pem"
#define PKI_CERTIFICATE    "cert.pem"
#define PKI_KEY            "key.pem"

enum pki_algorithm { PKI_P256, PKI_ED25519 };

/* Makes <dir>/ca.pem and <dir>/ca-key.pem; the directory is created with mode 0700. -EEXIST with a
 * sentence if there is one already. */
int pki_init(const char *dir, const char *federation, enum pki_algorithm algorithm, unsigned days,
    struct err *e) must_check;

struct pki_request {
    enum role role;
    const char *site;
    enum pki_algorithm algorithm;
    long not_before_s; /* seconds from now, usually 0 (an hour of slack is added) */
    long lifetime_s;   /* seconds from now until it expires; negative: expired already, for tests */
    bool force;        /* replace the files that are there */
};

/* Makes <out>/cert.pem, <out>/key.pem and a copy of the CA's certificate, <out>/ca.pem. */
int pki_issue(const char *ca_dir, const struct pki_request *request, const char *out,
    struct err *e) must_check;

/* A new key and certificate for the identity of <dir>/cert.pem, in its place. */
int pki_renew(const char *ca_dir, const char *dir, long lifetime_s, struct err *e) must_check;

struct pki_identity {
    char federation[SITE_NAME_MAX + 1];
    enum role role;
    char site[SITE_NAME_MAX + 1];
    time_t expires;
};

/* Who a PEM certificate says that its holder is. */
int pki_read(const char *certificate, struct pki_identity *out, struct err *e) must_check;
