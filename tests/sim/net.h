/* SPDX-License-Identifier: Apache-2.0 */
/* Connections between nodes as the cores see them: opened, whole frames in order, closed.
 *
 * The transport is TCP with TLS, or AF_UNIX on one machine, so nothing is lost, doubled or reordered
 * *within* a connection. What happens instead: a connection breaks, and each end still receives some
 * prefix of what was in flight and learns of the end at a time of its own, possibly after its dialer
 * has opened the next connection, so that the two overlap; a direction stands still; two nodes cannot
 * connect for a while. A dialer keeps one connection up, with back-off.
 */
#pragma once

#include "tests/sim/world.h"

struct net;

enum net_kind {
    NET_WAN,   /* between sites: latency of the weather */
    NET_LOCAL, /* AF_UNIX: below a millisecond, breaks when a process dies */
};

struct net *net_new(struct world *w);
void net_free(struct net *net);

/* `from` keeps a connection to `to` up, beginning when both are. */
void net_dial(struct net *net, struct node *from, struct node *to, enum net_kind kind,
    const struct exchange *exchange);

/* A node has come up: its dialers dial. */
void net_node_up(struct net *net, struct node *n);
/* A node has died: its connections break. */
void net_node_down(struct net *net, struct node *n, enum death death);

/* Effects of a core. A number that was never a connection of this boot is a violation. */
void net_send(struct net *net, struct node *from, uint32_t conn, uint16_t type, const uint8_t *body,
    size_t len);
void net_close(struct net *net, struct node *n, uint32_t conn);
void net_limit(struct net *net, struct node *n, uint32_t conn, size_t limit);

/* Ends partitions and stalls: what was held back arrives soon. */
void net_heal(struct net *net);
/* Breaks every connection between the two, as a fault of a test would. */
void net_break(struct net *net, const struct node *a, const struct node *b);

/* Somebody who has no unbroken connection, open at both ends, to one that it dials; NULL if all have. */
const char *net_who_is_cut_off(const struct net *net);

/* "OPEN", "PAD", ... for stories. */
const char *net_type_name(const struct exchange *exchange, uint16_t type);
