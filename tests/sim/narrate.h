/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as lines of a story: type, and the fields that a reader needs. */
#pragma once

#include "tests/sim/world.h"

/* "alice/client -> server READY {round=3 samples=120}". Silent if the world tells no story. */
void narrate_message(struct world *w, const struct message *m, const char *arrow);
