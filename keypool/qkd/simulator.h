/* SPDX-License-Identifier: Apache-2.0 */
/* qfl-qkdsim's core: the quantum layer between the sites' KMEs, simulated.
 *
 * A user's KME grants blocks; when both ends of a link have granted one, the link acquires pulses for
 * a block's time (divided by `speedup`) and both are told the outcome, by the level of fidelity
 * (sim_level.h): finished key at the end, or raw clicks while the light passes, as far as both ends
 * have credit. A block of finished key whose delivery to one end fails is gone: the other end's vault
 * voids it, ids tell. A block of raw clicks is called off at both ends when one leaves or stops it. A
 * restart forgets grants and never repeats a byte or an id, because the seed is new at each boot
 * (boot_seed.h). What the operator switches on a link holds from the next block on. Connections:
 * ROLE_KME (exchange qkd, this end responds), ROLE_CTL (verbs status, links, set, metrics).
 *
 * Everything it feeds is SIMULATED; it could compute every key and never pretends otherwise.
 */
#pragma once

#include "keypool/qkd/sim_level.h"

#define SIM_USERS_RAW_MAX  64 /* raw clicks for all their peers must fit into a queue */
#define SIM_PULSES_RAW_MAX (UINT64_C(1) << 48) /* of one block */

enum sim_fidelity { SIM_RATE, SIM_EVENT, SIM_PULSE };

enum sim_schedule {
    SIM_PARALLEL,    /* every link as if it owned the loop and the detectors */
    SIM_ROUND_ROBIN, /* one link after the other: the network's rate is shared */
};

struct simulator_config {
    enum sim_fidelity level; /* what simulator_check and simulator_level_new go by */
    enum sim_schedule schedule;
    double block_s;                 /* simulated seconds of acquisition per block */
    double clock_hz;                /* pulses per second */
    double speedup;                 /* simulated seconds per real one; 0: as fast as it goes */
    uint64_t full_speed_blocks;     /* of each link, the first: without waiting */
    struct keyrate_options options; /* eps, f, kato: for what is shown */
};

struct simulator;

/* The level that the configuration asks for. NULL if there is no memory. */
struct sim_level *simulator_level_new(
    const struct simulator_config *config, const uint8_t seed[RNG_SEED_BYTES]) must_check;
/* Takes the topology and the level, also on error. NULL if there is no memory. */
struct simulator *simulator_new(const struct simulator_config *config,
    struct sim_topology *topology, struct sim_level *level) must_check;
void simulator_free(struct simulator *s);

int simulator_step(struct simulator *s, const struct event *event, struct update *u) must_check;
uint64_t simulator_deadline_ms(const struct simulator *s);

/* Do these numbers make sense together? Every link must yield key with these blocks: refused is a
 * block below the formula's minimum, which is named, one larger than SIM_BLOCK_BYTES_MAX, a user
 * without a link, and more users or pulses than raw clicks can be told of. -EINVAL with a sentence. */
int simulator_check(const struct simulator_config *config, const struct sim_topology *topology,
    struct err *e) must_check;
/* What one block of this link yields on average, without Eve. */
struct keyrate simulator_expect(
    const struct simulator_config *config, const struct link_params *params);
/* The same with what is done to the link now. */
struct keyrate simulator_expect_link(
    const struct simulator_config *config, const struct sim_link *link);
