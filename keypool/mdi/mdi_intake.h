/* SPDX-License-Identifier: Apache-2.0 */
/* Eve's announcement as it comes in: from the simulator's messages into the record of a block. */
#pragma once

#include "keypool/post/post_record.h"
#include "proto/qkd.pb-c.h"

enum mdi_intake_condition {
    MDI_E_MALFORMED = 1, /* not a message of the exchange: the simulator broke the rules */
    MDI_E_ANNOUNCEMENT,  /* Eve announced what cannot be */
};

/* Takes the events of one message. 0, > 0 mdi_intake_condition with a sentence, -errno. */
int mdi_intake(
    struct post_record *r, const Qkd__Events *m, uint64_t *position, struct err *e) must_check;
/* The position before the first event of a block. */
#define MDI_NO_POSITION UINT64_MAX

/* The most events of a block that are taken: no honest detector has more than 1 - exp(-2 mu) a pulse, and
 * a link that had `gain` in its last block (0: unknown) not much more than that. */
uint64_t mdi_intake_limit(uint64_t pulses, double mu, double gain);
