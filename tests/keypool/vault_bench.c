/* SPDX-License-Identifier: Apache-2.0 */
/* What a key pool does on the disk of the build directory: blocks in, reservations, bytes out.
 *
 * Two pools in one process, on real files, with real syncs; beside each figure what a bare write and
 * sync of the same disk take in the same minutes. Goal (keypool.md): 100 Mbit/s of key, durable.
 */
#include "common/disk_posix.h"
#include "common/util.h"
#include "keypool/vault/vault.h"
#include "proto/arena.h"
#include "proto/codec.h"
#include "proto/vault.h"
#include "proto/vault.pb-c.h"
#include "tests/sim/rnd.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BLOCKS    32
#define BLOCK_LEN ((size_t)1024 * 1024)
#define KME       1
#define CLIENT    2

static const char *const names[] = {"alice", "bob"};

struct end {
    struct disk *disk;
    struct vault *vault;
};

static struct end ends[2];
static char folder[] = "vault-bench-XXXXXX";
static size_t pads_bytes;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(int end, uint32_t conn, uint16_t type, const ProtobufCMessage *m);

static void carry_on(int end, const struct effect *e)
{
    struct arena *a = arena_new(4096);
    ProtobufCMessage *m;
    if (codec_unpack_in_place(&vault__carry__descriptor, e->body->data, e->body->len, a, &m) != 0)
        abort();
    Vault__Carry carry = *(Vault__Carry *)m;
    carry.peer = (char *)names[end];
    say(!end, KME, VAULT_CARRY, &carry.base);
    arena_free(a);
}

static void feed(int end, struct event event)
{
    struct update u = {0};
    event.now_ms = (uint64_t)(1000 * now_s());
    if (vault_step(ends[end].vault, &event, &u) != 0)
        abort();
    for (size_t i = 0; i < u.n; i++) {
        if (u.effects[i].kind == EFFECT_SEND && u.effects[i].type == VAULT_CARRY)
            carry_on(end, &u.effects[i]);
        if (u.effects[i].kind == EFFECT_SEND && u.effects[i].type == VAULT_PAD)
            pads_bytes += u.effects[i].body->len;
    }
    update_deinit(&u);
}

static void say(int end, uint32_t conn, uint16_t type, const ProtobufCMessage *m)
{
    struct blob *body = codec_pack(m);
    if (!body)
        abort();
    struct event event = {.kind = EVENT_FRAME, .conn = conn};
    event.frame.type = type;
    event.frame.body = body->data;
    event.frame.len = body->len;
    feed(end, event);
    blob_unref(body);
}

static void connect_role(int end, enum role role, uint32_t conn)
{
    struct event event = {.kind = EVENT_OPENED, .conn = conn};
    event.opened.role = role;
    event.opened.site = names[end];
    feed(end, event);
    Vault__Hello m = VAULT__HELLO__INIT;
    m.version = VAULT_VERSION;
    m.role = (char *)role_name(role);
    m.site = (char *)names[end];
    say(end, conn, VAULT_HELLO, &m.base);
}

static void open_end(int end)
{
    char path[256];
    struct err e;
    int r = 0;
    static const uint8_t key[VAULT_PAIRING_BYTES] = {1};
    snprintf(path, sizeof(path), "%s/%s", folder, names[end]);
    ends[end].disk = disk_posix_new(path, &r, &e);
    struct vault_config config = {.site = names[end], .capacity_bytes = 1 << 30};
    if (!ends[end].disk || vault_new(&ends[end].vault, &config, ends[end].disk, 0, &e) != 0)
        abort();
    struct vault_pairing pairing = {.peer = names[!end],
        .key = key,
        .mask_stream = {1},
        .auth_low_high = {2},
        .auth_high_low = {3}};
    if (vault_pair(ends[end].vault, &pairing, &e) != 0)
        abort();
    connect_role(end, ROLE_KME, KME);
    connect_role(end, ROLE_CLIENT, CLIENT);
}

