/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/uploader.h"

#include "common/sha256.h"
#include "common/util.h"
#include "proto/codec.h"
#include "proto/fed.h"
#include "proto/fed.pb-c.h"
#include "proto/view.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define UPLOADER_ARENA ((size_t)8 << 20)
#define UPLOADER_KEY   ((uint64_t)1 << 40) /* bytes of key that each pair claims to hold */
#define UPLOADER_LIMIT ((size_t)16 << 20)

struct uploader {
    size_t self;
    size_t clients;
    uint32_t conn;
    struct link link;
    uint32_t words;
    uint32_t chunk_words;
    struct arena *arena;  /* owned */
    struct blob **chunks; /* owned: bodies ready to be sent, one for each chunk; NULL once sent */
};

static uint32_t count_chunks(const struct uploader *u)
{
    return (u->words + u->chunk_words - 1) / u->chunk_words;
}

struct uploader *uploader_new(size_t self, size_t clients, uint32_t words, uint32_t chunk_words)
{
    struct uploader *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    *u = (struct uploader){
        .self = self, .clients = clients, .words = words, .chunk_words = chunk_words};
    u->arena = arena_new(UPLOADER_ARENA);
    u->chunks = calloc(count_chunks(u), sizeof(*u->chunks));
    assert(u->arena && u->chunks);
    return u;
}

void uploader_free(struct uploader *u)
{
    for (uint32_t i = 0; i < count_chunks(u); i++)
        blob_unref(u->chunks[i]);
    free(u->chunks);
    arena_free(u->arena);
    free(u);
}

void uploader_name(char out[UPLOADER_NAME], size_t index)
{
    snprintf(out, UPLOADER_NAME, "c%03u", (unsigned)index % 1000);
}

/* The index of the k-th other uploader. */
static size_t other(const struct uploader *u, size_t k)
{
    return k < u->self ? k : k + 1;
}

struct level_row {
    Fed__Level level;
    char name[UPLOADER_NAME];
    uint8_t stream[FED_STREAM_BYTES];
};

static void fill_level(const struct uploader *u, size_t i, struct level_row *row)
{
    row->level = (Fed__Level)FED__LEVEL__INIT;
    uploader_name(row->name, i);
    put_u32le(row->stream, (uint32_t)MIN(i, u->self) + 1);
    put_u32le(row->stream + 4, (uint32_t)MAX(i, u->self) + 1);
    row->level.peer = row->name;
    row->level.stream = (ProtobufCBinaryData){FED_STREAM_BYTES, row->stream};
    row->level.end = UPLOADER_KEY;
    row->level.in_step = true;
}

static int send_hello(struct uploader *u, struct update *update)
{
    uint8_t nonce[FED_NONCE_BYTES] = {1};
    Fed__Hello hello = FED__HELLO__INIT;
    hello.version = FED_VERSION;
    hello.nonce = (ProtobufCBinaryData){sizeof(nonce), nonce};
    return link_send(update, u->conn, FED_HELLO, &hello.base);
}

static int send_ready(struct uploader *u, const struct event *event, const Fed__Open *open,
    const uint8_t hash[SHA256_BYTES], struct update *update)
{
    size_t n = u->clients - 1;
    auto_free struct level_row *rows = calloc(n, sizeof(*rows));
    auto_free Fed__Level **levels = calloc(n, sizeof(*levels));
    assert(rows && levels);
    for (size_t k = 0; k < n; k++) {
        fill_level(u, other(u, k), &rows[k]);
        levels[k] = &rows[k].level;
    }
    Fed__Ready ready = FED__READY__INIT;
    ready.run = open->run;
    ready.round = open->round;
    ready.open_hash = (ProtobufCBinaryData){SHA256_BYTES, (uint8_t *)hash};
    ready.samples = 100;
    ready.n_levels = n;
    ready.levels = levels;
    return link_send(update, u->conn, FED_READY, &ready.base);
}

struct tag_row {
    Fed__Tag tag;
    char name[UPLOADER_NAME];
};

/* A tag for every neighbour; the server only relays them. */
static int send_confirm(struct uploader *u, uint64_t attempt, struct update *update)
{
    size_t n = u->clients - 1;
    auto_free struct tag_row *rows = calloc(n, sizeof(*rows));
    auto_free Fed__Tag **tags = calloc(n, sizeof(*tags));
    assert(rows && tags);
    uint8_t bytes[GF128_BYTES] = {7};
    for (size_t k = 0; k < n; k++) {
        uploader_name(rows[k].name, other(u, k));
        rows[k].tag = (Fed__Tag)FED__TAG__INIT;
        rows[k].tag.peer = rows[k].name;
        rows[k].tag.tag = (ProtobufCBinaryData){sizeof(bytes), bytes};
        tags[k] = &rows[k].tag;
    }
    Fed__Confirm confirm = FED__CONFIRM__INIT;
    confirm.attempt = attempt;
    confirm.n_tags = n;
    confirm.tags = tags;
    return link_send(update, u->conn, FED_CONFIRM, &confirm.base);
}

