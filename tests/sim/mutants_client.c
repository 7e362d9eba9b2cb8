/* SPDX-License-Identifier: Apache-2.0 */
/* The mutations of the client, apart because client and server each have a struct attempt. */
#include "tests/sim/mutants.h"

#include "client/core.h"

/* ---- second_release: an update that was released is ready for the next attempt ---- */

void __real_client_round_move(struct participant *p, enum phase to);
void __wrap_client_round_move(struct participant *p, enum phase to);

void __wrap_client_round_move(struct participant *p, enum phase to)
{
    if (!mutants.second_release || to != PHASE_SPENT) {
        __real_client_round_move(p, to);
        return;
    }
    p->round.trained.released = false;
    p->round.phase = PHASE_READY;
}
