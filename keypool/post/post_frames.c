/* SPDX-License-Identifier: Apache-2.0 */
/* Cascade over a whole key: a window of frames, all of whose questions travel together.
 *
 * A step of HIGH is a list of entries {varint frame, varint length, question}, frames ascending; LOW
 * answers each in the same form. A frame is opened by its first entry, in order; one left out is done. */
#include "keypool/post/cascade_frame.h"
#include "keypool/post/post_internal.h"

#include "common/util.h"

#include <errno.h>

/* What an honest question or answer may need: less than a byte for two halvings of a block of nine bits,
 * the shortest that pay, and the sections' own bytes. */
#define QUESTION_SHARE 4
#define QUESTION_FIXED 512

/* ---- frames ------------------------------------------------------------------------------------- */

int post_cascade_init(struct post_cascade *c, uint64_t n, uint32_t frame_bits, uint32_t window,
    double rate, const uint8_t seed[CASCADE_SEED])
{
    uint64_t frames = (n + frame_bits - 1) / frame_bits;
    uint64_t length = ((n + frames - 1) / frames + 63) / 64 * 64;
    frames = (n + length - 1) / length;
    uint64_t last = n - (frames - 1) * length;
    if (frames > 1 && last < CASCADE_N_MIN) {
        frames--;
        last += length;
    }
    c->frames = (uint32_t)frames;
    c->window_max = window;
    cascade_plan_init(&c->plan[0], (uint32_t)MIN(length, n), rate, seed);
    cascade_plan_init(&c->plan[1], (uint32_t)last, rate, seed);
    c->window = calloc(window, sizeof(*c->window));
    c->spare = calloc(window, sizeof(*c->spare));
    for (unsigned i = 0; i < 2 && c->window && c->spare; i++)
        if (!(c->shuffle[i] = cascade_shuffle_new(&c->plan[i])))
            return -ENOMEM;
    return c->window && c->spare ? 0 : -ENOMEM;
}

static void frame_free(struct post_frame *f)
{
    cascade_reference_free(f->reference);
    cascade_corrector_free(f->corrector);
    *f = (struct post_frame){0};
}

void post_cascade_deinit(struct post_cascade *c)
{
    for (uint32_t i = 0; i < c->open; i++)
        frame_free(&c->window[i]);
    for (uint32_t i = 0; i < c->spares; i++)
        frame_free(&c->spare[i]);
    free(c->window);
    free(c->spare);
    cascade_shuffle_free(c->shuffle[0]);
    cascade_shuffle_free(c->shuffle[1]);
    *c = (struct post_cascade){0};
}

/* Its memory is kept for the next one: never more frames than a window's. */
static void frame_end(struct post_cascade *c, struct post_frame *f)
{
    if (f->index + 1 == c->frames || c->next + 1 >= c->frames || c->spares == c->window_max)
        frame_free(f);
    else
        c->spare[c->spares++] = *f;
    *f = (struct post_frame){0};
}

size_t post_cascade_limit(const struct post_cascade *c)
{
    size_t longest = MAX(c->plan[0].n, c->plan[1].n);
    return (longest / QUESTION_SHARE + QUESTION_FIXED) * MIN(c->window_max, c->frames);
}

static const struct cascade_plan *plan_of(const struct post_cascade *c, uint32_t frame)
{
    return &c->plan[frame + 1 == c->frames];
}

static uint8_t *bits_of(struct post_work *w, uint32_t frame)
{
    return w->x.data + (size_t)frame * (w->cascade.plan[0].n / 8);
}

static int frame_new(struct post_work *w, struct post_frame *f)
{
    const struct cascade_plan *plan = plan_of(&w->cascade, f->index);
    const struct cascade_shuffle *shuffle = w->cascade.shuffle[plan - w->cascade.plan];
    if (w->side == POST_LOW)
        f->reference = cascade_reference_new(plan, shuffle, bits_of(w, f->index));
    else
        f->corrector = cascade_corrector_new(plan, shuffle, bits_of(w, f->index));
    return f->reference || f->corrector ? 0 : -ENOMEM;
}

static void frame_again(struct post_work *w, struct post_frame *f)
{
    struct post_frame spare = w->cascade.spare[--w->cascade.spares];
    f->reference = spare.reference;
    f->corrector = spare.corrector;
    if (w->side == POST_LOW)
        cascade_reference_restart(f->reference, bits_of(w, f->index));
    else
        cascade_corrector_restart(f->corrector, bits_of(w, f->index));
}

static int frame_open(struct post_work *w)
{
    struct post_cascade *c = &w->cascade;
    struct post_frame f = {.index = c->next};
    int r = 0;
    if (c->spares > 0 && plan_of(c, f.index) == &c->plan[0])
        frame_again(w, &f);
    else
        r = frame_new(w, &f);
    if (r < 0)
        return r;
    c->window[c->open++] = f;
    c->next++;
    return 0;
}

/* ---- entries ------------------------------------------------------------------------------------ */

struct entry {
    uint32_t frame;
    const uint8_t *data;
    uint32_t len;
};

static bool entry_read(const struct buf *b, size_t *at, struct entry *e)
{
    if (!cascade_get_varint(b->data, b->len, at, &e->frame) ||
        !cascade_get_varint(b->data, b->len, at, &e->len) || e->len == 0 || e->len > b->len - *at)
        return false;
    e->data = b->data + *at;
    *at += e->len;
    return true;
}

