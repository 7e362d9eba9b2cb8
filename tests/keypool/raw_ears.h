/* SPDX-License-Identifier: Apache-2.0 */
/* A simulator of raw clicks and what the ends of its links hear of it.
 *
 * A `loop` is a simulator among three users, alice, bob and charlie, all links alike. An `ear` is one
 * end of one link: it listens to its blocks, checks that every frame of it is consistent in itself and
 * marked secret, and keeps all events. Fails the test (cmocka) where something is not.
 */
#pragma once

#include "keypool/qkd/simulator.h"
#include "tests/keypool/talk.h"

#include <jansson.h>

enum { ALICE = 1, BOB, CHARLIE }; /* connections */

struct loop {
    struct simulator *sim;
    struct talk *talk;
    struct link_params *params; /* of all links; the simulator borrows them */
};

struct loop_plan {
    struct link_params params;
    struct simulator_config config;
    uint8_t seed;
};

/* 0.2 s of the busiest link of the paper, 2e7 pulses: some 210,000 events; at full speed. */
struct loop_plan loop_short(void);
/* A million pulses, nearly half of them events. */
struct loop_plan loop_bright(bool by_pulse);

struct loop loop_begin(const struct loop_plan *plan);
void loop_end(struct loop *l);
/* A KME of that site says hello. */
void loop_join(struct loop *l, uint32_t conn, const char *site);
void loop_join_three(struct loop *l);
void loop_grant(struct loop *l, uint32_t conn, const char *peer);
/* The timer, until there is nothing to do now. */
void loop_run(struct loop *l);
/* An operator's question; the answer, or the reason as a string if the code is not 0. */
json_t *loop_ask(struct loop *l, const char *verb, const char *arguments, int code);

struct heard_event {
    uint64_t position;
    uint8_t detector, basis, bit;
};

struct ear {
    uint32_t conn;
    const char *peer;
    bool ack;       /* says at once that it has taken what comes */
    bool is_open;   /* a block is under way */
    uint8_t id[16]; /* of the last block */
    uint64_t pulses;
    double share_xx, share_yy, mu, seconds, expected_e_y;
    struct heard_event *events; /* owned */
    size_t n, room;
    size_t frames;
    size_t repeats; /* of a position */
    bool has_ended;
    uint64_t said; /* by the end of the block */
    bool is_off;
    char reason[300];
};

struct ear ear_of(uint32_t conn, const char *peer);
void ear_free(struct ear *ear);
/* Takes what was said so far to this end; with `ack` also says so and goes on until nothing comes. */
void ear_listen(struct ear *ear, struct loop *l);
/* Both ends grant a block and listen to all of it. */
void ears_take_block(struct ear *a, struct ear *b, struct loop *l);
void ear_got(const struct ear *ear, struct loop *l, uint64_t events);
void ear_stop(const struct ear *ear, struct loop *l, const char *reason);

/* The pair's counts per outcome; the last class holds the pulses without an event. Asserts that both
 * were told the same positions and detectors. */
void ears_count(const struct ear *a, const struct ear *b, uint64_t counts[OPTICS_OUTCOMES + 1]);
struct keyrate_counts ears_counts(const struct ear *a, const struct ear *b);
void assert_5_deviations(double count, double expected);
/* n, n_x, m_x, n_y and m_y of so many pulses within five deviations of the model. */
void assert_as_expected(const struct keyrate_counts *c, const struct link_params *p,
    const struct eve *eve, double pulses);
