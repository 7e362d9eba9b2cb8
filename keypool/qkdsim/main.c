/* SPDX-License-Identifier: Apache-2.0 */
/* qfl-qkdsim: the quantum layer, simulated. */
#include "common/host.h"
#include "common/secret.h"
#include "common/util.h"
#include "keypool/qkdsim/seed.h"

#include <errno.h>
#include <sysexits.h>

struct daemon {
    const struct qkdsim_config *config;
    struct log *log;
    struct tls_context *tls;
    struct qkdsim_network network;
    struct simulator *simulator;
    struct host *host;
};

static int step(void *core, const struct event *event, struct update *update)
{
    return simulator_step(core, event, update);
}

static uint64_t deadline_ms(const void *core)
{
    return simulator_deadline_ms(core);
}

static void on_hup(void *arg, struct host *h)
{
    struct daemon *d = arg;
    config_tls_reload(d->tls, d->log);
}

static int open_tls(struct daemon *d, struct err *e)
{
    const struct qkdsim_config *c = d->config;
    return config_tls_open(&d->tls, &c->tls, c->federation, ROLE_QKDSIM, c->site, d->log, e);
}

static int make_simulator(struct daemon *d, struct err *e)
{
    const struct simulator_config config = qkdsim_simulator_config(d->config);
    uint8_t seed[RNG_SEED_BYTES];
    int r = qkdsim_network_init(&d->network, d->config, e);
    if (r == 0)
        r = qkdsim_seed(d->config, seed, e);
    if (r < 0)
        return r;
    struct sim_level *level = simulator_level_new(&config, seed);
    secret_wipe(seed, sizeof(seed));
    if (level)
        d->simulator = simulator_new(&config, steal(&d->network.topology), level);
    return d->simulator ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int open_host(struct daemon *d, struct err *e)
{
    const struct host_core core = {d->simulator, step, deadline_ms};
    d->host = host_new(&core, d->log, e);
    if (!d->host)
        return -ENOMEM;
    int r = host_listen_tls(d->host, d->config->listen, ROLE_KME, d->tls, e);
    if (r == 0)
        r = host_listen_unix(d->host, d->config->control, ROLE_CTL, d->config->site, NULL, 0, e);
    return r;
}

static void close_all(struct daemon *d)
{
    host_free(d->host);
    simulator_free(d->simulator);
    qkdsim_network_deinit(&d->network);
    tls_context_free(d->tls);
}

static int run(const void *config, struct log *log, struct err *e)
{
    struct daemon d = {.config = config, .log = log};
    const struct host_hooks hooks = {.arg = &d, .on_hup = on_hup};
    int r = open_tls(&d, e);
    if (r == 0)
        r = make_simulator(&d, e);
    if (r == 0)
        r = open_host(&d, e);
    if (r < 0)
        r = daemon_exit_status(r);
    else {
        log_write(log, NOTE_INFO, "all key from here is SIMULATED: no secret in it");
        r = host_run(d.host, &hooks);
    }
    close_all(&d);
    return r;
}

int main(int argc, char **argv)
{
    const struct daemon_program program = {
        .name = "qfl-qkdsim",
        .summary = "Simulates the quantum layer between the sites: key for demonstrations only.",
        .default_config = "/etc/qfl/qkdsim.yaml",
        .fields = qkdsim_fields,
        .config_size = sizeof(struct qkdsim_config),
        .check = qkdsim_check,
        .run = run,
        .log_offset = offsetof(struct qkdsim_config, log),
    };
    return daemon_main(&program, argc, argv);
}
