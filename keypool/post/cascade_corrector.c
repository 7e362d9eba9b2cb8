/* SPDX-License-Identifier: Apache-2.0 */
/* The end of Cascade that corrects. */
#include "keypool/post/cascade_frame.h"

#include "common/util.h"

#include <errno.h>

#define ASKED 100 /* internal: the question is not empty */

enum node_flag { NODE_KNOWN = 1, NODE_ODD = 2 };

enum corrector_phase { PHASE_START, PHASE_ROOTS, PHASE_NODES, PHASE_SUBSETS, PHASE_PARTS };

struct nodes {
    struct cascade_node *items; /* owned */
    size_t n;
    size_t cap;
};

/* One search inside a subset. */
struct part {
    uint32_t subset;
    struct cascade_interval interval;
};

struct cascade_corrector {
    struct cascade_frame frame;
    uint8_t *flags[CASCADE_PASSES]; /* owned: enum node_flag by node number */
    unsigned depth[CASCADE_PASSES];
    unsigned passes;                    /* whose roots are known */
    struct nodes odd[CASCADE_PASSES];   /* perhaps odd deepest known nodes */
    struct nodes asked[CASCADE_PASSES]; /* in the order asked */
    unsigned wave;                      /* the pass being searched */
    enum corrector_phase phase;
    bool subsets_known;
    bool subset_odd[CASCADE_SUBSETS];
    struct part parts[CASCADE_SEGMENTS];
    size_t n_parts;
    uint64_t leak_bits;
    uint64_t flips;
};

static int nodes_push(struct nodes *a, struct cascade_node v)
{
    if (a->n == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 256;
        struct cascade_node *items = realloc(a->items, cap * sizeof(*items));
        if (!items)
            return -ENOMEM;
        a->items = items;
        a->cap = cap;
    }
    a->items[a->n++] = v;
    return 0;
}

struct cascade_corrector *cascade_corrector_new(
    const struct cascade_plan *p, const struct cascade_shuffle *shuffle, const uint8_t *bits)
{
    struct cascade_corrector *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    if (cascade_frame_init(&c->frame, p, shuffle, bits) < 0) {
        free(c);
        return NULL;
    }
    for (unsigned pass = 0; pass < CASCADE_PASSES; pass++) {
        c->depth[pass] = cascade_depth(p, pass);
        c->flags[pass] = calloc((size_t)cascade_blocks(&c->frame, pass) << (c->depth[pass] + 1), 1);
        if (!c->flags[pass]) {
            cascade_corrector_free(c);
            return NULL;
        }
    }
    return c;
}

void cascade_corrector_free(struct cascade_corrector *c)
{
    if (!c)
        return;
    for (unsigned pass = 0; pass < CASCADE_PASSES; pass++) {
        free(c->flags[pass]);
        free(c->odd[pass].items);
        free(c->asked[pass].items);
    }
    cascade_frame_deinit(&c->frame);
    free(c);
}

const uint8_t *cascade_corrector_bits(const struct cascade_corrector *c)
{
    return c->frame.memory.data;
}

uint64_t cascade_corrector_leak_bits(const struct cascade_corrector *c)
{
    return c->leak_bits;
}

uint64_t cascade_corrector_flips(const struct cascade_corrector *c)
{
    return c->flips;
}

/* ---- flipping a bit ----------------------------------------------------------------------------- */

static uint8_t *flag_of(struct cascade_corrector *c, unsigned pass, const struct cascade_node *n)
{
    return &c->flags[pass][cascade_number(c->depth[pass], n)];
}

/* Toggles the known nodes above a position; the deepest one, if odd now, is to be searched. */
static int toggle_path(struct cascade_corrector *c, unsigned pass, uint32_t position)
{
    uint32_t block;
    uint32_t unit;
    cascade_locate(&c->frame, pass, position, &block, &unit);
    struct cascade_node n = cascade_root(&c->frame, pass, block);
    for (;;) {
        *flag_of(c, pass, &n) ^= NODE_ODD;
        if (n.to - n.from < 2)
            break;
        struct cascade_node half = cascade_half(&c->frame, pass, &n, false);
        if (unit >= half.to)
            half = cascade_half(&c->frame, pass, &n, true);
        if (!(*flag_of(c, pass, &half) & NODE_KNOWN))
            break;
        n = half;
    }
    return *flag_of(c, pass, &n) & NODE_ODD ? nodes_push(&c->odd[pass], n) : 0;
}

