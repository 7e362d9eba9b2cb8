/* SPDX-License-Identifier: Apache-2.0 */
/* qfl-server: the aggregator of a federation. */
#include "common/disk_posix.h"
#include "common/host.h"
#include "common/util.h"
#include "server/config.h"
#include "server/store_sqlite.h"

#include <errno.h>
#include <sys/random.h>

struct daemon {
    const struct server_config *config;
    struct log *log;
    struct tls_context *tls;
    struct disk *disk;
    struct store *store;
    struct server_terms terms;
    struct aggregator *aggregator;
    struct host *host;
};

/* The core is made after its host, whose clock it starts with. */
static int step(void *core, const struct event *event, struct update *update)
{
    return aggregator_step(((struct daemon *)core)->aggregator, event, update);
}

static uint64_t deadline_ms(const void *core)
{
    return aggregator_deadline_ms(((const struct daemon *)core)->aggregator);
}

static bool on_term(void *arg, struct host *h)
{
    struct daemon *d = arg;
    aggregator_drain(d->aggregator);
    return host_inject(h, &(struct event){.kind = EVENT_TICK}) == 0;
}

static void on_hup(void *arg, struct host *h)
{
    struct daemon *d = arg;
    config_tls_reload(d->tls, d->log);
}

static int open_tls(struct daemon *d, struct err *e)
{
    const struct server_config *c = d->config;
    return config_tls_open(&d->tls, &c->tls, c->federation, ROLE_SERVER, c->site, d->log, e);
}

static int open_store(struct daemon *d, struct err *e)
{
    const struct server_config *c = d->config;
    int r = 0;
    d->disk = disk_posix_new_for_backup(c->state, &r, e);
    if (!d->disk)
        return r;
    const struct store_sqlite_config config = {
        .directory = c->state, .federation = c->federation, .keep = (uint32_t)c->keep_checkpoints};
    return store_sqlite_new(&d->store, &config, d->disk, e);
}

static int make_aggregator(struct daemon *d, struct err *e)
{
    int r = server_terms_init(&d->terms, d->config, e);
    if (r < 0)
        return r;
    uint8_t *seed = d->terms.aggregator.seed;
    if (getrandom(seed, sizeof(d->terms.aggregator.seed), 0) < 0)
        return err_set(e, -EIO, "no random bytes from the system");
    return aggregator_new(&d->aggregator, &d->terms.aggregator, d->store, host_now_ms(d->host), e);
}

/* For one client may wait what is sent to all of them, of two rounds: a result of 32-bit words, and the
 * model. It is in memory once. */
static void set_limits(struct daemon *d)
{
    struct host_limits limits = host_limits_default();
    size_t round_bytes = d->terms.params.parameters * (sizeof(uint32_t) + sizeof(double));
    limits.queue_bytes += 2 * round_bytes;
    host_set_limits(d->host, &limits);
}

static int open_ports(struct daemon *d, struct err *e)
{
    const struct server_config *c = d->config;
    set_limits(d);
    int r = host_listen_tls(d->host, c->listen, ROLE_CLIENT, d->tls, e);
    if (r == 0)
        r = host_listen_unix(d->host, c->control, ROLE_CTL, c->site, NULL, 0, e);
    if (r < 0)
        return r;
    /* there may be something to do before anybody connects: a run that has ended, say */
    r = host_inject(d->host, &(struct event){.kind = EVENT_TICK});
    return r < 0 ? err_set(e, r, "the aggregator failed: %s", strerror(-r)) : 0;
}

static int open_all(struct daemon *d, struct err *e)
{
    const struct host_core core = {d, step, deadline_ms};
    int r = open_tls(d, e);
    if (r == 0)
        r = open_store(d, e);
    if (r < 0)
        return r;
    d->host = host_new(&core, d->log, e);
    r = d->host ? make_aggregator(d, e) : -ENOMEM;
    return r == 0 ? open_ports(d, e) : r;
}

static void close_all(struct daemon *d)
{
    host_free(d->host);
    aggregator_free(d->aggregator);
    server_terms_deinit(&d->terms);
    store_sqlite_free(d->store);
    disk_posix_free(d->disk);
    tls_context_free(d->tls);
}

static int run(const void *config, struct log *log, struct err *e)
{
    struct daemon d = {.config = config, .log = log};
    const struct host_hooks hooks = {.arg = &d, .on_term = on_term, .on_hup = on_hup};
    int r = open_all(&d, e);
    r = r < 0 ? daemon_exit_status(r) : host_run(d.host, &hooks);
    close_all(&d);
    return r;
}

int main(int argc, char **argv)
{
    const struct daemon_program program = {
        .name = "qfl-server",
        .summary = "Aggregates masked updates of a federation; sees no key and no single update.",
        .default_config = "/etc/qfl/server.yaml",
        .fields = server_fields,
        .config_size = sizeof(struct server_config),
        .check = server_config_check,
        .run = run,
        .log_offset = offsetof(struct server_config, log),
    };
    return daemon_main(&program, argc, argv);
}
