/* SPDX-License-Identifier: Apache-2.0 */
/* packwords Q FILE.json > BYTES: the integers that a client wrote (test_hooks), as the packed words
 * that they would be on the wire without pads; the parameters of the first chunk, without canaries. */
#include "common/util.h"
#include "common/words.h"

#include <jansson.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    json_error_t at;
    unsigned q = argc == 3 ? (unsigned)atoi(argv[1]) : 0;
    json_t *v = q >= 2 && q <= 32 ? json_load_file(argv[2], 0, &at) : NULL;
    size_t n = json_array_size(v);
    /* An odd shift would move the words of widths below a byte: the first canary takes q bits. */
    uint8_t *packed = calloc(words_bytes(n + 1, q ? q : 2) + 4, 1);
    if (n == 0 || !packed)
        return 2;
    words_put(packed, 0, q, 1);
    for (size_t k = 0; k < n; k++)
        words_put(packed, k + 1, q, (uint32_t)json_integer_value(json_array_get(v, k)));
    fwrite(packed, 1, words_bytes(n + 1, q), stdout);
    free(packed);
    json_decref(v);
    return 0;
}
