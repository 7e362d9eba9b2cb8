/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the source, for the files of this folder only. */
#pragma once

#include "common/secret.h"
#include "keypool/mdi/mdi_wire.h"
#include "keypool/mdi/source_mdi.h"
#include "proto/link.h"

#define MDI_BLOCKS_MAX                                                                             \
    2 /* per link: one being acquired, one post-processed or waiting for its turn */
#define MDI_PADS_MAX     4    /* that the other end may draw for one block */
#define MDI_EARLY_MAX    1024 /* bytes of a message that comes before this end is there */
#define MDI_ENDED        4    /* ids of blocks that have ended are remembered */
#define MDI_KEY_RETRY_MS 5000
#define MDI_TEXT_MAX     256

struct mdi_peer;
struct source_mdi;

enum mdi_state {
    MDI_INTAKE,  /* the simulator sends its events */
    MDI_READY,   /* all are here; the block before it is still post-processed */
    MDI_POSTING, /* the two ends talk about it */
};

/* A pad that the other end has drawn for a tag of its own. */
struct mdi_pad {
    uint64_t place;
    uint64_t ticket; /* 0: drawn here too, or refused */
    bool is_here;    /* its bytes are in mdi_block.pads */
};

struct mdi_block {
    struct mdi_peer *peer; /* whose it is */
    uint8_t id[MDI_ID_BYTES];
    enum mdi_state state;
    struct post_config config;
    struct post_record *record; /* owned, until POSTING */
    uint64_t position;          /* of the last event */
    struct post_block *post;    /* owned; POSTING */
    uint64_t memory;            /* claimed, bytes */
    uint64_t begun_ms, acquired_ms, stage_ms;
    uint64_t spent_ms[POST_STAGES];
    uint64_t progress_ms; /* the other end was heard, or the own job came back */
    uint64_t job;         /* serial of the one that is out, or 0 */
    uint64_t ticket;      /* of the own pad that is drawn, or 0 */
    struct mdi_pad theirs[MDI_PADS_MAX];
    size_t n_theirs;
    struct secret pads; /* of `theirs`, POST_TAG_BYTES each */
    bool wants_theirs;  /* the machine waits for the pad at `wanted` */
    uint64_t wanted;
    char refusal[MDI_TEXT_MAX]; /* why a pad of theirs could not be drawn */
    uint8_t *early;             /* owned: the first message of the other end, or NULL */
    size_t early_len;
};

/* A hash key of this channel. */
struct mdi_key {
    uint64_t ticket; /* being drawn, or 0 */
    uint64_t place;
    bool is_told; /* theirs: `place` is known, the channel is not up here yet */
    bool is_here;
};
enum { MDI_OWN, MDI_THEIRS };

/* One link. */
struct mdi_peer {
    struct source_mdi *source;
    char name[SITE_NAME_MAX + 1];
    enum post_side side; /* of this end */
    bool is_known;       /* the simulator has a link for it */
    uint32_t grants;     /* by the owner, not yet used */
    uint32_t said;       /* of these, to the simulator */
    bool channel_up;
    struct mdi_key keys[2];
    struct secret key_bytes; /* GF128 keys: own, theirs */
    uint64_t tags;           /* made here under the own key */
    uint64_t key_retry_ms;   /* when to draw again, or NEVER_MS */
    char key_refusal[MDI_TEXT_MAX];
    struct mdi_block *blocks[MDI_BLOCKS_MAX]; /* owned, oldest first */
    size_t n_blocks;
    uint8_t stray_id[MDI_ID_BYTES]; /* a first message for a block not heard of yet */
    uint8_t *stray;                 /* owned */
    size_t stray_len;
    uint8_t ended[MDI_ENDED][MDI_ID_BYTES];
    size_t n_ended;
    double gain, e_x, e_y; /* of the last block with key, or 0 */
    uint64_t acquisition_ms;
    size_t n_acquired;
    struct source_report report;
    bool has_report;
};

struct source_mdi {
    struct source source; /* first */
    struct source_mdi_config config;
    char site[SITE_NAME_MAX + 1];
    char simulator[SITE_NAME_MAX + 1]; /* empty: any */
    char name[MDI_TEXT_MAX];
    char level[16];
    char refusal[MDI_TEXT_MAX]; /* why the simulator's welcome was not taken; or empty */
    uint32_t conn;              /* of the simulator, 0: none */
    struct link link;
    bool is_welcome;
    struct arena *arena;    /* owned */
    struct mdi_peer *peers; /* owned */
    size_t n_peers;
    uint64_t memory;      /* claimed by blocks */
    uint64_t last_number; /* of tickets and jobs */
};

