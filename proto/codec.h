/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding protobuf from peers that are not trusted, and packing for sending.
 *
 * protobuf-c 1.4.1 turns a 1 MiB frame of empty submessages into 60 MiB: every decode runs in an
 * arena with a byte budget of twice the frame plus a constant, and messages with unknown fields are
 * refused (a peer of another version is told so in HELLO, not by guessing).
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* Bump allocator for decoded messages: reset frees them all at once. */
struct arena;

/* `keep` bytes are held between resets; larger messages are allocated for the time being. NULL if
 * there is no memory. */
struct arena *arena_new(size_t keep) must_check;
void arena_free(struct arena *a);
/* Forgets everything decoded; wipes the bytes if they may have been secret. */
void arena_reset(struct arena *a, bool wipe);

enum codec_condition {
    CODEC_E_MALFORMED = 1, /* not a message of this type */
    CODEC_E_BUDGET,        /* would need more memory than the frame's size allows */
    CODEC_E_UNKNOWN,       /* has fields that this version does not know */
};

/* Decodes into the arena; the message lives until arena_reset. 0, > 0 enum codec_condition. */
int codec_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *body, size_t len,
    struct arena *a, ProtobufCMessage **message) must_check;

/* A blob with the packed message, or NULL if there is no memory. */
struct blob *codec_pack(const ProtobufCMessage *message) must_check;
