/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the simulator's files only. */
#pragma once

#include "proto/ctl_responder.h"
#include "keypool/qkd/simulator.h"

struct simulator {
    struct simulator_config config;
    struct sim_topology *topology; /* owned */
    struct sim_level *level;       /* owned */
    struct arena *arena;           /* owned */
    struct sim_chunk *chunk;       /* owned; NULL at level rate */
    struct ctl_responder ctl;
    uint64_t number;       /* of the next block */
    uint64_t now_ms;       /* of the last event */
    uint64_t next_due_ms;  /* not after the next thing to be told */
    struct sim_link *turn; /* round robin: the link that acquires; NULL: none */
    size_t next_turn;      /* round robin: index of the link to be asked first */
    size_t first_link;     /* index of the link to be served first */
};

/* Starts what can start and tells what is due, a few milliseconds' worth. */
int simulator_run(struct simulator *s, struct update *u) must_check;
/* An end has granted one more block. */
int simulator_granted(struct simulator *s, struct sim_link *l, struct update *u) must_check;
/* What the link is acquiring is void; those ends whose bit is set (1, 2) are told why. Then
 * simulator_resume lets it go on (NULL: no link in particular), or the next in turn. */
int simulator_call_off(struct simulator *s, struct sim_link *l, unsigned ends, const char *reason,
    struct update *u) must_check;
int simulator_resume(struct simulator *s, struct sim_link *l, struct update *u) must_check;
/* An end has given credit. */
void simulator_look_again(struct simulator *s);
/* Plans running acquisitions anew after a change of speed. */
void simulator_replan(struct simulator *s);
/* The KME of this user is disconnected, with a reason, and may come again. */
int simulator_drop(struct simulator *s, struct sim_user *user, struct update *u, const char *why);
/* Forgets everything that depends on the list of links. */
void simulator_forget_turns(struct simulator *s);

int simulator_answer(void *owner, const char *verb, const json_t *arguments, json_t **result,
    struct update *u, struct err *e);
