/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/codec.h"

#include "common/util.h"

#include <assert.h>
#include <errno.h>

#define DEPTH_MAX 4 /* of submessages: exchanges use 2 */

/* The part of the body not read yet. */
struct reader {
    uint8_t *p;
    const uint8_t *end;
};

/* One field as it stands on the wire. */
struct wire {
    const ProtobufCFieldDescriptor *field;
    uint64_t number; /* VARINT, 64BIT, 32BIT */
    uint8_t *data;   /* LENGTH_PREFIXED: in the body */
    size_t len;
};

static int read_varint(struct reader *r, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->p == r->end)
            return CODEC_E_MALFORMED;
        uint8_t byte = *r->p++;
        if (shift == 63 && byte > 1)
            return CODEC_E_MALFORMED;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = v;
            return byte == 0 && shift > 0 ? CODEC_E_MALFORMED : 0; /* not the shortest form */
        }
    }
    return CODEC_E_MALFORMED;
}

static int read_fixed(struct reader *r, size_t bytes, uint64_t *out)
{
    if ((size_t)(r->end - r->p) < bytes)
        return CODEC_E_MALFORMED;
    *out = bytes == 8 ? get_u64le(r->p) : get_u32le(r->p);
    r->p += bytes;
    return 0;
}

static int read_prefixed(struct reader *r, struct wire *w)
{
    uint64_t len;
    int res = read_varint(r, &len);
    if (res != 0)
        return res;
    if (len > (size_t)(r->end - r->p))
        return CODEC_E_MALFORMED;
    w->data = r->p;
    w->len = (size_t)len;
    r->p += len;
    return 0;
}

static int wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_FIXED32:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_BOOL:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    default:
        return -1;
    }
}

static int read_field(
    struct reader *r, const ProtobufCMessageDescriptor *descriptor, struct wire *w)
{
    *w = (struct wire){0};
    uint64_t tag;
    int res = read_varint(r, &tag);
    if (res != 0)
        return res;
    if (tag >> 3 == 0 || tag >> 32 != 0)
        return CODEC_E_MALFORMED;
    w->field = protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(tag >> 3));
    if (!w->field)
        return CODEC_E_UNKNOWN;
    int wire_type = (int)(tag & 7);
    if (wire_type != wire_type_of(w->field->type))
        return CODEC_E_MALFORMED;
    switch (wire_type) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return read_varint(r, &w->number);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return read_fixed(r, 8, &w->number);
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return read_fixed(r, 4, &w->number);
    default:
        return read_prefixed(r, w);
    }
}

/* Length of the UTF-8 sequence at p, 0 if there is none (RFC 3629: no surrogates, shortest form). */
static size_t utf8_sequence(const uint8_t *p, size_t len)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n > len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool is_long = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool is_surrogate = p[0] == 0xed && p[1] >= 0xa0;
    bool is_beyond = p[0] == 0xf4 && p[1] >= 0x90;
    return is_long || is_surrogate || is_beyond ? 0 : n;
}

static bool is_text(const uint8_t *p, size_t len)
{
    while (len > 0) {
        size_t n = *p == 0 ? 0 : utf8_sequence(p, len);
        if (n == 0)
            return false;
        p += n;
        len -= n;
    }
    return true;
}

static int take(struct arena *a, size_t len, size_t align, void **out)
{
    int r = arena_alloc(a, len, align, out);
    return r == ARENA_E_BUDGET ? CODEC_E_BUDGET : r;
}

static void *member_at(ProtobufCMessage *m, unsigned offset)
{
    return (uint8_t *)m + offset;
}

static int store_string(const struct wire *w, struct arena *a, void *slot)
{
    void *text;
    if (!is_text(w->data, w->len))
        return CODEC_E_MALFORMED;
    int r = take(a, w->len + 1, 1, &text);
    if (r != 0)
        return r;
    memcpy(text, w->data, w->len);
    ((char *)text)[w->len] = '\0';
    *(char **)slot = text;
    return 0;
}

static int store_number(const struct wire *w, void *slot)
{
    uint64_t v = w->number;
    switch (w->field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        if (v > 1)
            return CODEC_E_MALFORMED;
        *(protobuf_c_boolean *)slot = (protobuf_c_boolean)v;
        return 0;
    case PROTOBUF_C_TYPE_INT32:
        if ((int64_t)v < INT32_MIN || (int64_t)v > INT32_MAX)
            return CODEC_E_MALFORMED;
        *(int32_t *)slot = (int32_t)(int64_t)v;
        return 0;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        if (v > UINT32_MAX)
            return CODEC_E_MALFORMED;
        *(uint32_t *)slot = (uint32_t)v;
        return 0;
    default: /* eight bytes: integers and the double's own bits */
        memcpy(slot, &v, sizeof(v));
        return 0;
    }
}

static int decode(const ProtobufCMessageDescriptor *descriptor, struct reader r, struct arena *a,
    unsigned depth, ProtobufCMessage **out);

static int store(const struct wire *w, struct arena *a, unsigned depth, void *slot)
{
    switch (w->field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return store_string(w, a, slot);
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)slot = (ProtobufCBinaryData){.len = w->len, .data = w->data};
        return 0;
    case PROTOBUF_C_TYPE_MESSAGE:
        return decode(w->field->descriptor, (struct reader){w->data, w->data + w->len}, a,
            depth + 1, (ProtobufCMessage **)slot);
    default:
        return store_number(w, slot);
    }
}

