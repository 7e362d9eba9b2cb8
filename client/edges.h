/* SPDX-License-Identifier: Apache-2.0 */
/* The own edges of an attempt: head of the key range, own tag, the neighbour's tag.
 *
 * Range: 16 B hash key | 16 B tag pad low->high | 16 B tag pad high->low | mask (aggregation.md
 * section 3). Tags are over the view's bytes as received. The first tag received from a neighbour
 * decides; there is one try. The heads are wiped as soon as they are not needed any more.
 */
#pragma once

#include "common/secret.h"
#include "proto/view.h"

#include <stdbool.h>

struct edge {
    uint32_t member;       /* the neighbour's index in the view */
    const char *peer;      /* its site, in the view */
    const uint8_t *stream; /* in the view */
    uint64_t start;
    uint64_t length;
    uint8_t mine[GF128_BYTES];   /* my tag for it */
    uint8_t theirs[GF128_BYTES]; /* its tag for me, the first received */
    bool is_heard;
    bool is_verified;
};

struct edges {
    uint32_t self;     /* own index in the view */
    struct edge *list; /* owned, in the order of the view: the index is the vault's range */
    uint32_t n;
    struct secret heads; /* n heads, while they are needed */
    uint32_t n_heads;    /* that have arrived */
};

/* The view is borrowed until deinit. -ENOMEM. */
int edges_init(struct edges *s, const View__View *view, uint32_t self) must_check;
void edges_deinit(struct edges *s);

/* True if the pad is to be added to the own vector, false if subtracted. */
bool edges_adds(const struct edges *s, uint32_t range);

/* The head of the next range, in order; wipes `head`. */
void edges_add_head(struct edges *s, uint8_t head[VIEW_HEAD_BYTES]);
bool edges_has_heads(const struct edges *s);
/* With all heads: computes the own tags. */
void edges_sign(struct edges *s, const uint8_t *view, size_t len);

enum edges_condition {
    EDGES_E_STRANGER = 1, /* not a neighbour */
    EDGES_E_WRONG,        /* the tag does not fit this view */
};

/* A neighbour's tag; a second one from the same neighbour is ignored. */
int edges_hear(struct edges *s, const char *peer, const uint8_t tag[GF128_BYTES]) must_check;
/* Verifies what has been heard and not yet verified; EDGES_E_WRONG with *peer set. */
int edges_verify(struct edges *s, const uint8_t *view, size_t len, const char **peer) must_check;
/* A valid tag from every neighbour. */
bool edges_is_confirmed(const struct edges *s);
/* No tag will be computed any more. */
void edges_forget_heads(struct edges *s);
