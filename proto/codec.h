/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding protobuf from peers that are not trusted, and packing for sending.
 *
 * protobuf-c 1.4.1 turns a 1 MiB frame of empty submessages into 60 MiB, takes a field twice, cuts a
 * string at an embedded NUL and keeps fields it does not know. So messages are packed by protobuf-c
 * and decoded here, into the same structs and by the same descriptors, under stricter rules
 * (docs/decisions/strict-decoder.md): no unknown field, no field twice unless repeated, shortest
 * varints in the range of their type, strings of valid UTF-8 without NUL. A single submessage is
 * mandatory, so its pointer is never NULL; so are strings. What is accepted here protobuf-c decodes to
 * the same message.
 *
 * Memory: the message and its tables live in an arena with a budget of CODEC_BUDGET(frame) bytes;
 * vectors (`bytes` fields) stay where they are, in the frame.
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "proto/arena.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* A struct is larger than its encoding: up to 4 times for the smallest entries of legal tables. */
#define CODEC_BUDGET(frame_bytes) (4 * (size_t)(frame_bytes) + 4096)

#define CODEC_FIELDS_MAX 64 /* fields of one message type */

enum codec_condition {
    CODEC_E_MALFORMED = 1, /* not a message of this type */
    CODEC_E_BUDGET,        /* would need more memory than the frame's size allows */
    CODEC_E_UNKNOWN,       /* has fields that this version does not know */
};

/* Decodes into the arena, with a copy of the body; the message lives until arena_reset. 0, > 0 enum
 * codec_condition, -ENOMEM. */
int codec_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *body, size_t len,
    struct arena *a, ProtobufCMessage **message) must_check;

/* The same without the copy: `bytes` fields point into `body` (so that wiping them wipes the frame),
 * and the message lives only as long as both arena and body do. */
int codec_unpack_in_place(const ProtobufCMessageDescriptor *descriptor, uint8_t *body, size_t len,
    struct arena *a, ProtobufCMessage **message) must_check;

/* A blob with the packed message, or NULL if there is no memory. */
struct blob *codec_pack(const ProtobufCMessage *message) must_check;

/* Whether messages of this type can be decoded here: no recursion, no oneof or optional, no repeated
 * numbers (vectors are `bytes`). For the test that walks every exchange. */
bool codec_supports(const ProtobufCMessageDescriptor *descriptor);