static int flip_bit(struct cascade_corrector *c, uint32_t position)
{
    if (position >= c->frame.plan.n)
        return CASCADE_E_PROTOCOL;
    /* Each flip of an honest conversation mends an error. Answers that contradict each other can make
     * the two passes undo one another's flips for ever, without a question between them. */
    if (++c->flips > c->frame.plan.n)
        return CASCADE_E_PROTOCOL;
    cascade_flip(&c->frame, position);
    int r = 0;
    for (unsigned pass = 0; pass < c->passes && r == 0; pass++)
        r = toggle_path(c, pass, position);
    for (uint32_t s = 0; c->subsets_known && s < CASCADE_SUBSETS; s++)
        c->subset_odd[s] ^= cascade_subset_has(&c->frame, s, position);
    return r;
}

/* ---- taking answers ----------------------------------------------------------------------------- */

static bool answer_bit(const uint8_t *answer, uint64_t k)
{
    return answer[k / 8] >> (k % 8) & 1;
}

static int take_roots(struct cascade_corrector *c, const uint8_t *answer)
{
    unsigned pass = c->passes++;
    c->wave = pass;
    for (uint32_t b = 0; b < cascade_blocks(&c->frame, pass); b++) {
        struct cascade_node root = cascade_root(&c->frame, pass, b);
        bool is_odd = answer_bit(answer, b) ^ cascade_parity(&c->frame, pass, &root);
        *flag_of(c, pass, &root) = (uint8_t)(NODE_KNOWN | (is_odd ? NODE_ODD : 0));
        int r = is_odd ? nodes_push(&c->odd[pass], root) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* The left half of an odd node is known now, and so the right half: one of them is odd. */
static int take_node(
    struct cascade_corrector *c, unsigned pass, const struct cascade_node *n, bool bit)
{
    struct cascade_node left = cascade_half(&c->frame, pass, n, false);
    struct cascade_node right = cascade_half(&c->frame, pass, n, true);
    bool left_odd = bit ^ cascade_parity(&c->frame, pass, &left);
    *flag_of(c, pass, &left) = (uint8_t)(NODE_KNOWN | (left_odd ? NODE_ODD : 0));
    *flag_of(c, pass, &right) = (uint8_t)(NODE_KNOWN | (left_odd ? 0 : NODE_ODD));
    return nodes_push(&c->odd[pass], left_odd ? left : right);
}

static int take_nodes(struct cascade_corrector *c, const uint8_t *answer)
{
    uint64_t bit = 0;
    int r = 0;
    for (unsigned pass = 0; pass < CASCADE_PASSES; pass++)
        for (size_t i = 0; i < c->asked[pass].n && r == 0; i++)
            r = take_node(c, pass, &c->asked[pass].items[i], answer_bit(answer, bit++));
    return r;
}

static void take_subsets(struct cascade_corrector *c, const uint8_t *answer)
{
    for (uint32_t s = 0; s < CASCADE_SUBSETS; s++)
        c->subset_odd[s] = answer_bit(answer, s) ^
                           cascade_subset_parity(&c->frame, s, cascade_subset_range(&c->frame, s));
    c->subsets_known = true;
}

/* Each search goes on in the half that is odd; a search that has come to one bit flips it. */
static int take_parts(struct cascade_corrector *c, const uint8_t *answer)
{
    size_t left = 0;
    for (size_t p = 0; p < c->n_parts; p++) {
        struct part part = c->parts[p];
        uint32_t middle = cascade_middle(part.interval);
        const struct cascade_interval half = {part.interval.from, middle};
        bool left_odd = answer_bit(answer, p) ^ cascade_subset_parity(&c->frame, part.subset, half);
        if (left_odd)
            part.interval.to = middle;
        else
            part.interval.from = middle;
        c->parts[left++] = part;
    }
    return 0;
}

/* Flips what the finished searches have found. */
static int finish_parts(struct cascade_corrector *c)
{
    size_t left = 0;
    for (size_t p = 0; p < c->n_parts; p++) {
        struct part part = c->parts[p];
        if (part.interval.to - part.interval.from > 1) {
            c->parts[left++] = part;
            continue;
        }
        int r = flip_bit(c, part.interval.from);
        if (r != 0)
            return r;
    }
    c->n_parts = left;
    return 0;
}

/* Bits that the answer to the last question must have. */
static uint64_t expected_bits(const struct cascade_corrector *c)
{
    switch (c->phase) {
    case PHASE_ROOTS:
        return cascade_blocks(&c->frame, c->passes);
    case PHASE_NODES:
        return c->asked[0].n + c->asked[1].n;
    case PHASE_SUBSETS:
        return CASCADE_SUBSETS;
    case PHASE_PARTS:
        return c->n_parts;
    default:
        return 0;
    }
}

static int take_answer(struct cascade_corrector *c, const uint8_t *answer, size_t len)
{
    uint64_t bits = expected_bits(c);
    if (len != (bits + 7) / 8)
        return CASCADE_E_PROTOCOL;
    c->leak_bits += bits;
    switch (c->phase) {
    case PHASE_ROOTS:
        return take_roots(c, answer);
    case PHASE_NODES:
        return take_nodes(c, answer);
    case PHASE_SUBSETS:
        take_subsets(c, answer);
        return 0;
    case PHASE_PARTS:
        return take_parts(c, answer);
    default:
        return 0;
    }
}

/* ---- asking ------------------------------------------------------------------------------------- */

static int compare_nodes(const void *a, const void *b)
{
    const struct cascade_node *x = a;
    const struct cascade_node *y = b;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return x->heap < y->heap ? -1 : x->heap > y->heap;
}

/* Waves keep their order, so that sorting is seldom needed. */
static void sort_nodes(struct nodes *a)
{
    for (size_t i = 1; i < a->n; i++)
        if (compare_nodes(&a->items[i - 1], &a->items[i]) > 0) {
            qsort(a->items, a->n, sizeof(*a->items), compare_nodes);
            return;
        }
}

/* Odd, and not halved yet. */
static bool is_open(struct cascade_corrector *c, unsigned pass, const struct cascade_node *n)
{
    if (!(*flag_of(c, pass, n) & NODE_ODD))
        return false;
    uint32_t left = n->block << (c->depth[pass] + 1) | 2 * n->heap;
    return n->to - n->from < 2 || !(c->flags[pass][left] & NODE_KNOWN);
}

static bool is_same(const struct cascade_node *a, const struct cascade_node *b)
{
    return a->block == b->block && a->heap == b->heap;
}

/* Sorts out which nodes of the pass to ask about; single odd units are flipped at once, whose number
 * is added to *flipped. */
static int choose_nodes(struct cascade_corrector *c, unsigned pass, size_t *flipped)
{
    struct nodes candidates = c->odd[pass];
    c->odd[pass] = (struct nodes){0};
    c->asked[pass].n = 0;
    sort_nodes(&candidates);
    int r = 0;
    for (size_t k = 0; k < candidates.n && r == 0; k++) {
        const struct cascade_node *n = &candidates.items[k];
        if ((k > 0 && is_same(n - 1, n)) || !is_open(c, pass, n))
            continue;
        if (n->to - n->from > 1) {
            r = nodes_push(&c->asked[pass], *n);
            continue;
        }
        r = flip_bit(c, cascade_position(&c->frame, pass, n));
        ++*flipped;
    }
    free(candidates.items);
    return r;
}

static int put_nodes(const struct cascade_corrector *c, unsigned pass, struct buf *question)
{
    const uint8_t head[] = {CASCADE_NODES, (uint8_t)pass};
    const struct nodes *asked = &c->asked[pass];
    if (asked->n == 0)
        return 0;
    int r = buf_append(question, head, sizeof(head));
    if (r == 0)
        r = cascade_put_varint(question, (uint32_t)asked->n);
    uint32_t last = 0;
    for (size_t i = 0; i < asked->n && r == 0; i++) {
        uint32_t number = cascade_number(c->depth[pass], &asked->items[i]);
        r = cascade_put_varint(question, number - last);
        last = number;
    }
    return r;
}

static int ask_nodes(struct cascade_corrector *c, struct buf *question)
{
    c->phase = PHASE_NODES;
    for (unsigned pass = 0; pass < CASCADE_PASSES; pass++)
        if (put_nodes(c, pass, question) < 0)
            return -ENOMEM;
    return ASKED;
}

/* Flips made while choosing may have settled some of the nodes chosen before them. */
static void drop_settled(struct cascade_corrector *c, unsigned pass)
{
    struct nodes *asked = &c->asked[pass];
    size_t open = 0;
    for (size_t i = 0; i < asked->n; i++)
        if (*flag_of(c, pass, &asked->items[i]) & NODE_ODD)
            asked->items[open++] = asked->items[i];
    asked->n = open;
}

/* Asks about one pass until nothing in it is odd, then about the other: searches in one pass never
 * meet, and a wave of them takes as many round trips as the longest. ASKED if something was. */
static int ask_search(struct cascade_corrector *c, struct buf *question)
{
    unsigned idle = 0;
    while (idle < c->passes) {
        c->asked[0].n = c->asked[1].n = 0;
        size_t flipped = 0;
        int r = choose_nodes(c, c->wave, &flipped);
        if (r != 0)
            return r;
        drop_settled(c, c->wave);
        if (c->asked[0].n + c->asked[1].n > 0)
            return ask_nodes(c, question);
        idle = flipped > 0 ? 0 : idle + 1;
        if (c->odd[c->wave].n == 0)
            c->wave = (c->wave + 1) % c->passes;
    }
    return 0;
}

static int ask_parts(struct cascade_corrector *c, struct buf *question)
{
    int r = buf_append(question, &(uint8_t){CASCADE_PARTS}, 1);
    if (r == 0)
        r = cascade_put_varint(question, (uint32_t)c->n_parts);
    for (size_t p = 0; p < c->n_parts && r == 0; p++) {
        const struct part *part = &c->parts[p];
        r = cascade_put_varint(question, part->subset);
        if (r == 0)
            r = cascade_put_varint(question, part->interval.from);
        if (r == 0)
            r = cascade_put_varint(question, cascade_middle(part->interval) - part->interval.from);
    }
    c->phase = PHASE_PARTS;
    return r;
}

/* One search per segment, side by side; only when no segment is odd, one over the whole frame. */
static void choose_parts(struct cascade_corrector *c)
{
    bool busy[CASCADE_SEGMENTS] = {false};
    uint32_t s = 0;
    for (; s < CASCADE_SEGMENTS * CASCADE_SEGMENT_ROUNDS; s++)
        if (c->subset_odd[s] && !busy[s % CASCADE_SEGMENTS]) {
            busy[s % CASCADE_SEGMENTS] = true;
            c->parts[c->n_parts++] = (struct part){s, cascade_subset_range(&c->frame, s)};
        }
    for (; s < CASCADE_SUBSETS && c->n_parts == 0; s++)
        if (c->subset_odd[s])
            c->parts[c->n_parts++] = (struct part){s, cascade_subset_range(&c->frame, s)};
}

/* Odd subsets are searched until all are even. ASKED if something was. */
static int ask_subsets(struct cascade_corrector *c, struct buf *question)
{
    if (!c->subsets_known) {
        c->phase = PHASE_SUBSETS;
        return buf_append(question, &(uint8_t){CASCADE_ASK_SUBSETS}, 1) < 0 ? -ENOMEM : ASKED;
    }
    choose_parts(c);
    if (c->n_parts == 0)
        return 0;
    return ask_parts(c, question) < 0 ? -ENOMEM : ASKED;
}

static int ask_roots(struct cascade_corrector *c, struct buf *question)
{
    const uint8_t head[] = {CASCADE_ROOTS, (uint8_t)c->passes};
    c->phase = PHASE_ROOTS;
    return buf_append(question, head, sizeof(head)) < 0 ? -ENOMEM : ASKED;
}

int cascade_corrector_step(
    struct cascade_corrector *c, const uint8_t *answer, size_t len, struct buf *question)
{
    int r = take_answer(c, answer, len);
    if (r == 0)
        r = finish_parts(c);
    if (r != 0)
        return r;
    if (c->leak_bits > c->frame.plan.n)
        return CASCADE_E_GIVE_UP;
    if (c->n_parts > 0)
        return ask_parts(c, question);
    r = ask_search(c, question);
    if (r == 0)
        r = c->passes < CASCADE_PASSES ? ask_roots(c, question) : ask_subsets(c, question);
    return r == ASKED ? 0 : r == 0 ? CASCADE_DONE : r;
}
