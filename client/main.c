/* SPDX-License-Identifier: Apache-2.0 */
/* qfl-client: trains on this site's data and sends nothing but masked updates. */
#include "client/config.h"
#include "client/hook.h"
#include "client/participant.h"
#include "common/seed_file.h"
#include "client/trainers/trainers.h"
#include "common/disk_posix.h"
#include "common/host.h"
#include "common/secret.h"
#include "common/util.h"

#include <errno.h>
#include <sys/random.h>

struct daemon {
    const struct client_config *config;
    struct log *log;
    struct tls_context *tls;
    struct disk *disk;
    struct task *task;
    struct trainer *trainer;
    const char **peers;
    struct participant *participant;
    struct host *host;
    struct hook hook;
};

/* ---- what the host asks for ------------------------------------------------------------------- */

static int step(void *core, const struct event *event, struct update *update)
{
    return participant_step(core, event, update);
}

static uint64_t deadline_ms(const void *core)
{
    return participant_deadline_ms(core);
}

/* The attempt under way may end; then the core asks for the stop. */
static bool on_term(void *arg, struct host *h)
{
    struct daemon *d = arg;
    const struct event tick = {.kind = EVENT_TICK};
    log_write(d->log, NOTE_INFO, "draining");
    participant_drain(d->participant);
    return host_inject(h, &tick) == 0;
}

static void on_hup(void *arg, struct host *h)
{
    struct daemon *d = arg;
    config_tls_reload(d->tls, d->log);
}

/* ---- building --------------------------------------------------------------------------------- */

static int open_tls(struct daemon *d, struct err *e)
{
    const struct client_config *c = d->config;
    return config_tls_open(&d->tls, &c->tls, c->federation, ROLE_CLIENT, c->site, d->log, e);
}

static int open_trainer(struct daemon *d, struct err *e)
{
    int r = client_config_open_task(d->config, &d->task, e);
    if (r < 0)
        return err_wrap(e, r, "task %s", d->config->task.name);
    return trainer_open(&d->trainer, trainer_names[d->config->trainer.name], d->task, e);
}

static void set_hook(struct daemon *d, struct participant_config *config)
{
#ifdef QFL_TEST_HOOKS
    if (!d->config->hook_dir)
        return;
    d->hook = (struct hook){d->config->hook_dir, d->config->site, d->log};
    config->on_quantised = hook_write;
    config->on_quantised_arg = &d->hook;
    log_write(d->log, NOTE_WARNING, "test hook: integers are written to %s", d->hook.dir);
#endif
}

static int open_participant(struct daemon *d, struct err *e)
{
    const struct client_config *c = d->config;
    int r = 0;
    d->peers = client_config_peers(c);
    d->disk = d->peers ? disk_posix_new(c->state, &r, e) : NULL;
    if (!d->disk)
        return d->peers ? r : -ENOMEM;
    struct participant_config config = {
        .federation = c->federation,
        .site = c->site,
        .peers = d->peers,
        .n_peers = c->peers.n,
        .policy = client_config_policy(c),
        .trainer = d->trainer,
    };
    set_hook(d, &config);
    r = seed_file_load(c->seed, true, config.seed, e);
    if (r == 0 && getrandom(config.nonce, sizeof(config.nonce), 0) != sizeof(config.nonce))
        r = err_set(e, -EIO, "no random bytes from the system");
    if (r == 0)
        r = participant_new(&d->participant, &config, d->disk, 0, e);
    secret_wipe(config.seed, sizeof(config.seed));
    return r < 0 ? err_wrap(e, r, "client %s", c->site) : 0;
}

static int open_host(struct daemon *d, struct err *e)
{
    const struct client_config *c = d->config;
    const struct host_core core = {d->participant, step, deadline_ms};
    d->host = host_new(&core, d->log, e);
    if (!d->host)
        return -ENOMEM;
    int r = host_listen_unix(d->host, c->control, ROLE_CTL, c->site, NULL, 0, e);
    if (r == 0)
        r = host_dial_unix(d->host, c->keypool, ROLE_VAULT, c->site, e);
    return r == 0 ? host_dial_tls(d->host, c->server, ROLE_SERVER, NULL, d->tls, e) : r;
}

static void close_all(struct daemon *d)
{
    host_free(d->host);
    participant_free(d->participant);
    if (d->trainer)
        d->trainer->ops->free(d->trainer);
    task_free(d->task);
    free(d->peers);
    disk_posix_free(d->disk);
    tls_context_free(d->tls);
}

static int run(const void *config, struct log *log, struct err *e)
{
    struct daemon d = {.config = config, .log = log};
    const struct host_hooks hooks = {.arg = &d, .on_term = on_term, .on_hup = on_hup};
    int r = open_tls(&d, e);
    r = r == 0 ? open_trainer(&d, e) : r;
    r = r == 0 ? open_participant(&d, e) : r;
    r = r == 0 ? open_host(&d, e) : r;
    r = r < 0 ? daemon_exit_status(r) : host_run(d.host, &hooks);
    close_all(&d);
    return r;
}

int main(int argc, char **argv)
{
    const struct daemon_program program = {
        .name = "qfl-client",
        .summary = "Trains on this site's data and sends nothing but masked updates.",
        .default_config = "/etc/qfl/client.yaml",
        .fields = client_config_fields,
        .config_size = sizeof(struct client_config),
        .check = client_config_check,
        .run = run,
        .log_offset = offsetof(struct client_config, log),
    };
    return daemon_main(&program, argc, argv);
}
