/* SPDX-License-Identifier: Apache-2.0 */
/* The view of an attempt (proto/view.proto): canonical bytes, strict decoding, derived quantities.
 *
 * Clients MAC the bytes as received. view_decode refuses bytes that are not what view_encode makes of
 * the decoded message, members that are not sorted, duplicate or dangling edges, lengths that do not
 * fit q and d, numbers outside their limits. It does not know policies (client/policy.h does).
 */
#pragma once

#include "common/gf128.h"
#include "common/graph.h"
#include "common/quantiser.h"
#include "common/sha256.h"
#include "proto/fed.h"
#include "proto/view.pb-c.h"

/* Every edge's range: 16 B hash key | 16 B tag pad low->high | 16 B tag pad high->low | mask. */
#define VIEW_KEY_BYTES  ((uint64_t)16)
#define VIEW_HEAD_BYTES ((uint64_t)48)

/* Components of the mask graph that this version sums. The format has room for more. */
#define VIEW_COMPONENTS_MAX 1
/* Samples of one member: the sum over FED_SITES_MAX of them is exact in a double. */
#define VIEW_SAMPLES_MAX ((uint64_t)1 << 43)

enum view_weights { VIEW_WEIGHTS_SAMPLES = 1 };

enum view_condition { VIEW_E_REFUSED = 1 };

/* Packs canonically. NULL if there is no memory. */
struct blob *view_encode(const View__View *view) must_check;

/* Strict; the message lives in the arena, with a copy of the bytes. VIEW_E_REFUSED with a sentence if it
 * is not a view; -ENOMEM. */
int view_decode(
    const uint8_t *bytes, size_t len, struct arena *a, View__View **view, struct err *e) must_check;

/* The checks of view_decode on a message that is not packed yet: for whoever makes one. */
int view_check(const View__View *view, struct err *e) must_check;

struct quantiser view_quantiser(const View__View *view);
/* p_i by the view's weight rule. */
double view_weight(const View__View *view, uint32_t member);
/* Index of the site in members, or -1. */
int view_find(const View__View *view, const char *site);
/* The mask graph, components included. */
int view_graph(const View__View *view, struct graph *g) must_check;
/* 48 + ceil(d q / 8): bytes of key that one edge needs. */
uint64_t view_edge_bytes(uint32_t words, unsigned q);

/* The tag on this view in the direction from `from` to `to` (member indices), under the edge's hash
 * key and the pad of the direction. The parts of the hash: from, to (8 bytes each), the view's bytes. */
void view_tag(const uint8_t *bytes, size_t len, uint32_t from, uint32_t to,
    const uint8_t key[GF128_BYTES], const uint8_t pad[GF128_BYTES], uint8_t tag[GF128_BYTES]);
