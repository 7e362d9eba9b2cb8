/* SPDX-License-Identifier: Apache-2.0 */
/* The terms of a round: an OPEN, checked for shape and kept. */
#pragma once

#include "client/trainer.h"
#include "common/quantiser.h"
#include "common/sha256.h"
#include "proto/fed.h"
#include "proto/fed.pb-c.h"

#include <stdbool.h>

#define TERMS_SETTINGS_MAX 64

struct terms {
    bool held;
    uint8_t open_hash[SHA256_BYTES]; /* of OPEN's body as received */
    uint8_t run[FED_RUN_BYTES];
    uint64_t round;
    uint64_t rounds;
    uint8_t model_hash[SHA256_BYTES];
    uint8_t previous[SHA256_BYTES];
    char *task; /* owned */
    uint32_t parameters;
    uint32_t chunk_words;
    uint32_t q;
    double clip;
    uint32_t rounding;
    struct train_setting *settings; /* owned, names too */
    size_t n_settings;
};

/* Fills an empty struct. > 0 with a sentence when OPEN is not well-formed; -ENOMEM. */
int terms_init(struct terms *t, const Fed__Open *open, const uint8_t *body, size_t len,
    struct err *e) must_check;
void terms_deinit(struct terms *t);
/* Moves the contents out and leaves `from` empty. */
struct terms terms_move(struct terms *from);

bool terms_is_round(const struct terms *t, const uint8_t *run, size_t run_len, uint64_t round);
/* How K participants quantise under these terms. */
struct quantiser terms_quantiser(const struct terms *t, uint32_t participants);
