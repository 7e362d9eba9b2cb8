/* SPDX-License-Identifier: Apache-2.0 */
/* The post-processing of one block between its two ends: from private records to one secret key.
 *
 * Announcement compared; bases disclosed and mismatches dropped; Y bits disclosed and the guards of
 * mdiqkd.md section 3; Cascade, many frames at once; the corrected key verified by a universal hash
 * under a one-time pad; finite-key length with the leak really counted; privacy amplification of the
 * whole key at once; tags over everything that either end has said and over the announcement as it
 * heard it. Whatever fails, the block is void with one sentence; the key is there only at the end.
 *
 * A machine without I/O: post_block_step takes an event and gives messages for the other end, at most
 * one job and at most one wish to the owner. Messages are opaque, at most POST_MESSAGE_MAX bytes,
 * and must arrive in order; a channel that does otherwise makes the block void. The machine keeps no
 * time: an owner who has waited enough abandons the block.
 *
 * Seeds: the shuffle seed and the n_x - 1 bits of the amplification matrix are what the owner of LOW
 * gives. If these are true random bits the amplification is information-theoretic; if they come
 * from an operating system's generator, which expands a seed, it rests on that generator. The bits are
 * sent in full either way, never a seed of them.
 *
 * Pads and tags: `at` names the place of a pad in the stream of its direction. The sender's owner chooses
 * it, the receiver's must refuse one that it gave or took before. A block costs two pads from HIGH
 * (verification, transcript) and one from LOW; none before Cascade has ended.
 *
 * The last message of any exchange may be lost: one end can have the key while the other has a void
 * block. The vaults' own confirmation decides then. What cannot be is two different keys.
 */
#pragma once

#include "common/machine.h"
#include "common/secret.h"
#include "keypool/post/post_record.h"
#include "keypool/qkd/keyrate.h"

#define POST_BLOCK_ID_BYTES 16
#define POST_PULSES_MAX     ((uint64_t)1 << 48)
#define POST_CLICKS_MAX     ((uint64_t)1 << 30)
#define POST_WINDOW_MAX     64

/* Both ends must have the same, but for `side`, e_x_expected and e_y_before. */
struct post_config {
    enum post_side side;
    uint8_t block[POST_BLOCK_ID_BYTES];
    struct keyrate_options keyrate; /* pulses: those of the block */
    double mu;
    double expected_e_y;    /* optimised Kato only */
    double share_xx;        /* of pulses that both sent in X */
    double share_yy;        /* in Y */
    double gain_spread_max; /* the largest gain may exceed the smallest by this part of it, and by
                               five standard deviations */
    double e_y_max;         /* observed */
    double e_x_expected;    /* LOW: that of the block before; 0: none, E_y is taken or 1 % */
    double e_y_before;      /* LOW: and its E_y, or 0: what E_y has grown since, E_x has too */
    uint32_t frame_bits;    /* of Cascade, about */
    uint32_t window;        /* frames in flight */
    uint32_t chunk_bytes;   /* of vectors, a multiple of 64, <= POST_CHUNK_MAX */
};

/* The paper's options, shares of p_x = 0.9, gain spread 5 %, E_y up to 50 %, 64 frames of 1e6 bits. */
struct post_config post_config_default(void);

bool post_config_is_sane(const struct post_config *c, struct err *why);

/* Upper bound of the memory of one end, at its worst moment, for so many events. */
size_t post_block_memory(const struct post_config *c, uint64_t clicks);

enum post_event_kind {
    POST_EVENT_START,
    POST_EVENT_MESSAGE,
    POST_EVENT_JOB,
    POST_EVENT_RANDOM, /* what POST_WANT_RANDOM asked for */
    POST_EVENT_PAD,    /* what POST_WANT_PAD_* asked for */
    POST_EVENT_ABANDON,
};

struct post_event {
    enum post_event_kind kind;
    union {
        struct {
            uint8_t *data; /* borrowed */
            size_t len;
        } message;
        struct job *job; /* taken */
        struct {
            const uint8_t *data; /* as many bytes as were wanted */
        } random;
        struct {
            const uint8_t *data; /* POST_TAG_BYTES, or NULL: there is none, `text` says why */
            uint64_t at;         /* where it lies in the stream, if wanted for sending */
            const char *text;
        } pad;
        const char *text; /* ABANDON: why */
    };
};

enum post_want_kind {
    POST_WANT_NONE,
    POST_WANT_RANDOM,
    POST_WANT_PAD_SEND,    /* a fresh pad of the own direction */
    POST_WANT_PAD_RECEIVE, /* the pad at `at` of the other's direction */
};

struct post_want {
    enum post_want_kind kind;
    size_t len;  /* RANDOM: bytes */
    uint64_t at; /* PAD_RECEIVE */
};

struct post_update {
    struct blob **messages; /* owned, in order */
    size_t n;
    struct job *job; /* owned until carried out: run, then POST_EVENT_JOB */
    struct post_want want;
};
void post_update_deinit(struct post_update *u);

enum post_outcome {
    POST_OPEN, /* not ended */
    POST_KEY,  /* both ends hold the same key */
    POST_VOIDED,
    POST_ALARM, /* void, and a tag was wrong at either end: the channel was tampered with */
};

/* Filled in as the block goes on. */
struct post_result {
    enum post_outcome outcome;
    struct err reason; /* void: why */
    bool no_key;       /* void because the errors, or the number of events, allow no key */
    double qber;       /* then: as observed, in X if it was known, else in Y */
    uint64_t n, n_x, n_y, n_mismatched, m_y;
    double gain_xx, gain_yy, gain_mismatched;
    uint64_t errors; /* found in the X key */
    uint64_t leak_bits;
    uint64_t trips;      /* round trips of Cascade */
    struct keyrate rate; /* e_x, e_y, e_p_upper, key_bits, rate_kbps, ... */
    double f_ec;         /* leak / (n_x h(E_x)); 0 without errors */
    struct secret key;   /* POST_KEY: rate.key_bits bits, the rest of the last byte 0 */
};

struct post_block;

/* Takes the record, also on error. -EINVAL with a sentence, -ENOMEM. */
int post_block_new(struct post_block **out, const struct post_config *config,
    struct post_record *record, struct err *e) must_check;
/* Wipes. A job still out frees its part itself. Safe on NULL. */
void post_block_free(struct post_block *b);

/* 0, or -errno: fatal, only post_block_free is legal. Events after the end are taken and ignored. */
int post_block_step(
    struct post_block *b, const struct post_event *event, struct post_update *u) must_check;

/* Where the conversation is. */
enum post_stage {
    POST_STAGE_SIFTING,
    POST_STAGE_CORRECTION,
    POST_STAGE_AMPLIFICATION,
    POST_STAGES
};
enum post_stage post_block_stage(const struct post_block *b);

/* Lives as long as the block; the owner may move the key out. */
struct post_result *post_block_result(struct post_block *b);
