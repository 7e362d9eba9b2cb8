/* SPDX-License-Identifier: Apache-2.0 */
/* qfl-kme: fills the key pool of a site. */
#include "common/disk_posix.h"
#include "common/host.h"
#include "common/util.h"
#include "keypool/kme/config.h"

#include <errno.h>
#include <limits.h>
#include <openssl/rand.h>
#include <sys/random.h>
#include <sysexits.h>

struct daemon {
    const struct kme_daemon_config *config;
    struct log *log;
    struct tls_context *tls;
    struct disk *disk;
    struct kme_network network;
    struct kme *kme;
    struct host *host;
};

static int step(void *core, const struct event *event, struct update *update)
{
    return kme_step(core, event, update);
}

static uint64_t deadline_ms(const void *core)
{
    return kme_deadline_ms(core);
}

static void on_hup(void *arg, struct host *h)
{
    struct daemon *d = arg;
    config_tls_reload(d->tls, d->log);
}

/* OpenSSL's generator, reseeded by the kernel's: amplification rests on it (docs/threat-model.md). */
static int random_bits(void *arg, void *out, size_t len)
{
    return len <= INT_MAX && RAND_bytes(out, (int)len) == 1 ? 0 : -EIO;
}

static int open_tls(struct daemon *d, struct err *e)
{
    const struct kme_daemon_config *c = d->config;
    return config_tls_open(&d->tls, &c->tls, c->federation, ROLE_KME, c->site, d->log, e);
}

static int make_kme(struct daemon *d, struct err *e)
{
    int r = 0;
    uint8_t nonce[KME_NONCE_BYTES];
    if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
        return err_set(e, -EIO, "no random bytes from the system");
    if (kme_config_needs_disk(d->config)) {
        d->disk = disk_posix_new(d->config->state, &r, e);
        if (!d->disk)
            return r;
    }
    r = kme_network_init(&d->network, d->config, d->disk, random_bits, e);
    if (r < 0)
        return r;
    r = kme_network_take(&d->network, d->config->site, nonce, &d->kme);
    return r < 0 ? err_set(e, r, "out of memory") : 0;
}

/* The peers that this site calls, and each simulator once. */
static int dial(struct daemon *d, size_t i, struct err *e)
{
    const struct kme_peer_config *l = (const struct kme_peer_config *)d->config->links.items + i;
    int r = 0;
    if (kme_dials(d->config->site, l->peer))
        r = host_dial_tls(d->host, l->address, ROLE_KME, l->peer, d->tls, e);
    if (r == 0 && kme_config_is_first_of_sim(d->config, i))
        r = host_dial_tls(d->host, l->source.address, ROLE_QKDSIM, l->source.site, d->tls, e);
    return r;
}

static int open_host(struct daemon *d, struct err *e)
{
    const struct kme_daemon_config *c = d->config;
    const struct host_core core = {d->kme, step, deadline_ms};
    d->host = host_new(&core, d->log, e);
    if (!d->host)
        return -ENOMEM;
    int r = host_listen_tls(d->host, c->listen, ROLE_KME, d->tls, e);
    if (r == 0)
        r = host_listen_unix(d->host, c->control, ROLE_CTL, c->site, NULL, 0, e);
    if (r == 0)
        r = host_dial_unix(d->host, c->keypool, ROLE_VAULT, c->site, e);
    for (size_t i = 0; r == 0 && i < c->links.n; i++)
        r = dial(d, i, e);
    return r;
}

static void close_all(struct daemon *d)
{
    host_free(d->host);
    kme_free(d->kme);
    kme_network_deinit(&d->network);
    disk_posix_free(d->disk);
    tls_context_free(d->tls);
}

static int run(const void *config, struct log *log, struct err *e)
{
    struct daemon d = {.config = config, .log = log};
    const struct host_hooks hooks = {.arg = &d, .on_hup = on_hup};
    int r = open_tls(&d, e);
    if (r == 0)
        r = make_kme(&d, e);
    if (r == 0)
        r = open_host(&d, e);
    r = r < 0 ? daemon_exit_status(r) : host_run(d.host, &hooks);
    close_all(&d);
    return r;
}

int main(int argc, char **argv)
{
    const struct daemon_program program = {
        .name = "qfl-kme",
        .summary = "Fills the site's key pool, together with the KMEs of the other sites.",
        .default_config = "/etc/qfl/kme.yaml",
        .fields = kme_fields,
        .config_size = sizeof(struct kme_daemon_config),
        .check = kme_config_check,
        .run = run,
        .log_offset = offsetof(struct kme_daemon_config, log),
    };
    return daemon_main(&program, argc, argv);
}
