/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of Cascade, each against any bytes. The first four bytes make the frame; a bit of the fifth chooses
 * the end. Reference: the rest are questions, each a length byte and so many bytes. Corrector: the answers
 * of an honest reference, with the rest added to them byte by byte.
 * Oracle: a condition of the header and no other, never more parities than the frame has bits, both ends
 * end, flips only as many as allowed. */
#include "common/util.h"
#include "keypool/post/cascade.h"

#include "tests/fuzz/fuzz.h"

#define HEAD      5
#define TRIPS_MAX 100000

static void check_reference(
    struct cascade_reference *r, uint32_t n, const uint8_t *data, size_t size)
{
    size_t at = 0;
    int e = 0;
    while (at < size && e == 0) {
        size_t len = data[at++];
        len = MIN(len, size - at);
        struct buf answer = {0};
        uint64_t before = cascade_reference_leak_bits(r);
        e = cascade_reference_answer(r, data + at, len, &answer);
        uint64_t bits = cascade_reference_leak_bits(r) - before;
        fuzz_assert(e == 0 || e == CASCADE_E_PROTOCOL || e == CASCADE_E_GIVE_UP);
        fuzz_assert(cascade_reference_leak_bits(r) <= n && answer.len <= (bits + 7) / 8);
        fuzz_assert(e != 0 || answer.len == (bits + 7) / 8);
        buf_deinit(&answer);
        at += len;
    }
}

static void check_corrector(struct cascade_corrector *c, struct cascade_reference *r, uint32_t n,
    const uint8_t *data, size_t size)
{
    struct buf question = {0};
    struct buf answer = {0};
    size_t used = 0;
    int e = 0;
    for (unsigned trip = 0; e == 0; trip++) {
        fuzz_assert(trip < TRIPS_MAX);
        question.len = 0;
        e = cascade_corrector_step(c, answer.data, answer.len, &question);
        answer.len = 0;
        if (e != 0)
            break;
        fuzz_assert(question.len > 0);
        e = cascade_reference_answer(r, question.data, question.len, &answer);
        fuzz_assert(e == 0 || e == CASCADE_E_GIVE_UP);
        for (size_t i = 0; i < answer.len && used < size; i++)
            answer.data[i] ^= data[used++];
    }
    fuzz_assert(e == CASCADE_DONE || e == CASCADE_E_PROTOCOL || e == CASCADE_E_GIVE_UP);
    fuzz_assert(cascade_corrector_flips(c) <= (uint64_t)n + 1);
    /* With honest answers to the end it is right, but for 2^-26. */
    fuzz_assert(used > 0 || e != CASCADE_E_PROTOCOL);
    buf_deinit(&question);
    buf_deinit(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    uint32_t n = CASCADE_N_MIN + (data[0] | data[1] << 8) % 6000;
    const uint8_t seed[CASCADE_SEED] = {data[2]};
    struct cascade_plan plan;
    cascade_plan_init(&plan, n, (data[3] + 1) / 600.0, seed);
    struct cascade_shuffle *shuffle = cascade_shuffle_new(&plan);
    uint8_t *right = calloc(n / 8 + 1, 1);
    uint8_t *wrong = calloc(n / 8 + 1, 1);
    for (uint32_t i = 0; i < n / 8; i++) {
        right[i] = (uint8_t)(i * 37 + data[2]);
        wrong[i] = right[i] ^ (i % 11 == data[3] % 11);
    }
    struct cascade_reference *r = cascade_reference_new(&plan, shuffle, right);
    struct cascade_corrector *c = cascade_corrector_new(&plan, shuffle, wrong);
    fuzz_assert(r && c);
    if (data[4] & 1)
        check_corrector(c, r, n, data + HEAD, size - HEAD);
    else
        check_reference(r, n, data + HEAD, size - HEAD);
    cascade_reference_free(r);
    cascade_corrector_free(c);
    cascade_shuffle_free(shuffle);
    free(right);
    free(wrong);
    return 0;
}
