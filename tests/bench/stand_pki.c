/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/stand_pki.h"

#include "common/pki.h"
#include "common/util.h"
#include "tests/bench/stand.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 128

void stand_pki_init(struct stand_pki *s)
{
    struct err e = {""};
    char ca[PATH_BYTES];
    snprintf(s->dir, sizeof(s->dir), "/tmp/qfl-bench.XXXXXX");
    stand_must(mkdtemp(s->dir) != NULL, "directory", NULL);
    snprintf(ca, sizeof(ca), "%s/ca", s->dir);
    stand_must(pki_init(ca, "bench", PKI_P256, 1, &e) == 0, "CA", &e);
}

void stand_pki_issue(const struct stand_pki *s, enum role role, const char *site)
{
    struct err e = {""};
    char ca[PATH_BYTES];
    char out[PATH_BYTES];
    snprintf(ca, sizeof(ca), "%s/ca", s->dir);
    snprintf(out, sizeof(out), "%s/%s", s->dir, site);
    const struct pki_request q = {.role = role, .site = site, .lifetime_s = 3600};
    stand_must(pki_issue(ca, &q, out, &e) == 0, "certificate", &e);
}

struct tls_context *stand_pki_tls(const struct stand_pki *s, enum role role, const char *site)
{
    struct err e = {""};
    struct tls_context *t = NULL;
    char certificate[PATH_BYTES];
    char key[PATH_BYTES];
    char ca[PATH_BYTES];
    snprintf(certificate, sizeof(certificate), "%s/%s/cert.pem", s->dir, site);
    snprintf(key, sizeof(key), "%s/%s/key.pem", s->dir, site);
    snprintf(ca, sizeof(ca), "%s/%s/ca.pem", s->dir, site);
    const struct tls_files files = {.certificate = certificate,
        .key = key,
        .ca = ca,
        .federation = "bench",
        .role = role,
        .site = site};
    stand_must(tls_context_new(&t, &files, &e) == 0, "TLS", &e);
    return t;
}

void stand_pki_deinit(const struct stand_pki *s)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", s->dir, (char *)NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}
