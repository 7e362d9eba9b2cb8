/* SPDX-License-Identifier: Apache-2.0 */
/* Parities of 64 random subsets of a frame at once, in prefix sums. Internal to keypool/post.
 *
 * The sum over words of word times coin in GF(2^64), coins uniform and independent: bit s of it is the
 * parity of a subset of the bits, and whatever two different frames differ in, the 64 differences are
 * uniform and independent. With prefix sums the subset's parity within any interval takes two loads.
 * Polynomial x^64 + x^4 + x^3 + x + 1; PCLMULQDQ where the processor has it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t cascade_hash_word(uint64_t word, uint64_t coin);
/* sums[w] for w = 0..n: the hash of the words before w. */
void cascade_hash_sums(uint64_t *sums, const uint64_t *words, const uint64_t *coins, size_t n);
/* Without PCLMULQDQ, for tests. */
uint64_t cascade_hash_word_portable(uint64_t word, uint64_t coin);
