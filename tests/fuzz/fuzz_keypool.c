/* SPDX-License-Identifier: Apache-2.0 */
/* A key pool against clients, a KME, an operator and a peer that say anything, any time.
 *
 * Input: a byte whose lowest bit names the victim (alice, who decides, or bob), then lines: who speaks
 * (u8: see `speaker`), type (u8), length (u16 big-endian), body. Honest talk of both ends goes on beside
 * it. Oracle: tests/keypool/duet.c after every step: accounts add up, no cursor goes back, no byte is
 * handed out twice; as long as nobody forges decisions, both ends hand out the same bytes.
 */
#include "tests/keypool/duet.h"

#include "common/util.h"
#include "tests/fuzz/fuzz.h"

enum speaker {
    CLIENT,   /* a frame of type 16 + n */
    KME,      /* the same */
    PEER,     /* a pool message of type 16 + n */
    OPERATOR, /* a frame on the admin socket */
    WORLD,    /* something happens: see `happen` */
    SPEAKERS,
};

static void honest_attempt(struct duet *d, uint8_t n)
{
    uint64_t attempt = duet_next_attempt(d);
    uint64_t start =
        MAX(duet_account(d, ALICE, VAULT_MASK).cursor, duet_account(d, BOB, VAULT_MASK).cursor);
    for (enum duet_end end = ALICE; end <= BOB; end++)
        if (duet_client(d, end) && duet_reserve(d, end, attempt, start, 1u + n) == 0)
            (void)duet_take(d, end, 0, 1);
}

static void happen(struct duet *d, enum duet_end victim, uint8_t what, uint8_t n)
{
    switch (what % 7) {
    case 0:
        (void)duet_block(d, 3, 1u + n);
        break;
    case 1:
        (void)duet_block(d, 1u + (n & 1), 1u + n);
        break;
    case 2:
        honest_attempt(d, n);
        break;
    case 3:
        duet_restart(d, victim);
        break;
    case 4:
        duet_pass(d, n * (uint64_t)500);
        break;
    case 5:
        duet_link(d, n & 1);
        break;
    default:
        (void)duet_take(d, victim, n, n);
        break;
    }
    duet_talk(d);
}

/* Two bytes before the body are free, for a pool message's type. */
static void speak(
    struct duet *d, enum duet_end victim, uint8_t who, uint8_t n, uint8_t *body, size_t len)
{
    uint32_t operator_conn;
    switch (who % SPEAKERS) {
    case CLIENT:
        duet_say_bytes(d, victim, duet_client(d, victim), 16u + n, body, len);
        break;
    case KME:
        duet_say_bytes(d, victim, duet_kme(d, victim), 16u + n, body, len);
        break;
    case PEER:
        body[-2] = 16 + n % 5;
        body[-1] = 0;
        duet_inject(d, victim, body - 2, 2 + len);
        break;
    case OPERATOR:
        operator_conn = duet_open(d, victim, ROLE_CTL);
        duet_say_bytes(d, victim, operator_conn, 16u + n % 2, body, len);
        duet_close(d, victim, operator_conn);
        break;
    default:
        happen(d, victim, n, len > 0 ? body[0] : 0);
        break;
    }
    if (!duet_client(d, victim))
        duet_hang_up(d, victim);
    if (!duet_kme(d, victim))
        duet_new_kme(d, victim);
    duet_talk(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum duet_end victim = data[0] & 1;
    struct duet *d = duet_new(1);
    if (victim == BOB)
        duet_distrust(d);
    (void)duet_block(d, 3, 500);
    duet_talk(d);
    for (data++, size--; size >= 4;) {
        size_t len = (size_t)data[2] << 8 | data[3];
        if (len > size - 4)
            break;
        uint8_t *line = malloc(len + 2);
        fuzz_assert(line);
        memcpy(line + 2, data + 4, len);
        speak(d, victim, data[0], data[1], line + 2, len);
        free(line);
        data += 4 + len;
        size -= 4 + len;
    }
    duet_free(d);
    return 0;
}
