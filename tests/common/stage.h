/* SPDX-License-Identifier: Apache-2.0 */
/* Several hosts in one thread, each with a scripted core, for tests of common/host. */
#pragma once

#include "common/host_internal.h"
#include "tests/common/certs.h"

#define STAGE_ACTORS 4

/* A core that tells what it hears and does what the test says. */
struct actor {
    struct host *host;
    struct log *log;
    /* Reacts to an event; NULL: only listens. */
    int (*react)(struct actor *a, const struct event *e, struct update *u);
    uint64_t deadline_ms;
    char story[4096]; /* "opened client alice|16: 5 bytes|closed|" */
    char said[8192];  /* the log, warnings and alarms: "warning ...|" */
    unsigned opened, closed, ticks, jobs;
    size_t frames;
    size_t bytes;
    uint32_t conn; /* opened last */
    uint32_t closed_conn;
    uint64_t checksum;     /* of all bodies, in order */
    struct update pending; /* effects for the next step, see stage_act */
};

struct stage {
    struct scratch scratch;
    struct actor actors[STAGE_ACTORS];
    size_t n;
    struct tls_context *contexts[STAGE_ACTORS * 2];
    size_t n_contexts;
};

/* A scratch folder with a CA for the federation "metro". */
void stage_init(struct stage *s);
void stage_deinit(struct stage *s);
struct actor *stage_enter(
    struct stage *s, int (*react)(struct actor *a, const struct event *e, struct update *u));
/* Frees the actor's host; what it has told stays. */
void stage_leave(struct actor *a);

/* Turns the hosts until `done`; fails the test if that takes a minute. */
void stage_play(struct stage *s, bool (*done)(void *arg), void *arg);
/* Conditions for stage_play over one actor. */
bool has_opened(void *actor);
bool has_closed(void *actor);
bool has_ended(void *actor);
/* Until the actor has this many frames. */
void stage_play_frames(struct stage *s, struct actor *a, size_t frames);

/* A frame whose bytes depend on `seed`; and what it adds to a checksum. */
struct blob *stage_body(size_t len, unsigned seed);
uint64_t stage_checksum(uint64_t sum, const uint8_t *data, size_t len);
/* Carries out a->pending, by an event made up for it. */
void stage_act(struct actor *a);

/* "127.0.0.1:port" of the actor's listener; valid until the next call. */
const char *stage_address(const struct actor *a);
/* TLS contexts that live as long as the stage; certificates are made on the way. */
struct tls_context *stage_tls(struct stage *s, enum role role, const char *site);
