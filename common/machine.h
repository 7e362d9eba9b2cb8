/* SPDX-License-Identifier: Apache-2.0 */
/* The one shape of every core: a step function from an event to an update.
 *
 *     int x_step(struct x *, const struct event *, struct update *)
 *     uint64_t x_deadline_ms(const struct x *)
 *
 * A core knows no clock, socket, thread or random source: time comes in with each event, and what it
 * wants done goes out in the update, in order. Durable writes go through an injected `struct disk` or
 * `struct store` and are complete when the call returns, so a message put into the update after such
 * a call can never leave before the write is durable. A negative return is fatal to the core: only
 * x_free() is legal then and the update must not be carried out.
 *
 * common/host.h runs a core on libuv; tests/sim runs the same core on a virtual clock and network.
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define NEVER_MS UINT64_MAX

/* Who is at the other end of a connection, as proven by the transport: TLS certificate
 * (URI:qfl://<federation>/<role>/<site>) or AF_UNIX peer credentials. */
enum role {
    ROLE_NONE,
    ROLE_SERVER, /* the aggregator, seen by a client */
    ROLE_CLIENT, /* a client, seen by the aggregator or by its vault */
    ROLE_VAULT,  /* the local key pool */
    ROLE_KME,    /* a key management entity, local or of another site */
    ROLE_QKDSIM, /* the simulator of the quantum layer */
    ROLE_CTL,    /* qflctl on the admin socket */
};
const char *role_name(enum role role);
/* ROLE_NONE for a name that is none. */
enum role role_parse(const char *name);

#define SITE_NAME_MAX 63

/* Lower-case letters, digits and '-', 1 to SITE_NAME_MAX of them. */
bool site_name_is_valid(const char *name);

/* A job: work above about 1 ms, done on a worker thread. Embedded as first member of a job's own
 * struct. `run` touches nothing but the job. */
struct job {
    void (*run)(struct job *job);
    void (*free)(struct job *job);
};

enum event_kind {
    EVENT_TICK,   /* the deadline asked for has come (or any time: never an error) */
    EVENT_OPENED, /* a connection is up and its identity proven */
    EVENT_FRAME,  /* one whole frame of an exchange */
    EVENT_CLOSED, /* a connection is gone; its number is not used again */
    EVENT_JOB,    /* a job has run; the core owns it again */
};

struct event {
    enum event_kind kind;
    uint64_t now_ms; /* monotonic */
    uint32_t conn;   /* OPENED, FRAME, CLOSED: connection number, > 0 */
    union {
        struct {
            enum role role;
            const char *site; /* borrowed */
        } opened;
        struct {
            uint16_t type;
            uint8_t *body; /* borrowed; the core may overwrite it (to wipe key bytes) */
            size_t len;
        } frame;
        struct job *job; /* taken */
    };
};

enum note_level { NOTE_DEBUG, NOTE_INFO, NOTE_WARNING, NOTE_ALARM };

/* One effect. Effects are carried out in the order of the list. */
enum effect_kind {
    EFFECT_SEND,  /* frame {type, body} on conn */
    EFFECT_CLOSE, /* close conn after what was sent; text says why */
    EFFECT_LIMIT, /* frames on conn may from now on be `limit` bytes long */
    EFFECT_JOB,   /* run the job, return it by EVENT_JOB */
    EFFECT_NOTE,  /* one line for the log: never key or plaintext bytes */
    EFFECT_STOP,  /* the daemon shall end; text says why, code is the exit status */
};

struct effect {
    enum effect_kind kind;
    uint32_t conn;
    uint16_t type;
    enum note_level level;
    int code;
    size_t limit;
    struct blob *body; /* owned by the update; secret bodies are wiped by the sender after use */
    bool is_secret;
    struct job *job; /* owned by the update until carried out */
    char *text;      /* owned by the update */
};

struct update {
    struct effect *effects; /* owned */
    size_t n;
    size_t cap;
};

/* Frees every effect not yet carried out; the update is empty afterwards and can be used again. */
void update_deinit(struct update *u);

/* The verbs by which cores fill an update; all return 0 or -ENOMEM. */
int update_send(
    struct update *u, uint32_t conn, uint16_t type, struct blob *body /* taken */) must_check;
/* The body holds key bytes: whoever sends it wipes it. */
int update_send_secret(
    struct update *u, uint32_t conn, uint16_t type, struct blob *body /* taken */) must_check;
int update_close(struct update *u, uint32_t conn, const char *format, ...) must_check
    __attribute__((format(printf, 3, 4)));
int update_limit(struct update *u, uint32_t conn, size_t limit) must_check;
int update_job(struct update *u, struct job *job /* taken, also on error */) must_check;
int update_stop(struct update *u, int code, const char *format, ...) must_check
    __attribute__((format(printf, 3, 4)));
/* A lost note is no reason to fail: out of memory drops it. */
void update_note(struct update *u, enum note_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
