/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of `qflctl keyrate`: counts in as CSV, key lengths out as JSON or as a table.
 *
 * The first line that is neither empty nor a comment (#) names the columns, in any order: pair, mu,
 * n, n_x, m_x, n_y, m_y, and optionally leak_bits and expected_e_y (needed for the optimised form of
 * Kato's inequality, whose a, b may not depend on what was observed). An empty leak_bits means: none
 * measured, predict it. Pure: text in, text out; errors read "file:line: sentence".
 */
#pragma once

#include "common/err.h"
#include "keypool/qkd/keyrate.h"

#include <stddef.h>

#define KEYRATE_PAIR_MAX 63
#define KEYRATE_ROWS_MAX ((size_t)100000)

struct keyrate_row {
    char pair[KEYRATE_PAIR_MAX + 1];
    struct keyrate_counts counts;
    struct keyrate result; /* after keyrate_table_compute */
};

struct keyrate_table {
    struct keyrate_row *rows; /* owned */
    size_t n;
    size_t cap;
};

/* `file` is the name for error sentences. -EINVAL with a sentence, -ENOMEM. */
int keyrate_csv_parse(struct keyrate_table *out, const char *text, size_t len, const char *file,
    const struct keyrate_options *options, struct err *e) must_check;
/* The paper's Table 7 of one network ("paper-3", "paper-4"; NULL: both). `measured_leak`: with the
 * published lambda_EC instead of the predicted one. */
int keyrate_table_paper(
    struct keyrate_table *out, const char *network, bool measured_leak) must_check;
void keyrate_table_deinit(struct keyrate_table *t);

void keyrate_table_compute(struct keyrate_table *t, const struct keyrate_options *options);

/* {"pairs": [{pair, e_x, e_y, e_y_upper, delta, e_p_upper, key_bits, rate_kbps}]}, with "reason" for
 * a pair without key. malloc'ed; NULL if there is no memory. */
char *keyrate_table_json(const struct keyrate_table *t) must_check;
/* The same for people. malloc'ed; NULL if there is no memory. */
char *keyrate_table_text(const struct keyrate_table *t) must_check;
