/* SPDX-License-Identifier: Apache-2.0 */
/* Counts written by anybody. Oracle: an error is a sentence that begins with the file's name, what is
 * accepted gives numbers and JSON. */
#include "keypool/qkd/keyrate_csv.h"

#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <math.h>

static void check(struct keyrate_table *t, const struct keyrate_options *o)
{
    keyrate_table_compute(t, o);
    for (size_t i = 0; i < t->n; i++) {
        const struct keyrate *k = &t->rows[i].result;
        fuzz_assert(k->key_bits >= 0 && isfinite(k->key_bits) && k->rate_kbps >= 0);
        fuzz_assert((k->key_bits > 0) == (k->outcome == KEYRATE_KEY));
        fuzz_assert(k->key_bits <= t->rows[i].counts.n_x);
    }
    char *text = keyrate_table_text(t);
    char *json = keyrate_table_json(t);
    json_t *again = json_loads(json, 0, NULL);
    fuzz_assert(text && json_array_size(json_object_get(again, "pairs")) == t->n);
    json_decref(again);
    free(json);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int kato = 0; kato <= 1; kato++) {
        struct keyrate_options o = keyrate_paper_options();
        struct keyrate_table t;
        struct err e = {{0}};
        o.kato = kato ? KEYRATE_KATO_OPTIMISED : KEYRATE_KATO_ZERO;
        if (keyrate_csv_parse(&t, (const char *)data, size, "file", &o, &e) == 0) {
            fuzz_assert(t.n > 0);
            check(&t, &o);
        } else {
            fuzz_assert(strncmp(e.text, "file:", 5) == 0);
        }
        keyrate_table_deinit(&t);
    }
    return 0;
}
