/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: steps of the core, their effects, signals, the end. */
#include "common/host.h"

#include "common/host_internal.h"
#include "common/util.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

struct host_limits host_limits_default(void)
{
    return (struct host_limits){
        .handshake_ms = 5000,
        .linger_ms = 3000,
        .drain_ms = 3000,
        .redial_min_ms = 100,
        .redial_max_ms = 5000,
        .silent_ms = 10000,
        .queue_bytes = HOST_QUEUE_MAX,
        .connections = 1024,
        .handshakes = 256,
    };
}

void host_set_limits(struct host *h, const struct host_limits *limits)
{
    h->limits = *limits;
}

uint64_t host_now_ms(const struct host *h)
{
    return uv_now(&h->loop);
}

/* ---- effects ---- */

static void act_send(struct host *h, struct effect *e)
{
    struct conn *c = conn_find(h, e->conn);
    if (c)
        conn_send(c, e->type, steal(&e->body), e->is_secret);
}

static void act_close(struct host *h, const struct effect *e)
{
    struct conn *c = conn_find(h, e->conn);
    if (c)
        conn_close(c, NOTE_WARNING, e->text);
}

static void act_limit(struct host *h, const struct effect *e)
{
    struct conn *c = conn_find(h, e->conn);
    if (c)
        frame_decoder_limit(&c->decoder, MIN(e->limit, FRAME_BODY_MAX));
}

static void act_stop(struct host *h, const struct effect *e)
{
    log_write(h->log, e->code == EX_OK ? NOTE_INFO : NOTE_ALARM, "ends: %s", e->text);
    host_stop(h, e->code);
}

/* A connection that is gone meanwhile is no error: the core will hear of it. */
static void act(struct host *h, struct effect *e)
{
    switch (e->kind) {
    case EFFECT_SEND:
        act_send(h, e);
        break;
    case EFFECT_CLOSE:
        act_close(h, e);
        break;
    case EFFECT_LIMIT:
        act_limit(h, e);
        break;
    case EFFECT_JOB:
        host_run_job(h, steal(&e->job));
        break;
    case EFFECT_NOTE:
        log_write(h->log, e->level, "%s", e->text);
        break;
    case EFFECT_STOP:
        act_stop(h, e);
        break;
    }
}

void host_fail(struct host *h, int r)
{
    log_write(h->log, NOTE_ALARM, "ends: the core failed: %s", strerror(-r));
    host_stop(h, r == -EBADMSG ? EX_DATAERR : EX_OSERR);
}

/* An event that comes too late. */
static int refuse_event(struct event *event)
{
    if (event->kind == EVENT_JOB)
        event->job->free(event->job);
    return 0;
}

int host_feed(struct host *h, struct event *event)
{
    if (h->phase != HOST_RUNNING)
        return refuse_event(event);
    assert(!h->is_stepping);
    h->is_stepping = true;
    event->now_ms = host_now_ms(h);
    struct update update = {0};
    int r = h->core.step(h->core.core, event, &update);
    if (r < 0)
        host_fail(h, r);
    for (size_t i = 0; i < update.n && r >= 0; i++)
        act(h, &update.effects[i]);
    update_deinit(&update);
    h->is_stepping = false;
    return MIN(r, 0);
}

int host_inject(struct host *h, const struct event *event)
{
    struct event copy = *event;
    return host_feed(h, &copy);
}

/* ---- the turn of the loop ---- */

static void on_deadline(uv_timer_t *timer)
{
    struct event tick = {.kind = EVENT_TICK};
    (void)host_feed(timer->data, &tick);
}

static void arm_deadline(struct host *h)
{
    uint64_t deadline = h->phase == HOST_RUNNING ? h->core.deadline_ms(h->core.core) : NEVER_MS;
    uint64_t now = host_now_ms(h);
    if (deadline == NEVER_MS)
        uv_timer_stop(&h->deadline);
    else /* not at once: a core that asks for the past must not keep the loop from its sockets */
        uv_timer_start(&h->deadline, on_deadline, deadline > now ? deadline - now : 1, 0);
}

static void on_turn(uv_prepare_t *prepare)
{
    struct host *h = prepare->data;
    struct conn *c;
    while ((c = TAILQ_FIRST(&h->agenda)) != NULL) {
        TAILQ_REMOVE(&h->agenda, c, due);
        c->is_due = false;
        conn_attend(c);
    }
    arm_deadline(h);
    if (h->reserve_fd < 0)
        h->reserve_fd = host_reserve_fd();
    bool is_done = LIST_EMPTY(&h->conns) && (h->jobs == 0 || h->is_grace_over);
    if (h->phase == HOST_STOPPING && is_done) {
        h->phase = HOST_ENDED;
        uv_stop(&h->loop);
    }
}

static void drop_all(struct host *h)
{
    struct conn *c;
    struct conn *next;
    for (c = LIST_FIRST(&h->conns); c; c = next) {
        next = LIST_NEXT(c, all);
        conn_drop(c, NOTE_DEBUG, "this end stops");
    }
}

static void on_grace_over(uv_timer_t *timer)
{
    struct host *h = timer->data;
    h->is_grace_over = true;
    drop_all(h);
}

