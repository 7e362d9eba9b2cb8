/* SPDX-License-Identifier: Apache-2.0 */
/* A byte stream into the frame decoder. The first bytes say the limit, whether bodies are wiped, and how
 * the stream is cut. Oracle: the same frames and the same end whatever the cuts, never a body above
 * the limit, and in the case of wiping no byte of a body left in the input. */
#include "common/frame.h"
#include "common/util.h"

#include "tests/fuzz/fuzz.h"

struct story {
    uint64_t hash;
    size_t frames;
    int end;
};

static void tell(struct story *s, const struct frame *f, size_t limit)
{
    fuzz_assert(f->len <= limit);
    s->frames++;
    s->hash = (s->hash ^ f->type ^ (uint64_t)f->len << 16) * 0x100000001b3;
    for (size_t i = 0; i < f->len; i++)
        s->hash = (s->hash ^ f->body[i]) * 0x100000001b3;
}

/* Decodes one piece, which belongs to us unless it was read straight into the decoder; returns what ended
 * it. */
static int decode_piece(
    struct frame_decoder *d, uint8_t *data, size_t len, bool is_ours, size_t limit, struct story *s)
{
    for (;;) {
        struct frame f;
        size_t used = 0;
        int r = frame_decode(d, data, len, &used, &f);
        fuzz_assert(used <= len && (r != FRAME_MORE || used == len));
        if (r != 0)
            return r;
        tell(s, &f, limit);
        uint8_t *body = f.body;
        bool is_in_input = is_ours && f.len > 0 && body >= data && body < data + used;
        frame_done(d);
        for (size_t i = 0; d->wipe && is_in_input && i < f.len; i++)
            fuzz_assert(body[i] == 0);
        data += used;
        len -= used;
    }
}

/* Every piece is a copy of its own size, read straight to its place where there is one. */
static struct story decode(const uint8_t *data, size_t size, size_t limit, bool wipe, size_t step)
{
    struct frame_decoder d;
    struct story s = {.end = FRAME_MORE};
    frame_decoder_init(&d, limit, wipe);
    for (size_t at = 0; at < size && s.end == FRAME_MORE;) {
        uint8_t *space;
        size_t room = frame_space(&d, &space);
        size_t n = MIN(step, size - at);
        bool is_direct = room > 0 && step % 2;
        n = is_direct ? MIN(n, room) : n;
        uint8_t *piece = is_direct ? space : malloc(n);
        fuzz_assert(piece);
        memcpy(piece, data + at, n);
        s.end = decode_piece(&d, piece, n, !is_direct, limit, &s);
        if (!is_direct)
            free(piece);
        at += n;
    }
    frame_decoder_deinit(&d);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    size_t limit = (size_t)data[0] * 4;
    bool wipe = data[1] & 1;
    size_t step = (size_t)data[2] + 1;
    struct story whole = decode(data + 3, size - 3, limit, wipe, SIZE_MAX / 2);
    struct story cut = decode(data + 3, size - 3, limit, wipe, step);
    struct story bytes = decode(data + 3, size - 3, limit, wipe, 1);
    fuzz_assert(whole.hash == cut.hash && whole.frames == cut.frames && whole.end == cut.end);
    fuzz_assert(whole.hash == bytes.hash && whole.frames == bytes.frames && whole.end == bytes.end);
    return 0;
}
