/* SPDX-License-Identifier: Apache-2.0 */
/* Puppets: clients on the stage who answer every message as honest ones do, with updates of constant
 * value, so that a whole run can be played with the server dying in between. */
#pragma once

#include "tests/server/stage.h"

struct puppets {
    struct stage stage; /* first: cast back in on_message */
    struct puppet {
        bool do_ready, do_confirm, do_upload, do_done;
        bool has_confirmed, has_locked;
        bool has_tag[STAGE_SITES]; /* by peer */
        uint32_t from_chunk;
    } puppets[STAGE_SITES];
};

void puppets_init(struct puppets *p, size_t sites);
/* Connects who is away, then carries out what is due, until nothing is or the server has died. */
void puppets_play(struct puppets *p);
void puppets_deinit(struct puppets *p);