static void close_ports(struct host *h)
{
    while (!SLIST_EMPTY(&h->listeners)) {
        struct listener *l = SLIST_FIRST(&h->listeners);
        SLIST_REMOVE_HEAD(&h->listeners, next);
        listener_close(l);
    }
    while (!SLIST_EMPTY(&h->dialers)) {
        struct dialer *d = SLIST_FIRST(&h->dialers);
        SLIST_REMOVE_HEAD(&h->dialers, next);
        dialer_close(d);
    }
}

void host_stop(struct host *h, int status)
{
    if (h->phase != HOST_RUNNING)
        return;
    h->phase = HOST_STOPPING;
    h->status = status;
    close_ports(h);
    struct conn *c;
    LIST_FOREACH(c, &h->conns, all)
    {
        if (c->state == CONN_OPEN)
            conn_close(c, NOTE_DEBUG, "this end stops");
        else if (c->state != CONN_CLOSING)
            conn_drop(c, NOTE_DEBUG, "this end stops");
    }
    uv_timer_start(&h->grace, on_grace_over, h->limits.drain_ms, 0);
}

/* ---- signals and running ---- */

/* The second signal: nobody wants to wait, not even for a job. */
static void end_at_once(struct host *h)
{
    log_write(h->log, NOTE_WARNING, "ends at once: told a second time");
    host_stop(h, EX_OK);
    h->is_grace_over = true;
    drop_all(h);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct host *h = handle->data;
    const struct host_hooks *hooks = h->hooks;
    if (number == SIGHUP) {
        if (hooks && hooks->on_hup)
            hooks->on_hup(hooks->arg, h);
        return;
    }
    if (h->was_told) {
        end_at_once(h);
        return;
    }
    h->was_told = true;
    log_write(h->log, NOTE_INFO, "told to end by signal %d", number);
    if (!hooks || !hooks->on_term || !hooks->on_term(hooks->arg, h))
        host_stop(h, EX_OK);
}

/* A thread cannot be ended from outside. What had to be durable is; sockets are removed and locks go
 * with the process. */
static void leave_jobs_behind(struct host *h)
{
    log_write(h->log, NOTE_WARNING, "ends without waiting for %u jobs", h->jobs);
    _exit(h->status);
}

int host_run(struct host *h, const struct host_hooks *hooks)
{
    static const int numbers[HOST_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    h->hooks = hooks;
    for (size_t i = 0; i < HOST_SIGNALS; i++)
        uv_signal_start(&h->signals[i], on_signal, numbers[i]);
    while (h->phase != HOST_ENDED)
        uv_run(&h->loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < HOST_SIGNALS; i++)
        uv_signal_stop(&h->signals[i]);
    if (h->jobs > 0)
        leave_jobs_behind(h);
    return h->status;
}

bool host_turn(struct host *h)
{
    uv_run(&h->loop, UV_RUN_NOWAIT);
    return h->phase != HOST_ENDED;
}

/* ---- from the beginning to the end ---- */

static bool init_loop(struct host *h)
{
    if (uv_loop_init(&h->loop) < 0)
        return false;
    uv_prepare_init(&h->loop, &h->turn);
    uv_timer_init(&h->loop, &h->deadline);
    uv_timer_init(&h->loop, &h->grace);
    h->turn.data = h->deadline.data = h->grace.data = h;
    for (size_t i = 0; i < HOST_SIGNALS; i++) {
        uv_signal_init(&h->loop, &h->signals[i]);
        h->signals[i].data = h;
    }
    uv_prepare_start(&h->turn, on_turn);
    return true;
}

int host_reserve_fd(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool init(struct host *h)
{
    h->reserve_fd = host_reserve_fd();
    h->read_buffer = malloc(HOST_READ_BYTES);
    h->plain = malloc(TLS_RECORD_MAX);
    return h->reserve_fd >= 0 && h->read_buffer && h->plain && init_loop(h);
}

static void release(struct host *h)
{
    if (h->reserve_fd >= 0)
        close(h->reserve_fd);
    free(h->read_buffer);
    free(h->plain);
    free(h);
}

struct host *host_new(const struct host_core *core, struct log *log, struct err *e)
{
    struct host *h = calloc(1, sizeof(*h));
    if (!h || !init(h)) {
        err_set(e, -ENOMEM, "no memory or no descriptors for the event loop");
        if (h)
            release(h);
        return NULL;
    }
    h->core = *core;
    h->log = log;
    h->limits = host_limits_default();
    TAILQ_INIT(&h->agenda);
    return h;
}

static void close_handles(struct host *h)
{
    uv_close((uv_handle_t *)&h->turn, NULL);
    uv_close((uv_handle_t *)&h->deadline, NULL);
    uv_close((uv_handle_t *)&h->grace, NULL);
    for (size_t i = 0; i < HOST_SIGNALS; i++)
        uv_close((uv_handle_t *)&h->signals[i], NULL);
}

void host_free(struct host *h)
{
    if (!h)
        return;
    h->phase = HOST_ENDED; /* no more steps */
    close_ports(h);
    drop_all(h);
    while (!TAILQ_EMPTY(&h->agenda)) {
        struct conn *c = TAILQ_FIRST(&h->agenda);
        TAILQ_REMOVE(&h->agenda, c, due);
        c->is_due = false;
        conn_attend(c);
    }
    host_cancel_jobs(h);
    close_handles(h);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    int r = uv_loop_close(&h->loop);
    assert(r == 0);
    (void)r;
    release(h);
}