static int entry_write(struct buf *b, uint32_t frame, const struct buf *content)
{
    int r = cascade_put_varint(b, frame);
    if (r == 0)
        r = cascade_put_varint(b, (uint32_t)content->len);
    return r == 0 ? buf_append(b, content->data, content->len) : r;
}

static int refuse(struct post_work *w, uint32_t frame, int condition)
{
    if (condition < 0)
        return condition;
    w->has_too_many_errors = condition == CASCADE_E_GIVE_UP;
    return err_set(&w->why, 1, "error correction of frame %u of %u: %s", frame + 1,
        w->cascade.frames,
        condition == CASCADE_E_GIVE_UP ? "too many errors for any key"
                                       : "the other end's message makes no sense");
}

/* ---- HIGH --------------------------------------------------------------------------------------- */

static void take_corrected(struct post_work *w, struct post_frame *f)
{
    memcpy(bits_of(w, f->index), cascade_corrector_bits(f->corrector),
        bytes_of(plan_of(&w->cascade, f->index)->n));
    w->cascade.errors += cascade_corrector_flips(f->corrector);
    w->cascade.leak_bits += cascade_corrector_leak_bits(f->corrector);
    frame_end(&w->cascade, f);
}

/* One frame: the answer in, the next question out. `done`: it has none. */
static int ask_frame(struct post_work *w, struct post_frame *f, const uint8_t *answer, size_t len,
    struct buf *question, bool *done)
{
    question->len = 0;
    int r = cascade_corrector_step(f->corrector, answer, len, question);
    *done = r == CASCADE_DONE;
    if (*done) {
        take_corrected(w, f);
        return 0;
    }
    return r != 0 ? refuse(w, f->index, r) : entry_write(&w->out, f->index, question);
}

static int ask_open(struct post_work *w, struct buf *question)
{
    struct post_cascade *c = &w->cascade;
    size_t at = 0;
    uint32_t kept = 0;
    int r = 0;
    uint32_t i = 0;
    for (; i < c->open && r == 0; i++) {
        struct post_frame f = c->window[i];
        struct entry e;
        bool done = false;
        c->window[i] = (struct post_frame){0};
        if (!entry_read(&w->in, &at, &e) || e.frame != f.index)
            r = refuse(w, f.index, CASCADE_E_PROTOCOL);
        else
            r = ask_frame(w, &f, e.data, e.len, question, &done);
        if (!done)
            c->window[kept++] = f;
    }
    if (r == 0) /* else the rest stays where it is, to be freed */
        c->open = kept;
    return r == 0 && at != w->in.len ? refuse(w, 0, CASCADE_E_PROTOCOL) : r;
}

static int ask_new(struct post_work *w, struct buf *question)
{
    struct post_cascade *c = &w->cascade;
    int r = 0;
    while (c->open < c->window_max && c->next < c->frames && r == 0) {
        bool done;
        r = frame_open(w);
        if (r == 0)
            r = ask_frame(w, &c->window[c->open - 1], NULL, 0, question, &done);
    }
    return r;
}

int post_cascade_ask(struct post_work *w)
{
    struct buf question = {0};
    w->out.len = 0;
    int r = ask_open(w, &question);
    if (r == 0)
        r = ask_new(w, &question);
    buf_deinit(&question);
    return r;
}

/* ---- LOW ---------------------------------------------------------------------------------------- */

/* Closes the frames from place `from` on that were left out before `frame`; its place is then `from`. */
static void close_before(struct post_cascade *c, uint32_t from, uint32_t frame)
{
    uint32_t kept = from;
    for (uint32_t i = from; i < c->open; i++) {
        if (c->window[i].index < frame) {
            c->leak_bits += cascade_reference_leak_bits(c->window[i].reference);
            frame_end(c, &c->window[i]);
        } else {
            c->window[kept++] = c->window[i];
        }
    }
    c->open = kept;
}

/* The frame of an entry at this place of the window, opened if it is the next one. */
static int find_frame(struct post_work *w, uint32_t place, uint32_t frame)
{
    struct post_cascade *c = &w->cascade;
    close_before(c, place, frame);
    if (place < c->open)
        return c->window[place].index == frame ? 0 : refuse(w, frame, CASCADE_E_PROTOCOL);
    if (frame != c->next || frame >= c->frames || c->open == c->window_max)
        return refuse(w, MIN(frame, c->frames - 1), CASCADE_E_PROTOCOL);
    return frame_open(w);
}

static int answer_entry(
    struct post_work *w, uint32_t place, const struct entry *e, struct buf *answer)
{
    int r = find_frame(w, place, e->frame);
    if (r != 0)
        return r;
    answer->len = 0;
    r = cascade_reference_answer(w->cascade.window[place].reference, e->data, e->len, answer);
    if (r == 0 && answer->len == 0)
        r = CASCADE_E_PROTOCOL;
    return r != 0 ? refuse(w, e->frame, r) : entry_write(&w->out, e->frame, answer);
}

int post_cascade_answer(struct post_work *w)
{
    struct buf answer = {0};
    struct entry e;
    size_t at = 0;
    uint32_t place = 0;
    int r = 0;
    w->out.len = 0;
    while (r == 0 && (at < w->in.len || place == 0)) {
        if (!entry_read(&w->in, &at, &e))
            r = refuse(w, 0, CASCADE_E_PROTOCOL);
        else
            r = answer_entry(w, place++, &e, &answer);
    }
    if (r == 0)
        close_before(&w->cascade, place, UINT32_MAX);
    buf_deinit(&answer);
    return r;
}

bool post_cascade_close(struct post_cascade *c)
{
    close_before(c, 0, UINT32_MAX);
    return c->next == c->frames;
}
