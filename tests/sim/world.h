/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated world: a virtual clock, one queue of things to come, nodes that step.
 *
 * A node is one process: an unmodified core behind `struct node_ops`, with whatever storage it has.
 * Another kind of node (a lying server, a client that colludes) is another set of node_ops. The world
 * boots nodes, feeds them events, carries out their effects, kills and restarts them as the weather
 * says, and folds everything that happens into a hash: the same seed gives the same hash. It stops at
 * the first violation. tests/sim/net.h has the connections.
 *
 * Out of memory aborts, in all of tests/sim.
 */
#pragma once

#include "common/machine.h"
#include "tests/sim/rnd.h"
#include "tests/sim/weather.h"

#include <stdio.h>

struct world;
struct node;
struct net;
struct exchange;

/* How a process ends. */
enum death {
    DEATH_KILLED, /* the kernel keeps its writes */
    DEATH_POWER,  /* unsynced writes are lost, kept or torn */
};

struct node_ops {
    /* Builds the core from what is durable. < 0: no core was built. That is a violation unless the
     * power went meanwhile (is_cut). */
    int (*boot)(struct node *n);
    /* Frees the core; its storage goes through that death. */
    void (*halt)(struct node *n, enum death death);
    int (*step)(struct node *n, const struct event *event, struct update *u);
    uint64_t (*deadline_ms)(const struct node *n);
    void (*free)(struct node *n); /* the node itself and its storage; the core is halted */
    /* The rest may be NULL for a node without storage. */
    void (*cut_at)(struct node *n, uint64_t operations); /* power cut at that durable write */
    void (*fail_at)(struct node *n, uint64_t operations, int error);
    bool (*is_cut)(const struct node *n);     /* that has happened */
    bool (*has_failed)(const struct node *n); /* an injected error was returned to the core */
};

/* First member of every kind of node. */
struct node {
    const struct node_ops *ops;
    struct world *world;
    char name[40];
    const char *site; /* kept until free */
    enum role role;   /* as the others see it */
    uint32_t index;
    bool up;
    bool never_again;   /* stays down */
    bool outlives_full; /* with a full disk it goes on serving operators until it is restarted */
    uint32_t boots;
    uint32_t next_conn;
    uint64_t deadline_ms; /* the core's, as of its last step */
    uint64_t late_ms;     /* how late its timer fires */
    uint64_t paused_until_ms;
    bool restarting;
    bool is_full;  /* outlives_full, and it has happened */
    int stop_code; /* of its last EFFECT_STOP */
};

/* One frame as it is handed to the transport or to a core. */
struct message {
    const struct node *from, *to;
    const struct exchange *exchange;
    uint16_t type;
    const uint8_t *body;
    size_t len;
};

/* Sees everything; the oracle is one. Any member may be NULL. */
struct watcher {
    void *arg;
    void (*sent)(void *arg, const struct message *m);
    void (*delivered)(void *arg, const struct message *m);
    void (*note)(void *arg, const struct node *n, const char *text);
    void (*stepped)(void *arg, struct node *n);
};

struct world {
    uint64_t now_ms;
    struct rnd rnd;
    struct weather weather;
    uint64_t struck[FAULTS]; /* how often each fault has happened */
    struct node **nodes;     /* owned */
    size_t n_nodes;
    struct net *net; /* owned */
    struct watcher watcher;
    uint64_t trace; /* hash of all that happened */
    uint64_t steps;
    FILE *story;       /* narrates here; NULL: silent */
    char *violation;   /* owned; the first one, NULL while all is well */
    struct item *heap; /* owned: things to come */
    size_t n_items, cap_items;
    uint64_t next_item;
    uint64_t steps_in_this_ms;
    struct running *running; /* owned: list of jobs on their worker threads */
};

/* A world with a network and no nodes; weather calm until set. */
struct world *world_new(uint64_t seed);
void world_free(struct world *w);

/* Takes the node: it is booted at once. */
void world_add(struct world *w, struct node *n);

/* One thing happens. False when nothing can (never, while a node has a deadline) or all is over. */
bool world_step(struct world *w);
/* Runs until `done` says so or the time is up; true in the first case. NULL: only the time. */
bool world_run(struct world *w, uint64_t until_ms, bool (*done)(void *arg), void *arg);

/* The weather becomes calm: no more faults, the dead come back, pauses and partitions end. */
void world_heal(struct world *w);

/* ---- for the parts of the simulator ---- */

/* Draws whether the fault happens now, and counts it. */
bool world_strikes(struct world *w, enum fault fault);
/* Draws only. */
bool world_threatens(struct world *w, enum fault fault);
/* Counts one that was not drawn by world_strikes. */
void world_struck(struct world *w, enum fault fault);
/* `fire(w, arg, a, b)` at that time. Whoever owns arg keeps it until then. */
typedef void world_fire(struct world *w, void *arg, uint64_t a, uint64_t b);
void world_at(struct world *w, uint64_t at_ms, world_fire *fire, void *arg, uint64_t a, uint64_t b);
/* A time around the mean: exponential, cut at ten times the mean. */
uint64_t world_about_ms(struct world *w, double mean_ms);

/* Feeds one event to a node that is up and carries out what it wants. */
void node_feed(struct node *n, struct event *event);
/* The process dies now; it is started again after a while unless never_again. */
void node_die(struct node *n, enum death death);
bool node_is_paused(const struct node *n);

/* The first violation ends the story. */
void world_violation(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* One line of the story, with the time before it. */
void world_tell(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_mix(struct world *w, uint64_t v);
void world_mix_bytes(struct world *w, const void *data, size_t len);
