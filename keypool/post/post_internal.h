/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine of a block and its jobs share. Internal to keypool/post. */
#pragma once

#include "common/buf.h"
#include "common/gf128.h"
#include "common/secret.h"
#include "common/sha256.h"
#include "keypool/post/cascade.h"
#include "keypool/post/post_block.h"

#define POST_PIECE 4096 /* bytes of the announcement hashed at once */

struct post_record {
    enum post_side side;
    uint64_t pulses;
    uint64_t clicks_max;
    uint64_t n;
    uint64_t next;      /* lowest position that may come */
    struct secret keys; /* two of POST_TAG_BYTES */
    struct secret basis;
    struct secret bits;
    struct gf128 transcript[2]; /* by side that speaks */
    uint8_t digest[SHA256_BYTES];
    uint8_t piece[POST_PIECE];
    size_t piece_len;
    bool is_sealed;
};

/* Hashes what is left of the announcement; no more clicks then. */
void post_record_seal(struct post_record *r);

static inline uint64_t bytes_of(uint64_t bits)
{
    return (bits + 7) / 8;
}

static inline bool bit_at(const uint8_t *p, uint64_t i)
{
    return p[i / 8] >> (i % 8) & 1;
}

/* One frame of Cascade in flight. */
struct post_frame {
    uint32_t index;
    struct cascade_reference *reference; /* owned; LOW */
    struct cascade_corrector *corrector; /* owned; HIGH */
};

/* Cascade over the whole key, a window of frames at a time. */
struct post_cascade {
    struct cascade_plan plan[2];        /* of all frames but the last; of the last */
    struct cascade_shuffle *shuffle[2]; /* owned */
    uint32_t frames;
    uint32_t next;             /* first frame not opened yet */
    struct post_frame *window; /* owned; ascending */
    uint32_t open;
    struct post_frame *spare; /* owned: ended frames of plan[0], to be used again */
    uint32_t spares;
    uint32_t window_max;
    uint64_t errors;
    uint64_t leak_bits;
};

/* The bulk of a block: with the machine, or with the job that works on it. */
struct post_work {
    enum post_side side;
    struct post_record *record; /* owned, until the Y bits were compared */
    uint64_t n;
    uint64_t at; /* events sifted */
    struct secret x, y;
    uint64_t n_x, n_y, n_mismatched;
    uint64_t y_at; /* Y bits compared */
    uint64_t m_y;
    struct post_cascade cascade;
    struct buf in;  /* of the other end, for the next job */
    struct buf out; /* from the last job */
    uint8_t hash_key[POST_TAG_BYTES];
    uint8_t pad[POST_TAG_BYTES];
    uint8_t tag[POST_TAG_BYTES];
    struct buf t; /* public */
    uint64_t key_bits;
    struct secret key;
    struct err why;           /* why a job returned > 0 */
    bool has_too_many_errors; /* then: for any key */
};

/* Takes the record. */
int post_work_new(
    struct post_work **out, enum post_side side, struct post_record *record) must_check;
void post_work_free(struct post_work *w);

/* The jobs: 0, > 0 the block is void (`why`), -errno. */
int post_sift(struct post_work *w);    /* in: the other's bases from event `at` on */
int post_compare(struct post_work *w); /* in: the other's Y bits from `y_at` on */
int post_verify(struct post_work *w);  /* makes `tag` */
int post_amplify(struct post_work *w);
/* in: answers, or nothing the first time; out: questions, nothing when all frames are done. */
int post_cascade_ask(struct post_work *w);
/* in: questions; out: answers. */
int post_cascade_answer(struct post_work *w);

/* What the owner runs on a worker thread. */
struct post_job {
    struct job base;
    struct post_work *work; /* owned */
    int (*todo)(struct post_work *w);
    int result;
};

/* The frames of a key of n bits; rate as in cascade_plan_init. */
int post_cascade_init(struct post_cascade *c, uint64_t n, uint32_t frame_bits, uint32_t window,
    double rate, const uint8_t seed[CASCADE_SEED]) must_check;
void post_cascade_deinit(struct post_cascade *c);
/* LOW: the other end says that it is done. False if frames are missing. */
bool post_cascade_close(struct post_cascade *c);
/* Bytes of a whole step that the other end may send. */
size_t post_cascade_limit(const struct post_cascade *c);

/* The guards of mdiqkd.md section 3; each fills in what it computes and says why it refuses. */
bool post_gains_agree(const struct post_config *c, struct post_result *r, struct err *why);
/* With no errors in X and nothing leaked: what would be refused later whatever Cascade does. */
bool post_errors_allow(const struct post_config *c, struct post_result *r, struct err *why);
/* The length, with the leak as counted. */
bool post_length(const struct post_config *c, struct post_result *r, struct err *why);
/* Of everything that both ends must have the same. */
void post_parameters(const struct post_config *c, uint8_t digest[SHA256_BYTES]);
