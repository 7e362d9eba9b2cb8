/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state.h"

#include "common/util.h"

#include <errno.h>

#define MAGIC "qflstat1"

enum {
    AT_FLAGS = 8,
    AT_RUN = 16,
    AT_ROUND = 32,
    AT_CLOSED = 40,
    AT_ATTEMPT = 48,
    AT_TRAINING = 56,
    AT_SKIPPED = 64,
    AT_N_APPROVED = 96,
    AT_APPROVED = 104,
    AT_HASH = AT_APPROVED + STATE_RUNS_MAX * FED_RUN_BYTES,
    STATE_BYTES = AT_HASH + SHA256_BYTES,
};

enum { FLAG_RUN = 1, FLAG_SKIPPED = 2 };

static void state_encode(const struct state *s, uint8_t out[STATE_BYTES])
{
    memset(out, 0, STATE_BYTES);
    memcpy(out, MAGIC, AT_FLAGS);
    put_u64le(out + AT_FLAGS, (s->has_run ? FLAG_RUN : 0) | (s->has_skipped ? FLAG_SKIPPED : 0));
    memcpy(out + AT_RUN, s->run, FED_RUN_BYTES);
    put_u64le(out + AT_ROUND, s->round);
    put_u64le(out + AT_CLOSED, s->closed);
    put_u64le(out + AT_ATTEMPT, s->attempt);
    put_u64le(out + AT_TRAINING, s->training);
    memcpy(out + AT_SKIPPED, s->skipped, SHA256_BYTES);
    put_u64le(out + AT_N_APPROVED, s->n_approved);
    memcpy(out + AT_APPROVED, s->approved, sizeof(s->approved));
    sha256(out + AT_HASH, out, AT_HASH);
}

static bool state_decode(struct state *s, const uint8_t in[STATE_BYTES])
{
    uint8_t hash[SHA256_BYTES];
    sha256(hash, in, AT_HASH);
    if (memcmp(in, MAGIC, AT_FLAGS) != 0 || memcmp(hash, in + AT_HASH, SHA256_BYTES) != 0)
        return false;
    uint64_t flags = get_u64le(in + AT_FLAGS);
    uint64_t n = get_u64le(in + AT_N_APPROVED);
    if (n > STATE_RUNS_MAX)
        return false;
    *s = (struct state){
        .has_run = (flags & FLAG_RUN) != 0,
        .round = get_u64le(in + AT_ROUND),
        .closed = get_u64le(in + AT_CLOSED),
        .attempt = get_u64le(in + AT_ATTEMPT),
        .training = get_u64le(in + AT_TRAINING),
        .has_skipped = (flags & FLAG_SKIPPED) != 0,
        .n_approved = (uint32_t)n,
    };
    memcpy(s->run, in + AT_RUN, FED_RUN_BYTES);
    memcpy(s->skipped, in + AT_SKIPPED, SHA256_BYTES);
    memcpy(s->approved, in + AT_APPROVED, sizeof(s->approved));
    return true;
}

int client_state_load(struct state *s, struct disk *disk, struct err *e)
{
    uint8_t bytes[STATE_BYTES + 1];
    *s = (struct state){0};
    int64_t n = disk_read(disk, STATE_FILE, 0, bytes, sizeof(bytes));
    if (n == -ENOENT)
        return 0;
    if (n < 0)
        return err_set(e, (int)n, "the file \"%s\" cannot be read", STATE_FILE);
    if (n != STATE_BYTES || !state_decode(s, bytes))
        return err_set(e, -EBADMSG,
            "the file \"%s\" is damaged; it keeps updates from being released twice, so move the "
            "state directory away only after this site has left its run",
            STATE_FILE);
    return 0;
}

int client_state_save(const struct state *s, struct disk *disk)
{
    uint8_t bytes[STATE_BYTES];
    state_encode(s, bytes);
    return disk_replace(disk, STATE_FILE, bytes, sizeof(bytes));
}

void client_state_approve(struct state *s, const uint8_t run[FED_RUN_BYTES])
{
    if (client_state_is_approved(s, run))
        return;
    if (s->n_approved == STATE_RUNS_MAX) {
        memmove(s->approved[0], s->approved[1], sizeof(s->approved) - FED_RUN_BYTES);
        s->n_approved--;
    }
    memcpy(s->approved[s->n_approved++], run, FED_RUN_BYTES);
}

bool client_state_is_approved(const struct state *s, const uint8_t run[FED_RUN_BYTES])
{
    for (uint32_t i = 0; i < s->n_approved; i++)
        if (memcmp(s->approved[i], run, FED_RUN_BYTES) == 0)
            return true;
    return false;
}

static bool state_in_run(const struct state *s, const uint8_t run[FED_RUN_BYTES])
{
    return s->has_run && memcmp(s->run, run, FED_RUN_BYTES) == 0;
}

void client_state_enter(struct state *s, const uint8_t run[FED_RUN_BYTES], uint64_t round)
{
    if (!state_in_run(s, run)) {
        s->has_run = true;
        memcpy(s->run, run, FED_RUN_BYTES);
        s->closed = 0;
    }
    s->round = round;
}

bool client_state_is_closed(const struct state *s, const uint8_t run[FED_RUN_BYTES], uint64_t round)
{
    return state_in_run(s, run) && round <= s->closed;
}
