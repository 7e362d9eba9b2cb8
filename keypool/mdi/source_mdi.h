/* SPDX-License-Identifier: Apache-2.0 */
/* The key source `mdi-qkd`: raw events of four-phase MDI-QKD, turned into key by the two ends.
 *
 * Takes what this site's user chose and what Eve announced from qfl-qkdsim (levels `event` and `pulse`,
 * exchange qkd), talks with its other end over the channel that the KMEs carry, and hands over a block
 * of key once the transcript tags of both ends were right (keypool/post). One object serves all the links
 * of one simulator. Per link at most one block is being acquired and one post-processed; the memory of
 * all blocks together is bounded, and limits come before allocation.
 *
 * Eve, the simulator and the other end are not trusted: whatever does not fit makes the block void, with
 * one sentence, at both ends. Hash keys and pads come from the vault's `auth` streams, drawn by the owner;
 * random bits are injected. What it never does: keep key after it was handed over; release any before the
 * other end's tag was right; go on with hash keys of an earlier channel. Everything it gives is SIMULATED.
 */
#pragma once

#include "keypool/post/post_block.h"
#include "keypool/qkd/source.h"

#define MDI_KEY_TAGS ((uint64_t)1 << 20) /* tags under one hash key (keypool.md section 4) */

struct source_mdi_config {
    const char *site;         /* of this KME */
    const char *simulator;    /* its site name; NULL: any (there is only one) */
    const char *const *peers; /* of the links that use it */
    size_t n_peers;
    /* Limits and parameters that both ends must have alike; what belongs to one block comes with it. */
    struct post_config post;
    uint64_t memory_bytes; /* for all blocks under way */
    uint64_t silence_ms;   /* a block whose other end says nothing for so long is void */
    uint64_t key_tags;     /* MDI_KEY_TAGS, fewer in tests */
    /* Fills `out` with random bytes, or returns -errno. Called only within a step. */
    int (*random)(void *arg, void *out, size_t len);
    void *random_arg;
};

/* Copies the names. -ENOMEM. */
int source_mdi_new(struct source **out, const struct source_mdi_config *config) must_check;
