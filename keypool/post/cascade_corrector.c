/* SPDX-License-Identifier: Apache-2.0 */
/* The end of Cascade that corrects. */
#include "keypool/post/cascade_marks.h"
#include "keypool/post/cascade_numbers.h"

#include <errno.h>

#define ASKED 100 /* internal: the question is not empty */

/* After PATIENCE round trips searches ask for two levels of halving at once, and for one more after each
 * HASTE: some more parities, when few searches are left, for far fewer round trips. */
#define PATIENCE   280
#define HASTE      20
#define LEVELS_MAX 5

enum corrector_phase { PHASE_START, PHASE_ROOTS, PHASE_NODES, PHASE_SUBSETS, PHASE_PARTS };

/* One search inside a subset, and the intervals of it that are asked about. */
struct part {
    uint32_t subset;
    uint32_t heap; /* of the interval among those asked about */
    struct cascade_interval interval;
};

struct cascade_corrector {
    struct cascade_frame frame;
    struct marks marks[CASCADE_PASSES];
    unsigned passes; /* whose roots are known */
    unsigned wave;   /* the pass being searched */
    enum corrector_phase phase;
    struct numbers found; /* of the wave: odd nodes with unknown halves, ascending */
    struct numbers touched[CASCADE_PASSES]; /* perhaps such nodes */
    struct numbers searched, asked;
    bool subsets_known;
    uint64_t subsets_odd; /* mask */
    struct part parts[CASCADE_SEGMENTS];
    size_t n_parts;
    struct part pieces[CASCADE_SUBSETS]; /* the left halves of the parts' intervals asked about */
    size_t n_pieces;
    uint64_t trips;
    uint64_t leak_bits;
    uint64_t flips;
};

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
        const struct cascade_tree *t = &c->frame.tree[pass];
        if (marks_init(&c->marks[pass], t) < 0) {
            cascade_corrector_free(c);
            return NULL;
        }
    }
    return c;
}

void cascade_corrector_restart(struct cascade_corrector *c, const uint8_t *bits)
{
    cascade_frame_load(&c->frame, bits);
    for (unsigned pass = 0; pass < CASCADE_PASSES; pass++) {
        memset(c->marks[pass].words, 0, c->marks[pass].bytes);
        c->touched[pass].n = 0;
    }
    c->found.n = c->searched.n = c->asked.n = 0;
    c->passes = c->wave = 0;
    c->phase = PHASE_START;
    c->subsets_known = false;
    c->n_parts = c->n_pieces = 0;
    c->trips = c->leak_bits = c->flips = 0;
}

