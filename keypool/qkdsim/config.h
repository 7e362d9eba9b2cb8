/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of qfl-qkdsim, and the simulated network that it describes. */
#pragma once

#include "common/daemon.h"
#include "common/config_tls.h"
#include "keypool/qkd/simulator.h"

/* A link's parameters as they are written: what is unset (-1) is taken from `like`. */
struct qkdsim_params {
    int like; /* index into the paper's links, 0: none */
    struct link_params params;
    double loss_db; /* of one arm, up to Eve */
    double p_x;     /* probability of basis X */
};

/* Efficiencies at the untrusted node, 0 to 1: with a loss they make a transmittance. */
struct qkdsim_eve {
    double optics, detector;
};

struct qkdsim_link {
    char *a, *b;
    struct qkdsim_params params;
};

struct qkdsim_config {
    char *federation;
    char *site;
    char *listen;
    struct config_tls tls;
    char *state;
    char *control;
    int level;    /* enum sim_fidelity */
    int schedule; /* enum sim_schedule */
    int network;
    double block_s;
    double clock_hz;
    double speedup;
    uint64_t full_speed_blocks;
    uint64_t prefill_bits;
    char *seed;
    struct config_list users; /* char * */
    struct config_list links; /* struct qkdsim_link */
    struct qkdsim_params default_link;
    struct config_list losses; /* struct config_number: users and dB */
    struct qkdsim_eve eve;
    struct daemon_log log;
};

extern const struct config_field qkdsim_fields[];

struct simulator_config qkdsim_simulator_config(const struct qkdsim_config *c);

/* The network, and what its rules are made of; both live until qkdsim_network_deinit. */
struct qkdsim_network {
    struct sim_topology *topology; /* owned, unless it was taken (NULL) */
    struct sim_rule *rules;        /* owned */
    struct sim_loss *losses;       /* owned */
    struct link_params fallback;
};
/* Everything that can be wrong with users, links and blocks. -EINVAL with a sentence, -ENOMEM. */
int qkdsim_network_init(
    struct qkdsim_network *n, const struct qkdsim_config *c, struct err *e) must_check;
void qkdsim_network_deinit(struct qkdsim_network *n);

/* For struct daemon_program. */
int qkdsim_check(const void *config, const char *path, struct err *e);
