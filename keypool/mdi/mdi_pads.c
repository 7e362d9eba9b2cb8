/* SPDX-License-Identifier: Apache-2.0 */
/* The pads of one block: its own, told to the other end before anything else, and the other end's, drawn as
 * soon as they are told. */
#include "keypool/mdi/mdi_internal.h"

#include "common/util.h"

#include <stdio.h>

int mdi_block_note_pad(struct mdi_block *b, uint64_t place, struct update *u)
{
    if (b->state != MDI_POSTING)
        return mdi_block_void(b, "the other end draws pads out of turn", u);
    if (b->n_theirs == MDI_PADS_MAX)
        return mdi_block_void(b, "the other end draws too many pads", u);
    struct mdi_pad *pad = &b->theirs[b->n_theirs++];
    *pad = (struct mdi_pad){.place = place};
    return mdi_peer_draw(b->peer, true, place, &pad->ticket, u);
}

static int give_pad(
    struct mdi_block *b, const uint8_t *data, uint64_t place, const char *text, struct update *u)
{
    const struct post_event event = {
        .kind = POST_EVENT_PAD, .pad = {.data = data, .at = place, .text = text}};
    return mdi_block_feed(b, &event, u);
}

/* The pad that the machine waits for, if it is decided what becomes of it. A place is given once. */
int mdi_block_give_theirs(struct mdi_block *b, struct update *u)
{
    for (size_t i = 0; i < b->n_theirs; i++) {
        struct mdi_pad *pad = &b->theirs[i];
        if (pad->place != b->wanted)
            continue;
        if (pad->ticket)
            return 0; /* on its way */
        b->wants_theirs = false;
        const uint8_t *data = pad->is_here ? b->pads.data + i * POST_TAG_BYTES : NULL;
        pad->is_here = false;
        return give_pad(b, data, pad->place, *b->refusal ? b->refusal : "it was used before", u);
    }
    b->wants_theirs = false;
    return give_pad(b, NULL, 0, "the other end names a place that it has not told before", u);
}

static int on_theirs(
    struct mdi_block *b, size_t i, const struct source_pads *pads, struct update *u)
{
    b->theirs[i].ticket = 0;
    b->theirs[i].is_here = pads->data && pads->len == POST_TAG_BYTES;
    if (b->theirs[i].is_here)
        memcpy(b->pads.data + i * POST_TAG_BYTES, pads->data, POST_TAG_BYTES);
    else
        snprintf(b->refusal, sizeof(b->refusal), "%s", pads->reason);
    return b->wants_theirs ? mdi_block_give_theirs(b, u) : 0;
}

/* The other end must draw it before anything of a later draw can reach its vault: it is told first. */
static int on_own(struct mdi_block *b, const struct source_pads *pads, struct update *u)
{
    b->ticket = 0;
    if (!pads->data || pads->len != POST_TAG_BYTES)
        return give_pad(b, NULL, 0, pads->reason, u);
    const struct mdi_message m = {.kind = MDI_PAD, .block = b->id, .place = pads->start};
    int r = mdi_peer_say(b->peer, &m, u);
    b->peer->tags++;
    return r < 0 ? r : give_pad(b, pads->data, pads->start, NULL, u);
}

bool mdi_block_wants(const struct mdi_block *b, uint64_t ticket)
{
    bool wants = b->ticket == ticket;
    for (size_t i = 0; i < b->n_theirs; i++)
        wants = wants || b->theirs[i].ticket == ticket;
    return wants;
}

int mdi_block_drawn(struct mdi_block *b, const struct source_pads *pads, struct update *u)
{
    if (b->ticket == pads->ticket)
        return on_own(b, pads, u);
    for (size_t i = 0; i < b->n_theirs; i++)
        if (b->theirs[i].ticket == pads->ticket)
            return on_theirs(b, i, pads, u);
    return 0;
}