void cascade_corrector_free(struct cascade_corrector *c)
{
    if (!c)
        return;
    for (unsigned pass = 0; pass < CASCADE_PASSES; pass++) {
        free(c->marks[pass].words);
        numbers_deinit(&c->touched[pass]);
    }
    numbers_deinit(&c->found);
    numbers_deinit(&c->searched);
    numbers_deinit(&c->asked);
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

/* ---- marks -------------------------------------------------------------------------------------- */

static inline bool has_halves(const struct cascade_bounds *i)
{
    return i->to - i->from >= 2;
}

static inline struct mark mark_at(
    struct cascade_corrector *c, unsigned pass, uint32_t block, uint32_t heap)
{
    return mark_of(&c->marks[pass], &c->frame.tree[pass], block, heap);
}

/* Odd, and its halves are not known. */
static bool is_open(struct cascade_corrector *c, unsigned pass, uint32_t number)
{
    const struct cascade_tree *t = &c->frame.tree[pass];
    struct cascade_node n = cascade_node_of(t, number);
    struct cascade_bounds i = cascade_bounds(t, &n);
    bool is_odd = is_left_odd(mark_at(c, pass, n.block, 0));
    for (unsigned up = n.level; up > 0; up--) {
        bool left_odd = is_left_odd(mark_at(c, pass, n.block, n.heap >> up));
        bool right = n.heap >> (up - 1) & 1;
        is_odd = right ? is_odd ^ left_odd : left_odd;
    }
    return is_odd && (!has_halves(&i) || !is_split(mark_at(c, pass, n.block, n.heap)));
}

/* ---- flipping a bit ----------------------------------------------------------------------------- */

/* Toggles the known nodes above a position; the deepest one, if odd now, is to be searched. */
__attribute__((always_inline)) static inline int toggle_path(
    struct cascade_corrector *c, unsigned pass, uint32_t position)
{
    const struct cascade_tree t = c->frame.tree[pass];
    uint32_t block;
    uint32_t unit;
    cascade_locate(&c->frame, pass, position, &block, &unit);
    struct cascade_node n = cascade_root(&t, block);
    bool is_odd = toggle_left(mark_at(c, pass, block, 0), true);
    while (n.level < t.depth) {
        struct mark m = mark_at(c, pass, block, n.heap);
        if (!is_split(m))
            break;
        bool right = unit >= cascade_bounds(&t, &n).middle;
        bool left_odd = toggle_left(m, !right);
        is_odd = left_odd ^ (is_odd & right);
        n = cascade_half(&n, right);
    }
    return is_odd ? numbers_push(&c->touched[pass], cascade_number(&t, &n)) : 0;
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
    int r = toggle_path(c, 0, position);
    if (r == 0 && c->passes > 1)
        r = toggle_path(c, 1, position);
    if (c->subsets_known)
        c->subsets_odd ^= cascade_subsets_of(&c->frame, position);
    return r;
}

/* ---- taking answers ----------------------------------------------------------------------------- */

static inline bool answer_bit(const uint8_t *answer, uint64_t k)
{
    return answer[k / 8] >> (k % 8) & 1;
}

/* An odd node whose halves are not known: to be searched, or a wrong bit. Flips in one pass change
 * nothing in what else is odd in it: such nodes do not overlap. */
static int follow(struct cascade_corrector *c, unsigned pass, const struct cascade_node *n)
{
    struct cascade_bounds i = cascade_bounds(&c->frame.tree[pass], n);
    if (!has_halves(&i))
        return flip_bit(c, cascade_position(&c->frame, pass, n->block, i.from));
    return numbers_push(&c->found, cascade_number(&c->frame.tree[pass], n));
}

static int take_root(struct cascade_corrector *c, unsigned pass, uint32_t block, bool is_odd)
{
    struct cascade_node root = cascade_root(&c->frame.tree[pass], block);
    mark_split(mark_at(c, pass, block, 0), is_odd);
    return is_odd ? follow(c, pass, &root) : 0;
}

static int take_roots(struct cascade_corrector *c, const uint8_t *answer)
{
    unsigned pass = c->passes++;
    c->wave = pass;
    int r = 0;
    for (uint32_t b = 0; b < c->frame.tree[pass].blocks && r == 0; b++)
        r = take_root(c, pass, b, answer_bit(answer, b) ^ cascade_root_parity(&c->frame, pass, b));
    return r;
}

/* From an odd node down to the one whose halves are not known. */
static struct cascade_node descend(struct cascade_corrector *c, unsigned pass, uint32_t number)
{
    const struct cascade_tree *t = &c->frame.tree[pass];
    struct cascade_node n = cascade_node_of(t, number);
    while (n.level < t->depth) {
        struct mark m = mark_at(c, pass, n.block, n.heap);
        if (!is_split(m))
            break;
        n = cascade_half(&n, !is_left_odd(m));
    }
    return n;
}

/* With the left half's parity the right one's is known too. */
static inline bool take_node(struct cascade_corrector *c, unsigned pass,
    const struct cascade_node *n, const struct cascade_bounds *i, bool answer)
{
    bool left_odd = answer ^ cascade_parity(&c->frame, pass, n->block, i->from, i->middle);
    mark_split(mark_at(c, pass, n->block, n->heap), left_odd);
    return left_odd;
}

/* Each node searched has one odd half. What lasts longest: a copy for each pass, the tree in registers. */
__attribute__((always_inline)) static inline int take_searched_of(
    struct cascade_corrector *c, unsigned pass, const uint8_t *answer)
{
    const struct cascade_tree t = c->frame.tree[pass];
    const uint32_t *searched = c->searched.items;
    size_t count = c->searched.n;
    int r = numbers_reserve(&c->found, count);
    uint32_t *found = c->found.items;
    size_t n_found = 0;
    for (size_t k = 0; k < count && r == 0; k++) {
        struct cascade_node n = cascade_node_of(&t, searched[k]);
        struct cascade_bounds i = cascade_bounds(&t, &n);
        bool right = !take_node(c, pass, &n, &i, answer_bit(answer, k));
        uint32_t is_right = -(uint32_t)right; /* no branch: half of them would be mispredicted */
        uint32_t from = i.from + ((i.middle - i.from) & is_right);
        uint32_t to = i.middle + ((i.to - i.middle) & is_right);
        found[n_found] = searched[k] + n.heap + right; /* half h of node g is node 2 g + h */
        n_found += to - from > 1;
        if (to - from < 2)
            r = flip_bit(c, cascade_position(&c->frame, pass, n.block, from));
    }
    c->found.n = n_found;
    return r;
}

static int take_searched(struct cascade_corrector *c, const uint8_t *answer)
{
    return c->wave == 0 ? take_searched_of(c, 0, answer) : take_searched_of(c, 1, answer);
}

/* More than what is searched was asked about. */
static int take_asked(struct cascade_corrector *c, const uint8_t *answer)
{
    unsigned pass = c->wave;
    const struct cascade_tree *t = &c->frame.tree[pass];
    int r = 0;
    for (size_t k = 0; k < c->asked.n; k++) {
        struct cascade_node n = cascade_node_of(t, c->asked.items[k]);
        struct cascade_bounds i = cascade_bounds(t, &n);
        take_node(c, pass, &n, &i, answer_bit(answer, k));
    }
    for (size_t k = 0; k < c->searched.n && r == 0; k++) {
        struct cascade_node n = descend(c, pass, c->searched.items[k]);
        r = follow(c, pass, &n);
    }
    return r;
}

static int take_nodes(struct cascade_corrector *c, const uint8_t *answer)
{
    return c->asked.n > 0 ? take_asked(c, answer) : take_searched(c, answer);
}

static void take_subsets(struct cascade_corrector *c, const uint8_t *answer)
{
    c->subsets_odd = 0;
    cascade_need_sums(&c->frame);
    for (uint32_t s = 0; s < CASCADE_SUBSETS; s++) {
        bool own = cascade_subset_parity(&c->frame, s, cascade_subset_range(&c->frame, s));
        c->subsets_odd |= (uint64_t)(answer_bit(answer, s) ^ own) << s;
    }
    c->subsets_known = true;
}

static uint32_t middle_of(struct cascade_interval i)
{
    return i.from + (i.to - i.from + 1) / 2;
}

static struct cascade_interval half_of(struct cascade_interval i, bool right)
{
    uint32_t middle = middle_of(i);
    return right ? (struct cascade_interval){middle, i.to}
                 : (struct cascade_interval){i.from, middle};
}

/* Each search goes on in the half that is odd. The pieces of a part come in the order of their heaps. */
static void take_parts(struct cascade_corrector *c, const uint8_t *answer)
{
    struct part *part = c->parts;
    for (size_t i = 0; i < c->n_pieces; i++) {
        const struct part *piece = &c->pieces[i];
        if (piece->subset != part->subset)
            part++;
        if (piece->heap != part->heap)
            continue;
        struct cascade_interval left = half_of(part->interval, false);
        bool left_odd =
            answer_bit(answer, i) ^ cascade_subset_parity(&c->frame, part->subset, left);
        part->interval = half_of(part->interval, !left_odd);
        part->heap = 2 * part->heap + !left_odd;
    }
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
        return c->frame.tree[c->passes].blocks;
    case PHASE_NODES:
        return c->asked.n ? c->asked.n : c->searched.n;
    case PHASE_SUBSETS:
        return CASCADE_SUBSETS;
    case PHASE_PARTS:
        return c->n_pieces;
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
        take_parts(c, answer);
        return finish_parts(c);
    default:
        return 0;
    }
}

