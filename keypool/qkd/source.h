/* SPDX-License-Identifier: Apache-2.0 */
/* A key source: where the KME of a site gets blocks of key shared with one peer.
 *
 * `file` (recorded keys carried by hand), `sim` (finished key of qfl-qkdsim) and `mdi-qkd` (raw events,
 * post-processed here: keypool/mdi) now; `etsi014` behind the same calls. A source is a machine of its own (common/machine.h);
 * the KME drives it with a grant per block and tells it how each block ended. The two ends of a source
 * may talk to each other: the KMEs carry their messages, in order, as long as the channel is up.
 *
 * A source that needs worker threads puts jobs into the update and finds them again in step: every
 * event that is nobody else's is offered to each source in turn.
 */
#pragma once

#include "common/machine.h"

#define SOURCE_BLOCK_ID_BYTES 16
#define SOURCE_MESSAGE_MAX    ((size_t)1024 * 1024)

struct source;

/* A finished block, the same bytes and id at both ends. */
struct source_block {
    const char *peer; /* borrowed */
    uint8_t id[SOURCE_BLOCK_ID_BYTES];
    const uint8_t *key; /* borrowed for the call; wiped by the source after it */
    size_t len;
    bool simulated;
    double rate_kbps;
    double qber;
    double seconds;
};

/* A block that was granted and gave no key. */
enum source_void_kind {
    SOURCE_VOID_OTHER,
    SOURCE_VOID_ERRORS, /* the errors, or too few events, allow no key */
    SOURCE_VOID_ALARM,  /* somebody has tampered with the channel between the ends */
};
struct source_void {
    const char *peer; /* borrowed */
    enum source_void_kind kind;
    const char *reason; /* one sentence, borrowed */
    double qber;        /* ERRORS: as observed */
};

/* Pads that the owner shall draw from the vault's auth streams. */
struct source_draw {
    const char *peer;
    bool receive;   /* those that the other end drew at `start`, else fresh ones to send with */
    uint64_t start; /* receive */
    uint32_t len;
    uint64_t ticket; /* by which the answer is known */
};
struct source_pads {
    const char *peer;
    uint64_t ticket;
    uint64_t start;
    const uint8_t
        *data; /* borrowed, wiped after the call; NULL: there are none, `reason` says why */
    size_t len;
    const char *reason;
};

/* What a source that makes key out of raw events knows of a link: of the last block that was
 * post-processed here, unless it says otherwise. Rates of error are -1 while they are not known. */
struct source_report {
    const char *level; /* of fidelity, if simulated */
    uint64_t n, n_x, n_y, leak_bits, key_bits;
    double e_x, e_y, e_p, f_ec;
    double gain_xx, gain_yy, gain_mismatched;
    double block_s;
    double acquisition_s, sifting_s, correction_s, amplification_s; /* real time */
    double eps;            /* failure probability of one block */
    double next_block_s;   /* until the block that is being acquired is whole; -1: none is */
    uint64_t memory_bytes; /* of all blocks under way on this source */
    uint64_t tags;         /* under the present hash key */
};

enum source_condition {
    SOURCE_E_NOT_MINE = 1, /* step: the event concerns somebody else */
    SOURCE_E_VIOLATION,    /* message: the peer's end broke the rules; close the link to it */
};

struct source_ops {
    /* One more block with this peer is welcome; it stands until the block comes. `want_bytes` and
     * `deadline_ms` are hints (0: none). -ENOENT if the source knows no such peer. */
    int (*grant)(struct source *s, const char *peer, uint64_t want_bytes, uint64_t deadline_ms,
        struct update *u);
    /* An event that may concern the source (its connection, its job, its time). Blocks come out by
     * on_block. */
    int (*step)(struct source *s, const struct event *event, struct update *u);
    uint64_t (*deadline_ms)(const struct source *s);
    /* Both vaults hold the block (confirmed), or neither may use it (void). */
    int (*close_block)(struct source *s, const char *peer, const uint8_t *id, bool confirmed);
    /* The source's other end can be reached from now on, or no more: what was said on the old channel
     * may be lost. NULL: this source never talks to its other end. */
    int (*channel)(struct source *s, const char *peer, bool up, struct update *u);
    /* The other end says something; `data` may be overwritten. */
    int (*message)(struct source *s, const char *peer, uint8_t *data, size_t len, struct update *u,
        struct err *e);
    /* Does it make key with this peer now? If not, `why` says what is missing. */
    bool (*is_ready)(const struct source *s, const char *peer, struct err *why);
    void (*free)(struct source *s);
    /* The pads asked for by `draw`, or that there are none. NULL: this source never draws. */
    int (*drawn)(struct source *s, const struct source_pads *pads, struct update *u);
    /* NULL: nothing more is known than what comes with each block. False: nothing yet. */
    bool (*report)(const struct source *s, const char *peer, struct source_report *r);
};

struct source {
    const struct source_ops *ops;
    const char *name; /* "file", "qkdsim-rate", ...: shown in status and accounting */
    bool simulated;
    /* Set by the owner: takes a finished block, within step, grant or message. */
    int (*on_block)(void *owner, const struct source_block *block, struct update *u);
    /* Set by the owner: passes bytes to the source's other end; lost if the channel is down. */
    int (*send)(void *owner, const char *peer, const void *data, size_t len, struct update *u);
    /* Set by the owner: a granted block is void before there was key. */
    int (*on_void)(void *owner, const struct source_void *v, struct update *u);
    /* Set by the owner: draws pads; `drawn` comes later, or the channel goes down. */
    int (*draw)(void *owner, const struct source_draw *d, struct update *u);
    void *owner;
    uint64_t now_ms; /* set by the owner before each call */
};
