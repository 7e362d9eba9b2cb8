/* SPDX-License-Identifier: Apache-2.0 */
/* pki init | issue | renew: the federation's certification authority. */
#include "deploy/ctl/options.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/verb.h"

#include "common/pki.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#define PKI_LEAF_DAYS "30"
#define PKI_CA_DAYS   "3650"

static int exit_status(int r)
{
    switch (r) {
    case 0:
        return EX_OK;
    case -EINVAL:
        return EX_DATAERR;
    case -ENOENT:
        return EX_NOINPUT;
    default:
        return EX_CANTCREAT;
    }
}

static int parse_algorithm(const char *name, enum pki_algorithm *out, struct err *e)
{
    if (strcmp(name, "p256") == 0)
        *out = PKI_P256;
    else if (strcmp(name, "ed25519") == 0)
        *out = PKI_ED25519;
    else
        return err_set(e, EX_USAGE, "--algorithm takes p256 or ed25519, not \"%s\"", name);
    return 0;
}

static void say_identity(bool json, const struct pki_identity *who, const char *out)
{
    if (json) {
        json_t *v = json_pack("{s:s, s:s, s:s, s:s, s:I}", "federation", who->federation, "role",
            role_name(who->role), "site", who->site, "directory", out, "expires",
            (json_int_t)who->expires);
        reach_print(v);
        json_decref(v);
        return;
    }
    char when[32] = "";
    struct tm tm;
    if (gmtime_r(&who->expires, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
    printf("%s: %s of %s, federation %s, until %s\n", out, role_name(who->role), who->site,
        who->federation, when);
}

static int init(int argc, char **argv, struct err *e)
{
    const char *dir = NULL;
    const char *federation = NULL;
    const char *algorithm = "p256";
    const char *days = PKI_CA_DAYS;
    bool json = false;
    const struct option_spec specs[] = {{.name = "dir", .value = &dir},
        {.name = "federation", .value = &federation}, {.name = "algorithm", .value = &algorithm},
        {.name = "days", .value = &days}, {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    long long n_days;
    enum pki_algorithm chosen;
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r == 0)
        r = options_number("days", days, 1, 36500, &n_days, e);
    if (r == 0)
        r = parse_algorithm(algorithm, &chosen, e);
    if (r != 0)
        return r;
    if (!dir || !federation)
        return err_set(e, EX_USAGE, "pki init needs --dir and --federation");
    r = pki_init(dir, federation, chosen, (unsigned)n_days, e);
    if (r < 0)
        return exit_status(r);
    const json_t *made = json_pack("{s:s, s:s}", "federation", federation, "directory", dir);
    if (json)
        reach_print(made);
    else
        printf("%s: certification authority of federation %s; keep " PKI_CA_KEY " off line\n", dir,
            federation);
    json_decref((json_t *)made);
    return EX_OK;
}

static int read_and_say(const char *dir, bool json, struct err *e)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, PKI_CERTIFICATE);
    struct pki_identity who;
    int r = pki_read(path, &who, e);
    if (r == 0)
        say_identity(json, &who, dir);
    return exit_status(r);
}

static int issue(int argc, char **argv, struct err *e)
{
    const char *ca = NULL;
    const char *role = NULL;
    const char *site = NULL;
    const char *out = NULL;
    const char *algorithm = "p256";
    const char *days = PKI_LEAF_DAYS;
    bool json = false;
    bool force = false;
    const struct option_spec specs[] = {{.name = "ca", .value = &ca},
        {.name = "role", .value = &role}, {.name = "site", .value = &site},
        {.name = "out", .value = &out}, {.name = "algorithm", .value = &algorithm},
        {.name = "days", .value = &days}, {.name = "force", .is_flag = true, .flag = &force},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    long long n_days;
    struct pki_request q = {0};
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r == 0)
        r = options_number("days", days, 1, 3650, &n_days, e);
    if (r == 0)
        r = parse_algorithm(algorithm, &q.algorithm, e);
    if (r != 0)
        return r;
    if (!ca || !role || !site || !out)
        return err_set(e, EX_USAGE, "pki issue needs --ca, --role, --site and --out");
    q.role = role_parse(role);
    if (q.role != ROLE_SERVER && q.role != ROLE_CLIENT && q.role != ROLE_KME &&
        q.role != ROLE_QKDSIM)
        return err_set(e, EX_USAGE, "--role takes server, client, kme or qkdsim, not \"%s\"", role);
    q.site = site;
    q.lifetime_s = (long)n_days * 86400;
    q.force = force;
    r = pki_issue(ca, &q, out, e);
    return r < 0 ? exit_status(r) : read_and_say(out, json, e);
}

static int renew(int argc, char **argv, struct err *e)
{
    const char *ca = NULL;
    const char *dir = NULL;
    const char *days = PKI_LEAF_DAYS;
    bool json = false;
    const struct option_spec specs[] = {{.name = "ca", .value = &ca},
        {.name = "dir", .value = &dir}, {.name = "days", .value = &days},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    long long n_days;
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r == 0)
        r = options_number("days", days, 1, 3650, &n_days, e);
    if (r != 0)
        return r;
    if (!ca || !dir)
        return err_set(e, EX_USAGE, "pki renew needs --ca and --dir (where cert.pem lies)");
    r = pki_renew(ca, dir, (long)n_days * 86400, e);
    return r < 0 ? exit_status(r) : read_and_say(dir, json, e);
}

const struct verb verbs_pki[] = {
    {"pki init", "--dir DIR --federation NAME [--algorithm p256|ed25519] [--days N] [--json]",
        "makes a certification authority", init},
    {"pki issue",
        "--ca DIR --role server|client|kme|qkdsim --site NAME --out DIR [--algorithm ...] "
        "[--days 30] [--force] [--json]",
        "a key and a certificate for one role of one site", issue},
    {"pki renew", "--ca DIR --dir DIR [--days 30] [--json]",
        "a new key and certificate for the same identity", renew},
    {0},
};
