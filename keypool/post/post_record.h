/* SPDX-License-Identifier: Apache-2.0 */
/* What one end knows of the effective events of one block: Eve's announcement and the own choices.
 *
 * Two bits an event are kept: basis and bit (that of HIGH flipped for D2 clicks). The announcement itself
 * (positions, detectors) is not: as it comes it goes into the transcript hashes of both directions, so
 * that two ends who heard different ones end with wrong tags whatever they say to each other, and into
 * a SHA-256 chain, by which honest ends see the difference before they have said anything else.
 *
 * Eve is not trusted: positions must ascend within the block, and no more than a given number are taken.
 */
#pragma once

#include "common/err.h"

#include <stdbool.h>
#include <stdint.h>

#define POST_TAG_BYTES 16

/* LOW: its bits count, it answers in Cascade and gives the seeds. HIGH corrects. */
enum post_side { POST_LOW, POST_HIGH };

/* An effective event. */
struct post_click {
    uint64_t position; /* of the pulse in the block */
    bool d2;           /* the detector that clicked, else D1 */
    bool y;            /* the own basis, else X */
    bool bit;          /* the own bit, as sent */
};

struct post_record_config {
    enum post_side side;
    uint64_t pulses;     /* of the block */
    uint64_t clicks_max; /* memory is taken for so many: clicks_max / 4 bytes */
    /* Hash keys of what LOW says and of what HIGH says, from the pairing; both ends have both. */
    const uint8_t *keys[2]; /* POST_TAG_BYTES each */
};

struct post_record;

/* 0, -EINVAL, -ENOMEM. */
int post_record_new(struct post_record **out, const struct post_record_config *config) must_check;
/* Wipes. Safe on NULL. */
void post_record_free(struct post_record *r);

enum post_record_condition { POST_E_ANNOUNCEMENT = 1 };

/* More events, in order. POST_E_ANNOUNCEMENT with a sentence: no announcement of this block; the
 * record is of no use any more. */
int post_record_add(
    struct post_record *r, const struct post_click *clicks, size_t n, struct err *e) must_check;

uint64_t post_record_clicks(const struct post_record *r);
