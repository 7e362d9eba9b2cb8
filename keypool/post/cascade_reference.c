/* SPDX-License-Identifier: Apache-2.0 */
/* The end of Cascade that answers. Every question is checked before any parity is disclosed. */
#include "keypool/post/cascade_frame.h"

#include "common/util.h"

struct cascade_reference {
    struct cascade_frame frame;
    uint64_t leak_bits;
    struct buf *answer; /* borrowed during one call */
    uint64_t bits;      /* of the answer so far */
};

struct cascade_reference *cascade_reference_new(
    const struct cascade_plan *p, const struct cascade_shuffle *shuffle, const uint8_t *bits)
{
    auto_free struct cascade_reference *r = calloc(1, sizeof(*r));
    if (!r || cascade_frame_init(&r->frame, p, shuffle, bits) < 0)
        return NULL;
    return steal(&r);
}

void cascade_reference_free(struct cascade_reference *r)
{
    if (!r)
        return;
    cascade_frame_deinit(&r->frame);
    free(r);
}

uint64_t cascade_reference_leak_bits(const struct cascade_reference *r)
{
    return r->leak_bits;
}

static int put_bit(struct cascade_reference *r, bool bit)
{
    if (r->bits % 8 == 0) {
        int e = buf_append(r->answer, &(uint8_t){0}, 1);
        if (e < 0)
            return e;
    }
    r->answer->data[r->answer->len - 1] |= (uint8_t)(bit << (r->bits % 8));
    r->bits++;
    r->leak_bits++;
    return r->leak_bits > r->frame.plan.n ? CASCADE_E_GIVE_UP : 0;
}

static int answer_roots(struct cascade_reference *r, const uint8_t *q, size_t len, size_t *at)
{
    unsigned pass = *at < len ? q[(*at)++] : CASCADE_PASSES;
    if (pass >= CASCADE_PASSES)
        return CASCADE_E_PROTOCOL;
    for (uint32_t b = 0; b < cascade_blocks(&r->frame, pass); b++) {
        struct cascade_node root = cascade_root(&r->frame, pass, b);
        int e = put_bit(r, cascade_parity(&r->frame, pass, &root));
        if (e != 0)
            return e;
    }
    return 0;
}

static int answer_nodes(struct cascade_reference *r, const uint8_t *q, size_t len, size_t *at)
{
    unsigned pass = *at < len ? q[(*at)++] : CASCADE_PASSES;
    uint32_t count;
    if (pass >= CASCADE_PASSES || !cascade_get_varint(q, len, at, &count))
        return CASCADE_E_PROTOCOL;
    uint64_t number = 0;
    for (uint32_t c = 0; c < count; c++) {
        uint32_t delta;
        struct cascade_node n;
        if (!cascade_get_varint(q, len, at, &delta) || delta == 0 ||
            (number += delta) > UINT32_MAX ||
            !cascade_node_of(&r->frame, pass, (uint32_t)number, &n) || n.to - n.from < 2)
            return CASCADE_E_PROTOCOL;
        struct cascade_node left = cascade_half(&r->frame, pass, &n, false);
        int e = put_bit(r, cascade_parity(&r->frame, pass, &left));
        if (e != 0)
            return e;
    }
    return 0;
}

static int answer_subsets(struct cascade_reference *r)
{
    int e = 0;
    for (uint32_t s = 0; s < CASCADE_SUBSETS && e == 0; s++)
        e = put_bit(r, cascade_subset_parity(&r->frame, s, cascade_subset_range(&r->frame, s)));
    return e;
}

static int answer_parts(struct cascade_reference *r, const uint8_t *q, size_t len, size_t *at)
{
    uint32_t count;
    if (!cascade_get_varint(q, len, at, &count) || count > CASCADE_SUBSETS)
        return CASCADE_E_PROTOCOL;
    for (uint32_t c = 0; c < count; c++) {
        uint32_t s;
        uint32_t from;
        uint32_t length;
        if (!cascade_get_varint(q, len, at, &s) || !cascade_get_varint(q, len, at, &from) ||
            !cascade_get_varint(q, len, at, &length) || s >= CASCADE_SUBSETS ||
            from > r->frame.plan.n || length > r->frame.plan.n - from)
            return CASCADE_E_PROTOCOL;
        const struct cascade_interval i = {from, from + length};
        int e = put_bit(r, cascade_subset_parity(&r->frame, s, i));
        if (e != 0)
            return e;
    }
    return 0;
}

int cascade_reference_answer(
    struct cascade_reference *r, const uint8_t *question, size_t len, struct buf *answer)
{
    r->answer = answer;
    r->bits = 0;
    int e = 0;
    for (size_t at = 0; at < len && e == 0;) {
        switch (question[at++]) {
        case CASCADE_ROOTS:
            e = answer_roots(r, question, len, &at);
            break;
        case CASCADE_NODES:
            e = answer_nodes(r, question, len, &at);
            break;
        case CASCADE_ASK_SUBSETS:
            e = answer_subsets(r);
            break;
        case CASCADE_PARTS:
            e = answer_parts(r, question, len, &at);
            break;
        default:
            e = CASCADE_E_PROTOCOL;
        }
    }
    r->answer = NULL;
    return e;
}