static size_t entry_size(const ProtobufCFieldDescriptor *f)
{
    return f->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);
}

static bool has_submessages(const ProtobufCMessageDescriptor *descriptor, uint64_t seen)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &descriptor->fields[i];
        bool is_single =
            f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED;
        if (is_single && !(seen >> i & 1))
            return false;
    }
    return true;
}

/* First pass: every tag is known, no single field comes twice, no single submessage is missing;
 * entries of tables are counted. */
static int count_fields(
    const ProtobufCMessageDescriptor *descriptor, struct reader r, ProtobufCMessage *m)
{
    uint64_t seen = 0;
    while (r.p != r.end) {
        struct wire w;
        int res = read_field(&r, descriptor, &w);
        if (res != 0)
            return res;
        if (w.field->label == PROTOBUF_C_LABEL_REPEATED) {
            ++*(size_t *)member_at(m, w.field->quantifier_offset);
            continue;
        }
        uint64_t bit = (uint64_t)1 << (w.field - descriptor->fields);
        if (seen & bit)
            return CODEC_E_MALFORMED;
        seen |= bit;
    }
    return has_submessages(descriptor, seen) ? 0 : CODEC_E_MALFORMED;
}

static int make_tables(
    const ProtobufCMessageDescriptor *descriptor, struct arena *a, ProtobufCMessage *m)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &descriptor->fields[i];
        if (f->label != PROTOBUF_C_LABEL_REPEATED)
            continue;
        size_t *n = member_at(m, f->quantifier_offset);
        if (*n == 0)
            continue;
        int r = take(a, *n * entry_size(f), 8, member_at(m, f->offset));
        if (r != 0)
            return r;
        *n = 0;
    }
    return 0;
}

/* Second pass: the tables exist; fill them and the single fields. */
static int fill_fields(const ProtobufCMessageDescriptor *descriptor, struct reader r,
    struct arena *a, unsigned depth, ProtobufCMessage *m)
{
    while (r.p != r.end) {
        struct wire w;
        int res = read_field(&r, descriptor, &w);
        if (res != 0)
            return res;
        void *slot = member_at(m, w.field->offset);
        if (w.field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t *n = member_at(m, w.field->quantifier_offset);
            slot = *(uint8_t **)slot + (*n)++ * entry_size(w.field);
        }
        res = store(&w, a, depth, slot);
        if (res != 0)
            return res;
    }
    return 0;
}

static int decode(const ProtobufCMessageDescriptor *descriptor, struct reader r, struct arena *a,
    unsigned depth, ProtobufCMessage **out)
{
    assert(descriptor->n_fields <= CODEC_FIELDS_MAX && depth < DEPTH_MAX);
    void *memory;
    int res = take(a, descriptor->sizeof_message, 8, &memory);
    if (res != 0)
        return res;
    ProtobufCMessage *m = memory;
    protobuf_c_message_init(descriptor, m);
    res = count_fields(descriptor, r, m);
    if (res == 0)
        res = make_tables(descriptor, a, m);
    if (res == 0)
        res = fill_fields(descriptor, r, a, depth, m);
    if (res == 0)
        *out = m;
    return res;
}

int codec_unpack_in_place(const ProtobufCMessageDescriptor *descriptor, uint8_t *body, size_t len,
    struct arena *a, ProtobufCMessage **message)
{
    uint8_t nothing;
    *message = NULL;
    arena_budget(a, CODEC_BUDGET(len));
    if (len == 0)
        body = &nothing;
    return decode(descriptor, (struct reader){body, body + len}, a, 0, message);
}

int codec_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *body, size_t len,
    struct arena *a, ProtobufCMessage **message)
{
    void *copy;
    *message = NULL;
    arena_budget(a, len);
    int r = take(a, len, 1, &copy);
    if (r != 0)
        return r;
    if (len > 0)
        memcpy(copy, body, len);
    return codec_unpack_in_place(descriptor, copy, len, a, message);
}

struct blob *codec_pack(const ProtobufCMessage *message)
{
    struct blob *b = blob_new(protobuf_c_message_get_packed_size(message));
    if (b)
        protobuf_c_message_pack(message, b->data);
    return b;
}

static bool supports(const ProtobufCMessageDescriptor *descriptor, unsigned depth)
{
    if (depth >= DEPTH_MAX || descriptor->n_fields > CODEC_FIELDS_MAX)
        return false;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &descriptor->fields[i];
        bool is_prefixed = wire_type_of(f->type) == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
        bool is_single = f->label == PROTOBUF_C_LABEL_NONE ||
                         (f->label == PROTOBUF_C_LABEL_OPTIONAL && is_prefixed);
        bool is_table = f->label == PROTOBUF_C_LABEL_REPEATED && is_prefixed;
        if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || wire_type_of(f->type) < 0)
            return false;
        if (!is_single && !is_table)
            return false;
        if (f->type == PROTOBUF_C_TYPE_MESSAGE && !supports(f->descriptor, depth + 1))
            return false;
    }
    return true;
}

bool codec_supports(const ProtobufCMessageDescriptor *descriptor)
{
    return supports(descriptor, 0);
}