/* ---- asking ------------------------------------------------------------------------------------- */

static unsigned levels_now(const struct cascade_corrector *c)
{
    if (c->trips < PATIENCE)
        return 1;
    return (unsigned)MIN(2 + (c->trips - PATIENCE) / HASTE, (uint64_t)LEVELS_MAX);
}

/* What was touched joins what was found, and is what is searched next; single odd units are flipped. */
static int choose_nodes(struct cascade_corrector *c, unsigned pass)
{
    struct numbers *touched = &c->touched[pass];
    int r = touched->n > 0 ? numbers_sort(touched) : 0;
    for (size_t i = 0; i < touched->n && r == 0; i++)
        if (is_open(c, pass, touched->items[i])) {
            struct cascade_node n = cascade_node_of(&c->frame.tree[pass], touched->items[i]);
            r = follow(c, pass, &n);
        }
    if (r == 0 && touched->n > 0)
        r = numbers_sort(&c->found);
    touched->n = 0;
    struct numbers found = c->found;
    c->found = c->searched;
    c->found.n = 0;
    c->searched = found;
    return r;
}

/* The node, and what lies below it, to so many levels. */
static int ask_below(struct cascade_corrector *c, const struct cascade_node *n, unsigned levels)
{
    const struct cascade_tree *t = &c->frame.tree[c->wave];
    struct cascade_bounds i = cascade_bounds(t, n);
    if (levels == 0 || !has_halves(&i))
        return 0;
    int r = numbers_push(&c->asked, cascade_number(t, n));
    for (unsigned right = 0; right < 2 && r == 0; right++) {
        struct cascade_node half = cascade_half(n, right);
        r = ask_below(c, &half, levels - 1);
    }
    return r;
}

