/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/narrate.h"

#include "proto/link.h"
#include "tests/sim/need.h"
#include "tests/sim/net.h"

#include <inttypes.h>

static void tell_bytes(FILE *f, const char *name, const ProtobufCBinaryData *b)
{
    fprintf(f, " %s=%zuB", name, b->len);
    for (size_t i = 0; i < b->len && i < 3; i++)
        fprintf(f, "%s%02x", i == 0 ? ":" : "", b->data[i]);
}

static void tell_message(FILE *f, const ProtobufCMessage *m);

static void tell_repeated(
    FILE *f, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *d, const void *at)
{
    size_t n = *(const size_t *)((const char *)m + d->quantifier_offset);
    fprintf(f, " %s[%zu]", d->name, n);
    if (d->type != PROTOBUF_C_TYPE_MESSAGE)
        return;
    for (size_t i = 0; i < n && i < 5; i++)
        tell_message(f, (*(ProtobufCMessage *const *const *)at)[i]);
}

static void tell_field(FILE *f, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *d)
{
    const void *at = (const char *)m + d->offset;
    if (d->label == PROTOBUF_C_LABEL_REPEATED) {
        tell_repeated(f, m, d, at);
        return;
    }
    switch (d->type) {
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_BOOL:
        fprintf(f, " %s=%" PRIu32, d->name, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        fprintf(f, " %s=%" PRIu64, d->name, *(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_STRING:
        fprintf(f, " %s=%s", d->name, *(char *const *)at);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        tell_bytes(f, d->name, at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        if (*(ProtobufCMessage *const *)at)
            tell_message(f, *(ProtobufCMessage *const *)at);
        break;
    default:
        break;
    }
}

static void tell_message(FILE *f, const ProtobufCMessage *m)
{
    fputs(" {", f);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++)
        tell_field(f, m, &m->descriptor->fields[i]);
    fputs(" }", f);
}

static const ProtobufCMessageDescriptor *find_descriptor(const struct exchange *x, uint16_t type)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->rules[i].type == type)
            return x->rules[i].descriptor;
    return NULL;
}

void narrate_message(struct world *w, const struct message *m, const char *arrow)
{
    if (!w->story)
        return;
    char *text = NULL;
    size_t len;
    FILE *f = need(open_memstream(&text, &len));
    fprintf(
        f, "%s %s %s %s", m->from->name, arrow, m->to->name, net_type_name(m->exchange, m->type));
    const ProtobufCMessageDescriptor *d = find_descriptor(m->exchange, m->type);
    ProtobufCMessage *message = d ? protobuf_c_message_unpack(d, NULL, m->len, m->body) : NULL;
    if (message)
        tell_message(f, message);
    protobuf_c_message_free_unpacked(message, NULL);
    fclose(f);
    world_tell(w, "%s", text);
    free(text);
}
