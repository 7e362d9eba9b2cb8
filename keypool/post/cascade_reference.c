/* SPDX-License-Identifier: Apache-2.0 */
/* The end of Cascade that answers. Every question is checked before its parity is disclosed. */
#include "keypool/post/cascade_frame.h"

struct cascade_reference {
    struct cascade_frame frame;
    uint64_t leak_bits;
    struct buf *answer; /* borrowed during one call */
    uint64_t pending;   /* bits of the answer that are not yet there */
    unsigned n_pending;
};

struct cascade_reference *cascade_reference_new(
    const struct cascade_plan *p, const struct cascade_shuffle *shuffle, const uint8_t *bits)
{
    auto_free struct cascade_reference *r = calloc(1, sizeof(*r));
    if (!r || cascade_frame_init(&r->frame, p, shuffle, bits) < 0)
        return NULL;
    return steal(&r);
}

void cascade_reference_restart(struct cascade_reference *r, const uint8_t *bits)
{
    cascade_frame_load(&r->frame, bits);
    r->leak_bits = 0;
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

static int put_pending(struct cascade_reference *r)
{
    uint8_t bytes[8];
    put_u64le(bytes, r->pending);
    int e = buf_append(r->answer, bytes, (r->n_pending + 7) / 8);
    r->pending = 0;
    r->n_pending = 0;
    return e;
}

static inline int put_bit(struct cascade_reference *r, bool bit)
{
    if (r->leak_bits >= r->frame.plan.n)
        return CASCADE_E_GIVE_UP;
    r->leak_bits++;
    r->pending |= (uint64_t)bit << r->n_pending;
    return ++r->n_pending == 64 ? put_pending(r) : 0;
}

static int answer_roots(struct cascade_reference *r, const uint8_t *q, size_t len, size_t *at)
{
    unsigned pass = *at < len ? q[(*at)++] : CASCADE_PASSES;
    if (pass >= CASCADE_PASSES)
        return CASCADE_E_PROTOCOL;
    const struct cascade_tree *t = &r->frame.tree[pass];
    if (pass == 1)
        cascade_need_columns(&r->frame);
    int e = 0;
    for (uint32_t b = 0; b < t->blocks && e == 0; b++)
        e = put_bit(r, cascade_root_parity(&r->frame, pass, b));
    return e;
}

/* What lasts longest: a copy for each pass, the tree in registers. */
__attribute__((always_inline)) static inline int answer_nodes_of(
    struct cascade_reference *r, unsigned pass, const uint8_t *q, size_t len, size_t *at)
{
    const struct cascade_tree t = r->frame.tree[pass];
    uint32_t count;
    if (!cascade_get_varint(q, len, at, &count))
        return CASCADE_E_PROTOCOL;
    uint64_t number = 0;
    size_t here = *at;
    int e = 0;
    for (uint32_t c = 0; c < count && e == 0; c++) {
        uint32_t delta;
        if (!cascade_get_varint(q, len, &here, &delta) || delta == 0 ||
            (number += delta) >= (uint64_t)t.blocks << (t.depth + 1))
            return CASCADE_E_PROTOCOL;
        struct cascade_node n = cascade_node_of(&t, (uint32_t)number);
        struct cascade_bounds i = cascade_bounds(&t, &n);
        if (n.heap == 0 || i.to - i.from < 2)
            return CASCADE_E_PROTOCOL;
        e = put_bit(r, cascade_parity(&r->frame, pass, n.block, i.from, i.middle));
    }
    *at = here;
    return e;
}

static int answer_nodes(struct cascade_reference *r, const uint8_t *q, size_t len, size_t *at)
{
    unsigned pass = *at < len ? q[(*at)++] : CASCADE_PASSES;
    if (pass >= CASCADE_PASSES)
        return CASCADE_E_PROTOCOL;
    if (pass == 0)
        return answer_nodes_of(r, 0, q, len, at);
    cascade_need_columns(&r->frame);
    return answer_nodes_of(r, 1, q, len, at);
}

static int answer_subsets(struct cascade_reference *r)
{
    int e = 0;
    cascade_need_sums(&r->frame);
    for (uint32_t s = 0; s < CASCADE_SUBSETS && e == 0; s++)
        e = put_bit(r, cascade_subset_parity(&r->frame, s, cascade_subset_range(&r->frame, s)));
    return e;
}

static int answer_parts(struct cascade_reference *r, const uint8_t *q, size_t len, size_t *at)
{
    uint32_t count;
    if (!cascade_get_varint(q, len, at, &count) || count > CASCADE_SUBSETS)
        return CASCADE_E_PROTOCOL;
    cascade_need_sums(&r->frame);
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
    r->pending = 0;
    r->n_pending = 0;
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
    if (e == 0)
        e = put_pending(r);
    r->answer = NULL;
    return e;
}
