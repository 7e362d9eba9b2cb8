/* SPDX-License-Identifier: Apache-2.0 */
/* Drafts the view of the next attempt from who was selected and what key they share. */
#pragma once

#include "proto/view.h"
#include "server/levels.h"

struct draft {
    const uint8_t *run;
    uint64_t round;
    uint64_t attempt;
    const uint8_t *previous;
    const uint8_t *model_hash;
    const Fed__Params *params;
    uint32_t k;
    const char **sites;      /* k names, sorted */
    const uint64_t *samples; /* k */
    const struct graph *graph;
    uint32_t tolerance;
    const struct pair *pairs; /* k x k */
};

/* The quantiser that `params` make for k participants. */
struct quantiser draft_quantiser(const Fed__Params *params, uint32_t k);
/* Bytes of key that each edge takes; the same for every k. */
uint64_t draft_need(const Fed__Params *params);

/* The view's canonical bytes; NULL if there is no memory. */
struct blob *draft_view(const struct draft *d) must_check;
