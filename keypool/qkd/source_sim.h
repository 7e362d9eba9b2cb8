/* SPDX-License-Identifier: Apache-2.0 */
/* The key source that is no source: qfl-qkdsim, over TLS (exchange qkd, this end calls).
 *
 * One object serves all the links that use one simulator. A grant stands until its block comes: it is
 * said again after every reconnect. At level `rate` the simulator sends finished key; blocks of the
 * other levels will be made here, out of raw clicks. Everything it gives is SIMULATED.
 */
#pragma once

#include "keypool/qkd/source.h"

struct source_sim_config {
    const char *site;         /* of this KME */
    const char *simulator;    /* its site name; NULL: any (there is only one) */
    const char *const *peers; /* of the links that use it */
    size_t n_peers;
};

/* Copies the names. -ENOMEM. */
int source_sim_new(struct source **out, const struct source_sim_config *config) must_check;
