/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/common/stage.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PATIENCE_S 60

/* ---- the core ---- */

static void tell(struct actor *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct actor *a, const char *format, ...)
{
    size_t used = strlen(a->story);
    va_list args;
    va_start(args, format);
    vsnprintf(a->story + used, sizeof(a->story) - used, format, args);
    va_end(args);
}

uint64_t stage_checksum(uint64_t sum, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ data[i]) * 0x100000001b3;
    return sum;
}

static void hear(struct actor *a, const struct event *e)
{
    switch (e->kind) {
    case EVENT_TICK:
        a->ticks++;
        break;
    case EVENT_OPENED:
        a->opened++;
        a->conn = e->conn;
        tell(a, "opened %s %s|", role_name(e->opened.role), e->opened.site);
        break;
    case EVENT_FRAME:
        a->frames++;
        a->bytes += e->frame.len;
        a->checksum = stage_checksum(a->checksum, e->frame.body, e->frame.len);
        tell(a, "%u: %zu bytes|", e->frame.type, e->frame.len);
        break;
    case EVENT_CLOSED:
        a->closed++;
        a->closed_conn = e->conn;
        tell(a, "closed|");
        break;
    case EVENT_JOB:
        a->jobs++;
        tell(a, "job|");
        e->job->free(e->job);
        break;
    }
}

static int step(void *core, const struct event *e, struct update *u)
{
    struct actor *a = core;
    hear(a, e);
    if (a->pending.n > 0) {
        *u = a->pending;
        a->pending = (struct update){0};
    }
    return a->react ? a->react(a, e, u) : 0;
}

static uint64_t deadline_ms(const void *core)
{
    return ((const struct actor *)core)->deadline_ms;
}

static void listen_to_log(void *arg, enum note_level level, const char *text)
{
    struct actor *a = arg;
    size_t used = strlen(a->said);
    if (level >= NOTE_WARNING)
        snprintf(a->said + used, sizeof(a->said) - used, "%s %s|", log_level_names[level], text);
}

/* ---- the stage ---- */

void stage_init(struct stage *s)
{
    *s = (struct stage){0};
    scratch_init(&s->scratch);
    certs_ca(&s->scratch, "ca", "metro");
}

void stage_leave(struct actor *a)
{
    host_free(a->host);
    a->host = NULL;
    log_free(a->log);
    a->log = NULL;
    update_deinit(&a->pending);
}

void stage_deinit(struct stage *s)
{
    for (size_t i = 0; i < s->n; i++)
        stage_leave(&s->actors[i]);
    for (size_t i = 0; i < s->n_contexts; i++)
        tls_context_free(s->contexts[i]);
    scratch_deinit(&s->scratch);
}

struct actor *stage_enter(
    struct stage *s, int (*react)(struct actor *a, const struct event *e, struct update *u))
{
    assert_true(s->n < STAGE_ACTORS);
    struct actor *a = &s->actors[s->n++];
    *a = (struct actor){.react = react, .deadline_ms = NEVER_MS};
    a->log = log_new("actor", LOG_TEXT, NOTE_DEBUG);
    assert_non_null(a->log);
    log_set_sink(a->log, listen_to_log, a);
    const struct host_core core = {a, step, deadline_ms};
    struct err e = {""};
    a->host = host_new(&core, a->log, &e);
    assert_non_null(a->host);
    return a;
}

static time_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* Sleeps until one of the loops has something to do. */
static void wait_for_hosts(const struct stage *s)
{
    struct pollfd fds[STAGE_ACTORS];
    nfds_t n = 0;
    int timeout = 50;
    for (size_t i = 0; i < s->n; i++) {
        const struct host *h = s->actors[i].host;
        if (!h)
            continue;
        fds[n++] = (struct pollfd){.fd = uv_backend_fd(&h->loop), .events = POLLIN};
        int wants = uv_backend_timeout(&h->loop);
        if (wants >= 0)
            timeout = MIN(timeout, wants);
    }
    (void)poll(fds, n, timeout);
}

void stage_play(struct stage *s, bool (*done)(void *arg), void *arg)
{
    time_t end = now_s() + PATIENCE_S;
    for (;;) {
        for (size_t i = 0; i < s->n; i++)
            if (s->actors[i].host)
                (void)host_turn(s->actors[i].host);
        if (done(arg))
            return;
        if (now_s() > end) {
            for (size_t i = 0; i < s->n; i++)
                print_message(
                    "actor %zu: %s\n  said: %s\n", i, s->actors[i].story, s->actors[i].said);
            fail_msg("the play does not end");
        }
        wait_for_hosts(s);
    }
}

bool has_opened(void *actor)
{
    const struct actor *a = actor;
    return a->opened > a->closed;
}

bool has_closed(void *actor)
{
    const struct actor *a = actor;
    return a->closed > 0 && a->closed == a->opened;
}

bool has_ended(void *actor)
{
    const struct actor *a = actor;
    return a->host->phase == HOST_ENDED;
}

struct wanted {
    const struct actor *actor;
    size_t frames;
};

static bool has_frames(void *arg)
{
    const struct wanted *w = arg;
    return w->actor->frames >= w->frames;
}

void stage_play_frames(struct stage *s, struct actor *a, size_t frames)
{
    struct wanted wanted = {a, frames};
    stage_play(s, has_frames, &wanted);
}

/* ---- things ---- */

struct blob *stage_body(size_t len, unsigned seed)
{
    struct blob *b = blob_new(len);
    assert_non_null(b);
    uint32_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        b->data[i] = (uint8_t)(x >> 24);
    }
    return b;
}

void stage_act(struct actor *a)
{
    const struct event tick = {.kind = EVENT_TICK};
    assert_int_equal(host_inject(a->host, &tick), 0);
    assert_int_equal(a->pending.n, 0);
}

struct tls_context *stage_tls(struct stage *s, enum role role, const char *site)
{
    struct member m;
    certs_member(&s->scratch, role, site, &m);
    struct err e = {""};
    struct tls_context **context = &s->contexts[s->n_contexts];
    assert_true(s->n_contexts < ARRAY_SIZE(s->contexts));
    int r = tls_context_new(context, &m.files, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(r, 0);
    s->n_contexts++;
    return *context;
}

const char *stage_address(const struct actor *a)
{
    static char address[40];
    snprintf(address, sizeof(address), "127.0.0.1:%u", host_port(a->host));
    return address;
}
