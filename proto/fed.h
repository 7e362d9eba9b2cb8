/* SPDX-License-Identifier: Apache-2.0 */
/* The exchange between a client (initiator) and the aggregator (responder): types, limits, codes.
 * Messages in proto/fed.proto, order and meaning in proto/SPEC.md. */
#pragma once

#include "proto/link.h"

#define FED_VERSION         1
#define FED_NONCE_BYTES     16
#define FED_RUN_BYTES       16
#define FED_STREAM_BYTES    16
#define FED_SITES_MAX       1024                /* in a roster */
#define FED_HELLO_LEVELS    128                 /* in HELLO; a client with more sends LEVELS too */
#define FED_PARAMETERS_MAX  ((uint32_t)1 << 26) /* words of a model */
#define FED_CHUNK_BYTES_MAX ((size_t)1024 * 1024) /* data of one chunk */
#define FED_VIEW_BYTES_MAX  ((size_t)4 * 1024 * 1024)

enum fed_type {
    FED_HELLO = 16,
    FED_WELCOME,
    FED_LEVELS,
    FED_OPEN,
    FED_MODEL_GET,
    FED_MODEL_CHUNK,
    FED_READY,
    FED_DECLINE,
    FED_COMMIT,
    FED_REJECT,
    FED_CONFIRM,
    FED_RELAY,
    FED_LOCKED,
    FED_GO,
    FED_CHUNK,
    FED_ABORT,
    FED_SKIP,
    FED_RESULT,
    FED_RESULT_CHUNK,
    FED_DONE,
    FED_LOST,
    FED_RUN_END,
};

/* Reasons in DECLINE, REJECT and ABORT. */
enum fed_code {
    FED_OK,
    FED_STALE,    /* a start below the own cursor; fresh levels come with it */
    FED_NO_KEY,   /* a pair has not enough confirmed key */
    FED_VAULT,    /* the key pool cannot be reached, or failed */
    FED_POLICY,   /* refused by the client's own configuration */
    FED_VIEW,     /* the view is malformed or does not fit OPEN */
    FED_TRAINING, /* training failed */
    FED_TAG,      /* a neighbour's tag was wrong: peer or relay */
    FED_DEADLINE, /* somebody was too slow */
    FED_LOST_CLIENT,
    FED_SPENT, /* this update has been released in another attempt */
    FED_DRAIN, /* the server is stopping */
};

extern const struct exchange fed_exchange;
