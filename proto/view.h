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
#include "proto/fed.h"
#include "proto/view.pb-c.h"

/* Every edge's range: 16 B hash key | 16 B tag pad low->high | 16 B tag pad high->low | mask. */
#define VIEW_KEY_BYTES  ((uint64_t)16)
#define VIEW_HEAD_BYTES ((uint64_t)48)

enum view_weights { VIEW_WEIGHTS_SAMPLES = 1 };

/* Packs canonically. */
struct blob *view_encode(const View__View *view) must_check;

/* Strict; the message lives in the arena. > 0 with a sentence if it is not a view. */
int view_decode(
    const uint8_t *bytes, size_t len, struct arena *a, View__View **view, struct err *e) must_check;

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
 * key and the pad of the direction. */
void view_tag(const uint8_t *bytes, size_t len, uint32_t from, uint32_t to,
    const uint8_t key[GF128_BYTES], const uint8_t pad[GF128_BYTES], uint8_t tag[GF128_BYTES]);
