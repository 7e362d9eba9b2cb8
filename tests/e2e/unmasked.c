/* SPDX-License-Identifier: Apache-2.0 */
/* The mutant without the mask call: qfl-client linked with --wrap=words_add_wipe destroys its pads
 * without adding them. The test of uniformity must catch it. */
#include "common/secret.h"
#include "common/words.h"

void __wrap_words_add_wipe(uint8_t *y, uint8_t *pad, uint64_t n, unsigned q, bool subtract);

void __wrap_words_add_wipe(uint8_t *y, uint8_t *pad, uint64_t n, unsigned q, bool subtract)
{
    secret_wipe(pad, words_bytes(n, q));
}