static void ingest(int end, uint64_t n, uint8_t *key)
{
    uint8_t id[16] = {0};
    put_u64le(id, n);
    Vault__Ingest m = VAULT__INGEST__INIT;
    m.peer = (char *)names[!end];
    m.block = (ProtobufCBinaryData){sizeof(id), id};
    m.source = (char *)"bench";
    m.key = (ProtobufCBinaryData){BLOCK_LEN, key};
    say(end, KME, VAULT_INGEST, &m.base);
}

static void fill(void)
{
    struct rnd r;
    uint8_t *key = malloc(BLOCK_LEN);
    rnd_init(&r, 1);
    for (int end = 0; end < 2; end++) {
        Vault__LinkState m = VAULT__LINK_STATE__INIT;
        m.peer = (char *)names[!end];
        m.up = true;
        say(end, KME, VAULT_LINK_STATE, &m.base);
    }
    double start = now_s();
    for (uint64_t n = 0; n < BLOCKS; n++) {
        rnd_bytes(&r, key, BLOCK_LEN);
        ingest(1, n, key);
        ingest(0, n, key);
    }
    double s = now_s() - start;
    printf("ingest, both ends, blocks of 1 MiB: %.1f ms each, %.0f Mbit/s\n", 1000 * s / BLOCKS,
        8e-6 * BLOCKS * (double)BLOCK_LEN / s);
    free(key);
}

static void reserve(uint64_t attempt, uint64_t start, uint64_t length)
{
    struct vault_account a[3];
    uint8_t run[16] = {0};
    if (vault_accounts(ends[0].vault, a, 3) != 3)
        abort();
    Vault__Range range = VAULT__RANGE__INIT;
    Vault__Range *ranges[] = {&range};
    range.stream = (ProtobufCBinaryData){sizeof(a[0].stream), a[0].stream};
    range.start = start;
    range.length = length;
    Vault__Reserve m = VAULT__RESERVE__INIT;
    m.run = (ProtobufCBinaryData){sizeof(run), run};
    m.attempt = attempt;
    m.n_ranges = 1;
    m.ranges = ranges;
    say(0, CLIENT, VAULT_RESERVE, &m.base);
}

static void take(uint64_t attempt, uint64_t offset, uint32_t length)
{
    Vault__Take m = VAULT__TAKE__INIT;
    m.attempt = attempt;
    m.offset = offset;
    m.length = length;
    say(0, CLIENT, VAULT_TAKE, &m.base);
}

/* Attempts of `len` bytes, one after the other, until `total` bytes are out. */
static uint64_t deliver(uint64_t attempt, uint64_t *at, uint64_t len, uint64_t total)
{
    double reserving = 0, start = now_s();
    uint64_t n = 0;
    pads_bytes = 0;
    for (uint64_t done = 0; done < total; done += len, n++) {
        double before = now_s();
        reserve(++attempt, *at, len);
        reserving += now_s() - before;
        for (uint64_t offset = 0; offset < len; offset += VAULT_TAKE_MAX)
            take(attempt, offset, (uint32_t)MIN(len - offset, (uint64_t)VAULT_TAKE_MAX));
        *at += len;
    }
    feed(0, (struct event){.kind = EVENT_TICK});
    double s = now_s() - start;
    assert(pads_bytes >= total);
    printf("attempts of %llu bytes: %.2f ms to reserve, %.0f Mbit/s over all, segments erased\n",
        (unsigned long long)len, 1000 * reserving / (double)n, 8e-6 * (double)total / s);
    return attempt;
}

static void bare(void)
{
    static uint8_t bytes[8192];
    double start = now_s();
    for (uint64_t i = 0; i < 100; i++)
        if (disk_write(ends[0].disk, "bare", i * sizeof(bytes), bytes, sizeof(bytes)) != 0 ||
            disk_sync(ends[0].disk, "bare") != 0)
            abort();
    printf("bare: 8 KiB and a sync: %.2f ms\n", 10 * (now_s() - start));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    return remove(path);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    for (int end = 0; end < 2; end++)
        open_end(end);
    bare();
    fill();
    uint64_t at = 0;
    uint64_t attempt = deliver(0, &at, 61754, 100 * 61754);
    (void)deliver(attempt, &at, 1000000, 20 * 1000000);
    bare();
    for (int end = 0; end < 2; end++) {
        vault_free(ends[end].vault);
        disk_posix_free(ends[end].disk);
    }
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
