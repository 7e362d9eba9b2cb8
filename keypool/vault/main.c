/* SPDX-License-Identifier: Apache-2.0 */
/* qfl-keypool: the key store of a site. Opens no network socket. */
#include "common/disk_posix.h"
#include "common/host.h"
#include "common/secret.h"
#include "common/seed_file.h"
#include "common/sha256.h"
#include "common/util.h"
#include "keypool/vault/config.h"
#include "keypool/vault/import.h"
#include "keypool/vault/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

struct daemon {
    const struct keypool_config *config;
    struct log *log;
    struct importer importer;
    struct witness witness;
    struct disk *disk;
    struct vault *vault;
    struct host *host;
};

/* The witness knows of every record before anybody hears of it. */
static int step(void *core, const struct event *event, struct update *update)
{
    struct daemon *d = core;
    int r = vault_step(d->vault, event, update);
    return r < 0 ? r : witness_write(&d->witness, vault_epoch(d->vault));
}

static uint64_t deadline_ms(const void *core)
{
    return vault_deadline_ms(((const struct daemon *)core)->vault);
}

static void on_hup(void *arg, struct host *h)
{
    struct daemon *d = arg;
    struct err e = {{0}};
    const struct event tick = {.kind = EVENT_TICK, .now_ms = host_now_ms(h)};
    if (importer_run(&d->importer, d->vault, NULL, &e) == 0)
        log_write(d->log, NOTE_INFO, "pairings read again");
    /* A step writes the witness, and tells the peers of new pairs. */
    if (host_inject(h, &tick) < 0)
        log_write(d->log, NOTE_ALARM, "the key pool has failed");
}

/* Hash of the machine's id; a machine without one is a machine of its own kind. */
static void hash_machine(uint8_t out[SHA256_BYTES])
{
    uint8_t id[64] = {0};
    int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, id, sizeof(id)) : 0;
    if (fd >= 0)
        close(fd);
    sha256(out, id, n > 0 ? (size_t)n : 0);
}

static int open_vault(struct daemon *d, struct err *e)
{
    const struct keypool_config *c = d->config;
    struct vault_config config = {
        .site = c->site,
        .epoch = d->witness.epoch,
        .capacity_bytes = c->capacity_mbit * 1000000 / 8,
        .allow_simulated = c->allow_simulated_keys,
        .block_timeout_ms = c->block_timeout_s * 1000,
        .adopt = witness_take_adoption(c->witness),
        .import = importer_run,
        .import_arg = &d->importer,
    };
    hash_machine(config.machine);
    int r = seed_file_load(c->kek, c->create_kek, config.kek, e);
    if (r < 0)
        return err_wrap(e, r, "kek");
    if (getrandom(config.entropy, sizeof(config.entropy), 0) != sizeof(config.entropy))
        r = err_set(e, -EIO, "no random bytes from the system");
    if (r == 0)
        r = vault_new(&d->vault, &config, d->disk, 0, e);
    secret_wipe(config.kek, sizeof(config.kek));
    secret_wipe(config.entropy, sizeof(config.entropy));
    return r;
}

static int import_pairings(struct daemon *d, struct err *e)
{
    /* A file that cannot be taken is in the log; the others' key is there all the same. */
    if (importer_run(&d->importer, d->vault, NULL, e) < 0)
        log_write(d->log, NOTE_WARNING, "go on without the pairings that were not taken");
    err_set(e, 0, "%s", "");
    int r = witness_write(&d->witness, vault_epoch(d->vault));
    return r == 0 ? witness_sync(&d->witness) : r;
}

static int open_sockets(struct daemon *d, struct err *e)
{
    const struct keypool_config *c = d->config;
    const struct host_core core = {d, step, deadline_ms};
    auto_free uint32_t *uids = calloc(c->uids.n + 1, sizeof(*uids));
    d->host = uids ? host_new(&core, d->log, e) : NULL;
    if (!d->host)
        return -ENOMEM;
    int r = keypool_config_uids(c, uids, e);
    if (r == 0)
        r = host_listen_unix(d->host, c->socket, ROLE_CLIENT, c->site, uids, c->uids.n, e);
    if (r == 0)
        r = host_listen_unix(d->host, c->kme_socket, ROLE_KME, c->site, uids, c->uids.n, e);
    return r == 0 ? host_listen_unix(d->host, c->control, ROLE_CTL, c->site, NULL, 0, e) : r;
}

static void close_all(struct daemon *d)
{
    host_free(d->host);
    vault_free(d->vault);
    disk_posix_free(d->disk);
    witness_close(&d->witness);
}

static int open_all(struct daemon *d, struct err *e)
{
    int r = 0;
    d->disk = disk_posix_new(d->config->state, &r, e);
    if (!d->disk)
        return r;
    r = witness_open(&d->witness, d->config->witness, e);
    r = r == 0 ? open_vault(d, e) : r;
    r = r == 0 ? import_pairings(d, e) : r;
    return r == 0 ? open_sockets(d, e) : r;
}

static int run(const void *config, struct log *log, struct err *e)
{
    const struct keypool_config *c = config;
    struct daemon d = {.config = c,
        .log = log,
        .importer = {.site = c->site, .folder = c->pairings, .log = log},
        .witness = {.fd = -1}};
    const struct host_hooks hooks = {.arg = &d, .on_hup = on_hup};
    int r = open_all(&d, e);
    if (r == 0)
        r = host_run(d.host, &hooks);
    else
        r = r > 0 ? EX_DATAERR : daemon_exit_status(r);
    close_all(&d);
    return r;
}

int main(int argc, char **argv)
{
    const struct daemon_program program = {
        .name = "qfl-keypool",
        .summary = "Keeps the keys of a site: every byte is used once or destroyed.\n\n"
                   "Ends with status 65 when its folder is older than the witness file or was made "
                   "on another\n"
                   "machine, as a restored backup or a clone is. If no copy of it is in use: "
                   "`qflctl keys adopt`\n"
                   "and start again; what cannot be proved fresh is burnt.",
        .default_config = "/etc/qfl/keypool.yaml",
        .fields = keypool_fields,
        .config_size = sizeof(struct keypool_config),
        .check = keypool_config_check,
        .run = run,
        .log_offset = offsetof(struct keypool_config, log),
    };
    return daemon_main(&program, argc, argv);
}
