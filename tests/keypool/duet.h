/* SPDX-License-Identifier: Apache-2.0 */
/* Two key pools, "alice" and "bob", on disks that forget, with the KMEs and clients played by the test.
 *
 * Whatever the test does, after every step of either pool duet checks: the identity of accounting; no
 * cursor goes back; no byte of a stream is handed out twice at one end; bytes handed out at both ends
 * are equal; what was acknowledged as burnt stays burnt over every crash. Fails the test (cmocka).
 */
#pragma once

#include "keypool/vault/vault.h"
#include "proto/codec.h"
#include "tests/sim/disk_sim.h"
#include "tests/sim/rnd.h"

#define DUET_ID 16

enum duet_end { ALICE, BOB };

struct duet;

/* Paired, started and linked. Alice decides. */
struct duet *duet_new(uint64_t seed);
/* Not yet paired. */
struct duet *duet_new_strangers(uint64_t seed);
void duet_free(struct duet *d);

struct disk_sim *duet_disk(struct duet *d, enum duet_end end);
struct vault *duet_vault(struct duet *d, enum duet_end end); /* NULL while it is down */
bool duet_is_down(const struct duet *d, enum duet_end end);

/* ---- processes and links ---- */
int duet_pair(struct duet *d, enum duet_end end, uint8_t number);
/* The process ends (the disk keeps or loses what a crash would) and starts anew. */
void duet_restart(struct duet *d, enum duet_end end);
/* Starts an end whose disk was cut; power cut: unsynced writes are lost or torn. */
void duet_revive(struct duet *d, enum duet_end end, bool power_cut);
/* Starts it with other circumstances: returns what vault_new says. */
struct duet_start {
    bool adopt;
    bool other_machine;
    bool no_witness;
    bool allow_simulated;
    bool rolled_back; /* the test has restored an older disk: cursors may have gone back */
};
int duet_start(struct duet *d, enum duet_end end, const struct duet_start *how, struct err *e);
void duet_stop(struct duet *d, enum duet_end end);
/* The witness file says what the disk says (the test has restored both). */
void duet_forget_witness(struct duet *d, enum duet_end end);
void duet_link(struct duet *d, bool up);
/* Only this end's KME finds that the link is a new one. */
void duet_relink_one(struct duet *d, enum duet_end end);
/* Delivers what the pools say to each other, and what they answer, until they are silent. */
void duet_talk(struct duet *d);
/* Time passes at both ends, then they talk. */
void duet_pass(struct duet *d, uint64_t ms);

/* The end's disk fails in its n-th operation from now on (0: never), however often the end is restarted
 * before that. */
void duet_cut_at(struct duet *d, enum duet_end end, uint64_t n);
/* Cuts that have happened, at both ends. */
uint64_t duet_cuts(const struct duet *d);

/* Called with true before a pool's code runs and with false after it. An end whose code then returns
 * -ENOMEM goes down, like one whose disk fails. */
typedef void (*duet_gate)(bool inside);
void duet_set_gate(struct duet *d, duet_gate gate);

/* ---- messages between the pools ---- */
/* Called for each before it is delivered: may change it, or return false to lose it. */
typedef bool (*duet_tamper)(void *arg, enum duet_end from, uint8_t *data, size_t *len);
void duet_set_tamper(struct duet *d, duet_tamper tamper, void *arg);
/* Hands a pool message to an end as if it came from the other. */
void duet_inject(struct duet *d, enum duet_end to, const uint8_t *data, size_t len);
/* From now on somebody writes decisions into the link: the ends need not agree any more. */
void duet_distrust(struct duet *d);

/* ---- key ---- */
/* A block of `len` bytes drawn from the seed arrives at the ends named (bit 1 << end). Its number. */
size_t duet_block(struct duet *d, unsigned ends, size_t len);
/* The same block at one more end, with its first byte changed if `differs`. The answer's code. */
uint32_t duet_ingest(struct duet *d, enum duet_end end, size_t block, bool differs);
/* 0 undecided as far as this end's KME was told, 1 confirmed, -1 void. */
int duet_decided(const struct duet *d, enum duet_end end, size_t block);
const uint8_t *duet_block_bytes(const struct duet *d, size_t block);

/* ---- clients ---- */
/* Reserves [start, start + len) of the mask stream under the next attempt, at one end. */
uint32_t duet_reserve(
    struct duet *d, enum duet_end end, uint64_t attempt, uint64_t start, uint64_t len);
/* Takes; the bytes, borrowed until the next call, or NULL if the pool closed the connection. */
const uint8_t *duet_take(struct duet *d, enum duet_end end, uint64_t offset, uint32_t len);
void duet_release(struct duet *d, enum duet_end end);
/* The client's connection ends and is made anew. */
void duet_hang_up(struct duet *d, enum duet_end end);
/* The KME's connection is made anew, and the link with it. */
void duet_new_kme(struct duet *d, enum duet_end end);
void duet_say_bytes(
    struct duet *d, enum duet_end end, uint32_t conn, uint16_t type, uint8_t *body, size_t len);
uint64_t duet_next_attempt(struct duet *d);

/* ---- any other connection ---- */
/* Its number; without a hello yet. */
uint32_t duet_open(struct duet *d, enum duet_end end, enum role role);
void duet_close(struct duet *d, enum duet_end end, uint32_t conn);
void duet_hello(struct duet *d, enum duet_end end, enum role role, uint32_t conn);
void duet_say(struct duet *d, enum duet_end end, uint32_t conn, uint16_t type,
    const ProtobufCMessage *message);
/* The last frame of the type that the end sent on the connection since it was last asked for, decoded;
 * lives until the next call. NULL if there was none. */
const void *duet_heard(struct duet *d, uint32_t conn, uint16_t type);
/* Asks on the admin socket: the answer's JSON (owned by the caller) or NULL with *code. */
struct json_t *duet_ask(
    struct duet *d, enum duet_end end, const char *verb, const char *arguments, int *code);
/* Connections of the KME and of the client; 0 after the pool has closed them. */
uint32_t duet_kme(const struct duet *d, enum duet_end end);
uint32_t duet_client(const struct duet *d, enum duet_end end);

/* ---- looking ---- */
struct vault_account duet_account(
    const struct duet *d, enum duet_end end, enum vault_purpose purpose);
bool duet_noted(const struct duet *d, enum duet_end end, const char *text);
/* Lets time pass until nothing can change any more, then asserts that both ends agree. */
void duet_settle(struct duet *d);
/* Over both journals: no byte of the mask stream belongs to two attempts. */
void duet_audit(struct duet *d);
