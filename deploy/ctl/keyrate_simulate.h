/* SPDX-License-Identifier: Apache-2.0 */
/* `keyrate --paper --simulate`: the links of the paper, one block each, from simulated events through both
 * ends' post-processing to compared keys, beside model and published values. */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

struct keyrate_simulate {
    const char *network; /* NULL: paper-4 */
    const char *pair;    /* NULL: all of the network */
    double seconds;      /* of a block */
    uint64_t seed;
    bool json;
};

/* EX_OK; EX_SOFTWARE with a sentence if something is not as it must be (the table is printed all the
 * same); EX_USAGE. Progress goes to standard error. */
int keyrate_simulate(const struct keyrate_simulate *s, struct err *e) must_check;
