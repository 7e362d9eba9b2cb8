/* SPDX-License-Identifier: Apache-2.0 */
/* Faults put into the cores on purpose, to see that the simulation notices.
 *
 * No core has a line for this: the linker puts these functions in the place of real ones (--wrap in
 * meson.build), in the mutants' test only, and each does the real thing unless its flag is set. What
 * a storage would have to forget is forgotten by the simulated storage.
 */
#pragma once

#include "tests/sim/federation.h"

#include <stdbool.h>

struct mutants {
    /* The vault burns a client's ranges only once all their bytes were taken, and the server proposes
     * from the reported cursors instead of above what it has proposed: key of an aborted attempt is
     * used again. */
    bool late_burn;
    /* Weights are left out of what the tags cover: n_j are zeroed before hashing. */
    bool weights_not_in_tag;
    /* The tags cover nothing of the view: CONFIRM as good as skipped. */
    bool empty_confirm;
    /* A client whose released attempt is aborted may use the same update again. */
    bool second_release;
    /* GO as soon as somebody is locked. */
    bool no_barrier;
};
extern struct mutants mutants;
/* All cores are themselves again. */
void mutants_reset(void);
