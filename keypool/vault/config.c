/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/config.h"

#include "common/identity.h"
#include "common/util.h"

#include <errno.h>

#define FIELD(name) .key = #name, .offset = offsetof(struct keypool_config, name)

const struct config_field keypool_fields[] = {
    {FIELD(site), .type = CONFIG_STRING, .help = "own site", .required = true},
    {FIELD(state), .type = CONFIG_PATH, .help = "folder of the sealed key; never in a backup",
        .fallback = "/var/lib/qfl/keypool"},
    {FIELD(kek), .type = CONFIG_PATH,
        .help = "file with the 32 bytes of the key-encryption key, mode 0600",
        .fallback = "/etc/qfl/kek"},
    {FIELD(create_kek), .type = CONFIG_BOOL, .help = "makes that file if it is not there",
        .fallback = "false"},
    {FIELD(witness), .type = CONFIG_PATH,
        .help = "file outside the state folder that tells a restored or cloned folder",
        .fallback = "/var/lib/qfl/witness"},
    {FIELD(socket), .type = CONFIG_PATH, .help = "for the site's qfl-client",
        .fallback = "/run/qfl/keypool.sock"},
    {FIELD(kme_socket), .type = CONFIG_PATH, .help = "for the site's qfl-kme",
        .fallback = "/run/qfl/keypool-kme.sock"},
    {FIELD(control), .type = CONFIG_PATH, .help = "for qflctl",
        .fallback = "/run/qfl/keypool-ctl.sock"},
    {FIELD(pairings), .type = CONFIG_PATH,
        .help = "folder of *.pair files, imported at the start and on SIGHUP, then erased",
        .fallback = "/etc/qfl/pairings"},
    {FIELD(capacity_mbit), .type = CONFIG_U64, .help = "key that a pair may hold",
        .fallback = "1000", .min = 1, .max = 1000000},
    {FIELD(allow_simulated_keys), .type = CONFIG_BOOL,
        .help = "takes keys that are labelled SIMULATED; never with real devices",
        .fallback = "false"},
    {FIELD(uids), .type = CONFIG_LIST,
        .help = "user ids, besides the own one and root, that may connect"},
    {FIELD(block_timeout_s), .type = CONFIG_U64,
        .help = "a block that only one end holds is void after this", .fallback = "60", .min = 1,
        .max = 86400},
    {.key = "log",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct keypool_config, log),
        .help = "what is written to stderr",
        .fields = daemon_log_fields},
    {0},
};

int keypool_config_uids(const struct keypool_config *c, uint32_t *out, struct err *e)
{
    char **texts = c->uids.items;
    for (size_t i = 0; i < c->uids.n; i++) {
        char *end;
        errno = 0;
        unsigned long uid = strtoul(texts[i], &end, 10);
        if (errno != 0 || *texts[i] < '0' || *texts[i] > '9' || *end != '\0' || uid > UINT32_MAX)
            return err_set(e, -EINVAL, "uids: \"%s\" is no user id", texts[i]);
        out[i] = (uint32_t)uid;
    }
    return 0;
}

/* True if `path` lies in the folder. */
static bool is_inside(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/')
        len--;
    return strncmp(path, folder, len) == 0 && path[len] == '/';
}

int keypool_config_check(const void *config, const char *path, struct err *e)
{
    const struct keypool_config *c = config;
    if (!identity_is_name(c->site))
        return err_set(e, -EINVAL,
            "%s: site: \"%s\" is no name: lower-case letters, digits and '-'", path, c->site);
    if (is_inside(c->witness, c->state))
        return err_set(e, -EINVAL,
            "%s: witness: %s lies in the state folder, with which it would be restored", path,
            c->witness);
    if (is_inside(c->kek, c->state))
        return err_set(e, -EINVAL, "%s: kek: %s lies beside what it protects", path, c->kek);
    auto_free uint32_t *uids = calloc(c->uids.n + 1, sizeof(*uids));
    int r = uids ? keypool_config_uids(c, uids, e) : -ENOMEM;
    return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}