/* Asks for more than what is searched, if for more than one level; else `asked` stays empty. */
static int choose_asked(struct cascade_corrector *c)
{
    unsigned levels = levels_now(c);
    int r = 0;
    c->asked.n = 0;
    for (size_t i = 0; levels > 1 && i < c->searched.n && r == 0; i++) {
        struct cascade_node n = cascade_node_of(&c->frame.tree[c->wave], c->searched.items[i]);
        r = ask_below(c, &n, levels);
    }
    return r < 0 ? r : numbers_sort(&c->asked);
}

static int ask_nodes(struct cascade_corrector *c, struct buf *question)
{
    c->phase = PHASE_NODES;
    int r = choose_asked(c);
    const struct numbers *asked = c->asked.n > 0 ? &c->asked : &c->searched;
    if (r < 0 || buf_reserve(question, 2 + CASCADE_VARINT_MAX * (asked->n + 1)) < 0)
        return -ENOMEM;
    uint8_t *at = question->data + question->len;
    *at++ = CASCADE_NODES;
    *at++ = (uint8_t)c->wave;
    at = cascade_write_varint(at, (uint32_t)asked->n);
    uint32_t last = 0;
    for (size_t i = 0; i < asked->n; i++) {
        at = cascade_write_varint(at, asked->items[i] - last);
        last = asked->items[i];
    }
    question->len = (size_t)(at - question->data);
    return ASKED;
}

/* Asks about one pass until nothing in it is odd, then about the other: searches in one pass never
 * meet, and a wave of them takes as many round trips as the longest. ASKED if something was. */
static int ask_search(struct cascade_corrector *c, struct buf *question)
{
    uint64_t flips = c->flips;
    for (unsigned idle = 0; idle < c->passes; idle++) {
        int r = choose_nodes(c, c->wave);
        if (r != 0)
            return r;
        if (c->searched.n > 0)
            return ask_nodes(c, question);
        if (c->flips > flips)
            idle = 0;
        flips = c->flips;
        c->wave = (c->wave + 1) % c->passes;
    }
    return 0;
}