static inline struct source_mdi *mdi_of(const struct source *s)
{
    return (struct source_mdi *)s;
}

struct mdi_peer *mdi_find_peer(const struct source_mdi *s, const char *name);

/* ---- mdi_simulator.c: the simulator's connection ------------------------------------------------- */
int mdi_simulator_step(
    struct source_mdi *s, const struct event *event, struct update *u) must_check;
int mdi_simulator_stop(struct source_mdi *s, const struct mdi_block *b, const char *reason,
    struct update *u) must_check;
/* Says the grants that may be said now: keys here, memory free. */
int mdi_simulator_grant(struct mdi_peer *p, struct update *u) must_check;

/* ---- mdi_peer.c: the other end, its hash key and its messages --------------------------------------- */
int mdi_peer_channel(struct mdi_peer *p, bool up, struct update *u) must_check;
int mdi_peer_hear(
    struct mdi_peer *p, uint8_t *data, size_t len, struct update *u, struct err *e) must_check;
int mdi_peer_say(struct mdi_peer *p, const struct mdi_message *m, struct update *u) must_check;
int mdi_peer_drawn(struct mdi_peer *p, const struct source_pads *pads, struct update *u) must_check;
int mdi_peer_draw(struct mdi_peer *p, bool receive, uint64_t place, uint64_t *ticket,
    struct update *u) must_check;
int mdi_peer_tick(struct mdi_peer *p, struct update *u) must_check;
bool mdi_peer_has_keys(const struct mdi_peer *p);
/* A tag was made; after so many a fresh key is drawn, between two blocks. */
int mdi_peer_renew_key(struct mdi_peer *p, struct update *u) must_check;

/* ---- mdi_pads.c: the pads of a block ----------------------------------------------------------- */
/* The other end has drawn a pad for it there. */
int mdi_block_note_pad(struct mdi_block *b, uint64_t place, struct update *u) must_check;
/* Gives the machine the pad that it waits for, once it is decided what becomes of it. */
int mdi_block_give_theirs(struct mdi_block *b, struct update *u) must_check;
/* True if the pads were for this block. */
bool mdi_block_wants(const struct mdi_block *b, uint64_t ticket);
int mdi_block_drawn(
    struct mdi_block *b, const struct source_pads *pads, struct update *u) must_check;

/* ---- mdi_block.c: one block ---------------------------------------------------------------------- */
/* A block that the simulator has begun. It is void at once (0, *out NULL) if it cannot be taken. */
int mdi_block_begin(struct mdi_peer *p, const uint8_t *id, const struct post_config *config,
    struct mdi_block **out, struct update *u) must_check;
/* All its events are here. */
int mdi_block_acquired(struct mdi_block *b, struct update *u) must_check;
/* The end without key; both ends and the simulator hear of it. Frees the block. */
int mdi_block_void(struct mdi_block *b, const char *reason, struct update *u) must_check;
/* The same when the other end has said it, or cannot be told any more; `from`: nobody is told. */
int mdi_block_void_quietly(struct mdi_block *b, const char *reason, struct update *u) must_check;
/* One event for the machine of a block in state POSTING, and all that it wants; it may have ended then. */
int mdi_block_feed(
    struct mdi_block *b, const struct post_event *event, struct update *u) must_check;
int mdi_block_hear(struct mdi_block *b, uint8_t *data, size_t len, struct update *u) must_check;
/* A job has come back: SOURCE_E_NOT_MINE if it is not of this source. */
int mdi_block_job(struct source_mdi *s, struct job *job, struct update *u) must_check;
int mdi_block_tick(struct mdi_block *b, struct update *u) must_check;
uint64_t mdi_block_deadline_ms(const struct mdi_block *b);
struct mdi_block *mdi_block_find(const struct mdi_peer *p, const uint8_t *id);
bool mdi_block_has_ended(const struct mdi_peer *p, const uint8_t *id);
void mdi_block_remember(struct mdi_peer *p, const uint8_t *id);
/* Frees without a word. */
void mdi_block_free(struct mdi_block *b);
