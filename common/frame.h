/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on a byte stream: u32 length (big-endian, of type and body) | u16 type (big-endian) | body.
 *
 * Sans-I/O. The decoder yields a frame where it lies when the input holds all of it, and collects it
 * in a buffer of its own otherwise. The length is checked against the limit before anything is
 * allocated. With `wipe`, for frames that carry key, that buffer is one piece of locked memory, used
 * again, and every byte of a body is overwritten once the frame is done with.
 *
 *     while ((r = frame_decode(&d, data, len, &used, &frame)) == 0) {
 *         ... use frame ...
 *         frame_done(&d);
 *         data += used, len -= used;
 *     }
 */
#pragma once

#include "common/err.h"
#include "common/secret.h"

#include <stdbool.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 6
/* Longest body until the peer's first message was accepted: of whoever calls, of whom we call. */
#define FRAME_FIRST_LIMIT        ((size_t)16 * 1024)
#define FRAME_FIRST_LIMIT_CALLED ((size_t)128 * 1024)

enum frame_condition {
    FRAME_MORE = 1, /* all input is used, no whole frame yet */
    FRAME_E_LONG,   /* longer than the limit: close the connection */
    FRAME_E_SHORT,  /* a length below 2: close the connection */
};

struct frame {
    uint16_t type;
    uint8_t *body; /* of the input or of the decoder, until frame_done; may be overwritten */
    size_t len;
};

struct frame_decoder {
    size_t limit; /* longest body */
    bool wipe;
    uint8_t header[FRAME_HEADER_BYTES];
    size_t header_len;    /* bytes of the header so far */
    uint8_t *body;        /* of a frame that comes in pieces, NULL otherwise: owned, or in `kept` */
    size_t body_len;      /* of the whole body */
    size_t have;          /* bytes of it so far */
    struct secret kept;   /* with `wipe`: for bodies, from one to the next */
    struct frame yielded; /* until frame_done */
};

void frame_decoder_init(struct frame_decoder *d, size_t limit, bool wipe);
void frame_decoder_deinit(struct frame_decoder *d);
/* For frames that begin from now on. */
void frame_decoder_limit(struct frame_decoder *d, size_t limit);

/* Takes input up to the end of the next frame; `used`: how much. 0 with a frame, > 0 enum
 * frame_condition, -ENOMEM. */
int frame_decode(
    struct frame_decoder *d, uint8_t *data, size_t len, size_t *used, struct frame *out) must_check;
/* The yielded frame is done with. */
void frame_done(struct frame_decoder *d);

/* Where the next bytes of the body that is being collected belong, and how many are missing; 0 if
 * none is. Bytes read straight to there and then given to frame_decode are not copied. */
size_t frame_space(const struct frame_decoder *d, uint8_t **out);

/* Length of the body and the type of a header; a length below 2 is returned as SIZE_MAX. */
size_t frame_header_read(const uint8_t header[FRAME_HEADER_BYTES], uint16_t *type);
void frame_header_write(uint8_t header[FRAME_HEADER_BYTES], uint16_t type, size_t body_len);
/* A body can be this long at most. */
#define FRAME_BODY_MAX ((size_t)UINT32_MAX - 2)