/* The left halves of an interval, of its halves and so on. */
static void cut_part(struct cascade_corrector *c, const struct part *part, unsigned levels)
{
    struct part tree[1 << LEVELS_MAX];
    tree[1] = (struct part){part->subset, 1, part->interval};
    for (uint32_t h = 1; h < 1u << levels; h++) {
        struct part *p = &tree[h];
        if (h > 1)
            *p = (struct part){part->subset, h, half_of(tree[h / 2].interval, h % 2)};
        if (p->interval.to - p->interval.from >= 2)
            c->pieces[c->n_pieces++] = *p;
    }
}

static int ask_parts(struct cascade_corrector *c, struct buf *question)
{
    unsigned levels = levels_now(c);
    while (c->n_parts * ((1u << levels) - 1) > CASCADE_SUBSETS)
        levels--;
    c->n_pieces = 0;
    for (size_t p = 0; p < c->n_parts; p++) {
        c->parts[p].heap = 1;
        cut_part(c, &c->parts[p], levels);
    }
    int r = buf_append(question, &(uint8_t){CASCADE_PARTS}, 1);
    if (r == 0)
        r = cascade_put_varint(question, (uint32_t)c->n_pieces);
    for (size_t i = 0; i < c->n_pieces && r == 0; i++) {
        struct cascade_interval left = half_of(c->pieces[i].interval, false);
        r = cascade_put_varint(question, c->pieces[i].subset);
        if (r == 0)
            r = cascade_put_varint(question, left.from);
        if (r == 0)
            r = cascade_put_varint(question, left.to - left.from);
    }
    c->phase = PHASE_PARTS;
    return r < 0 ? r : ASKED;
}

/* One search per segment, side by side; only when no segment is odd, one over the whole frame. */
static void choose_parts(struct cascade_corrector *c)
{
    bool busy[CASCADE_SEGMENTS] = {false};
    for (uint32_t s = 0; s < CASCADE_SUBSETS; s++) {
        if (!(c->subsets_odd >> s & 1))
            continue;
        bool is_whole = s >= CASCADE_SEGMENT_SETS;
        if (is_whole ? c->n_parts > 0 : busy[s % CASCADE_SEGMENTS])
            continue;
        busy[s % CASCADE_SEGMENTS] = true;
        c->parts[c->n_parts++] = (struct part){s, 1, cascade_subset_range(&c->frame, s)};
    }
}

/* Odd subsets are searched until all are even. ASKED if something was. */
static int ask_subsets(struct cascade_corrector *c, struct buf *question)
{
    if (!c->subsets_known) {
        c->phase = PHASE_SUBSETS;
        return buf_append(question, &(uint8_t){CASCADE_ASK_SUBSETS}, 1) < 0 ? -ENOMEM : ASKED;
    }
    choose_parts(c);
    return c->n_parts == 0 ? 0 : ask_parts(c, question);
}

static int ask_roots(struct cascade_corrector *c, struct buf *question)
{
    const uint8_t head[] = {CASCADE_ROOTS, (uint8_t)c->passes};
    c->phase = PHASE_ROOTS;
    if (c->passes == 1)
        cascade_need_columns(&c->frame);
    return buf_append(question, head, sizeof(head)) < 0 ? -ENOMEM : ASKED;
}

int cascade_corrector_step(
    struct cascade_corrector *c, const uint8_t *answer, size_t len, struct buf *question)
{
    int r = take_answer(c, answer, len);
    if (r != 0)
        return r;
    if (c->leak_bits > c->frame.plan.n)
        return CASCADE_E_GIVE_UP;
    c->trips++;
    r = c->n_parts > 0 ? ask_parts(c, question) : ask_search(c, question);
    if (r == 0)
        r = c->passes < CASCADE_PASSES ? ask_roots(c, question) : ask_subsets(c, question);
    return r == ASKED ? 0 : r == 0 ? CASCADE_DONE : r;
}