/* Words 0..999, and the canaries: value 1 at the first and last word of the chunk. */
static struct blob *make_chunk(const struct uploader *u, uint64_t attempt, uint32_t index)
{
    auto_free uint32_t *words = calloc(u->chunk_words, sizeof(*words));
    assert(words);
    uint32_t n = MIN(u->chunk_words, u->words - index * u->chunk_words);
    for (uint32_t k = 0; k < n; k++)
        words[k] = k == 0 || k + 1 == n ? 1 : k % 1000;
    Fed__Chunk chunk = FED__CHUNK__INIT;
    chunk.attempt = attempt;
    chunk.index = index;
    chunk.data = (ProtobufCBinaryData){(size_t)n * 4, (uint8_t *)words};
    return codec_pack(&chunk.base);
}

/* As a client that masks: all is ready before it says LOCKED. */
static int make_chunks(struct uploader *u, uint64_t attempt)
{
    for (uint32_t i = 0; i < count_chunks(u); i++) {
        blob_unref(u->chunks[i]);
        u->chunks[i] = make_chunk(u, attempt, i);
        if (!u->chunks[i])
            return -ENOMEM;
    }
    return 0;
}

static int send_locked(struct uploader *u, uint64_t attempt, struct update *update)
{
    Fed__Locked locked = FED__LOCKED__INIT;
    locked.attempt = attempt;
    return link_send(update, u->conn, FED_LOCKED, &locked.base);
}

static int commit(struct uploader *u, uint64_t attempt, struct update *update)
{
    int r = send_confirm(u, attempt, update);
    if (r == 0)
        r = make_chunks(u, attempt);
    return r == 0 ? send_locked(u, attempt, update) : r;
}

static int send_chunks(struct uploader *u, const Fed__Go *go, struct update *update)
{
    int r = 0;
    for (uint32_t i = go->from_chunk; r == 0 && i < count_chunks(u); i++)
        r = update_send(update, u->conn, FED_CHUNK, steal(&u->chunks[i]));
    return r;
}

/* With the last chunk the round is over for this client. */
static int take_result(struct uploader *u, const Fed__ResultChunk *chunk, struct update *update)
{
    if (chunk->index + 1 < count_chunks(u))
        return 0;
    Fed__Done done = FED__DONE__INIT;
    done.attempt = chunk->attempt;
    return link_send(update, u->conn, FED_DONE, &done.base);
}

static int give_up(const char *reason)
{
    fprintf(stderr, "uploader: the server gave up: %s\n", reason);
    return -EPROTO;
}

static int answer(struct uploader *u, const struct event *event, const ProtobufCMessage *message,
    const uint8_t hash[SHA256_BYTES], struct update *update)
{
    switch (event->frame.type) {
    case FED_OPEN:
        return send_ready(u, event, (const Fed__Open *)message, hash, update);
    case FED_COMMIT:
        return commit(u, ((const Fed__Commit *)message)->attempt, update);
    case FED_GO:
        return send_chunks(u, (const Fed__Go *)message, update);
    case FED_RESULT_CHUNK:
        return take_result(u, (const Fed__ResultChunk *)message, update);
    case FED_RUN_END:
        return update_stop(update, 0, "the run has ended");
    case FED_ABORT:
        return give_up(((const Fed__Abort *)message)->reason);
    case FED_SKIP:
        return give_up(((const Fed__Skip *)message)->reason);
    default:
        return 0;
    }
}

static int take_frame(struct uploader *u, const struct event *event, struct update *update)
{
    /* link_frame decodes in place: the body's hash is taken first. */
    uint8_t hash[SHA256_BYTES];
    sha256(hash, event->frame.body, event->frame.len);
    arena_reset(u->arena, false);
    ProtobufCMessage *message;
    struct err e = {0};
    int r = link_frame(&u->link, event, u->arena, update, &message, &e);
    if (r != 0) {
        fprintf(stderr, "uploader: %s\n", e.text);
        return r < 0 ? r : -EPROTO;
    }
    return message ? answer(u, event, message, hash, update) : 0;
}

int uploader_step(void *core, const struct event *event, struct update *update)
{
    struct uploader *u = core;
    switch (event->kind) {
    case EVENT_OPENED:
        u->conn = event->conn;
        link_init(&u->link, &fed_exchange, LINK_INITIATOR, event->now_ms);
        return update_limit(update, u->conn, UPLOADER_LIMIT) < 0 ? -ENOMEM : send_hello(u, update);
    case EVENT_FRAME:
        return take_frame(u, event, update);
    case EVENT_CLOSED:
        return update_stop(update, 1, "the connection is lost");
    default:
        return 0;
    }
}

uint64_t uploader_deadline_ms(const void *u)
{
    return NEVER_MS;
}
