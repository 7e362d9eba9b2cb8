/* SPDX-License-Identifier: Apache-2.0 */
/* A server that lies: the real aggregator, whose COMMIT sometimes tells one client other sample counts
 * of the others than it tells the rest (FAULT_LIE). The client's own count is left alone: it would
 * notice that. */
#pragma once

#include "server/aggregator.h"
#include "tests/sim/world.h"

/* As server_node_new; its store and core are those of the real node. */
struct node *liar_new(struct world *w, const struct aggregator_config *config);
