/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkd/keyrate_csv.h"

#include "common/util.h"
#include "keypool/qkd/link_model.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#define LINE_MAX_BYTES 1024
#define FIELDS_MAX     16
#define KEY_BITS_MAX   9e15 /* exact in a double and in JSON */

/* ---- columns ------------------------------------------------------------------------------ */

static const struct column {
    const char *name;
    size_t offset; /* of a double in struct keyrate_counts */
    bool optional;
} columns[] = {
    {"pair", 0, false}, /* not a number: handled by itself */
    {"mu", offsetof(struct keyrate_counts, mu), false},
    {"n", offsetof(struct keyrate_counts, n), false},
    {"n_x", offsetof(struct keyrate_counts, n_x), false},
    {"m_x", offsetof(struct keyrate_counts, m_x), false},
    {"n_y", offsetof(struct keyrate_counts, n_y), false},
    {"m_y", offsetof(struct keyrate_counts, m_y), false},
    {"leak_bits", offsetof(struct keyrate_counts, leak_bits), true},
    {"expected_e_y", offsetof(struct keyrate_counts, expected_e_y), true},
};
#define COLUMN_PAIR     0
#define COLUMN_LEAK     7
#define COLUMN_EXPECTED 8

struct reader {
    const char *file;
    unsigned line;
    const struct keyrate_options *options;
    struct keyrate_table *out;
    size_t columns[FIELDS_MAX]; /* of the file, by position */
    size_t n_columns;           /* 0: header not read yet */
    bool has[ARRAY_SIZE(columns)];
    struct err *e;
};

#define FAIL(r, ...)                                                                               \
    err_wrap((r)->e, err_set((r)->e, -EINVAL, __VA_ARGS__), "%s:%u", (r)->file, (r)->line)

/* ---- lines and fields --------------------------------------------------------------------- */

static char *trim(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    size_t len = strlen(s);
    while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t' || s[len - 1] == '\r'))
        s[--len] = 0;
    return s;
}

/* Splits in place; FIELDS_MAX + 1 means too many. */
static size_t split(char *line, char *fields[FIELDS_MAX])
{
    size_t n = 0;
    for (char *rest = line; rest;) {
        char *field = strsep(&rest, ",");
        if (n == FIELDS_MAX)
            return FIELDS_MAX + 1;
        fields[n++] = trim(field);
    }
    return n;
}

static bool is_plain(const char *s, const char *allowed)
{
    return *s && strspn(s, allowed) == strlen(s);
}

static int find_column(const char *name, size_t *index)
{
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        if (strcmp(columns[i].name, name) == 0) {
            *index = i;
            return 0;
        }
    return -ENOENT;
}

static int read_header(struct reader *r, char **fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t index;
        if (find_column(fields[i], &index) < 0)
            return FAIL(r,
                "unknown column \"%.40s\"; known are pair, mu, n, n_x, m_x, n_y, m_y, "
                "leak_bits, expected_e_y",
                fields[i]);
        if (r->has[index])
            return FAIL(r, "column %s is named twice", fields[i]);
        r->has[index] = true;
        r->columns[i] = index;
    }
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
        if (!columns[i].optional && !r->has[i])
            return FAIL(r, "column %s is missing", columns[i].name);
    if (r->options->kato == KEYRATE_KATO_OPTIMISED && !r->has[COLUMN_EXPECTED])
        return FAIL(r, "column expected_e_y is needed for the optimised form of Kato's inequality");
    r->n_columns = n;
    return 0;
}

static int read_number(struct reader *r, const char *name, const char *text, double *out)
{
    if (!is_plain(text, "0123456789.eE+-"))
        return FAIL(r, "%s is \"%.40s\", not a number", name, text);
    char *end;
    *out = strtod(text, &end);
    if (*end || !isfinite(*out))
        return FAIL(r, "%s is \"%.40s\", not a number", name, text);
    if (*out < 0)
        return FAIL(r, "%s is negative", name);
    return 0;
}

static int read_pair(struct reader *r, const char *text, struct keyrate_row *row)
{
    if (!*text || strlen(text) > KEYRATE_PAIR_MAX)
        return FAIL(r, "the name of the pair must have 1 to %d characters", KEYRATE_PAIR_MAX);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
            return FAIL(r, "the name of the pair holds a character that is not printable ASCII");
    memcpy(row->pair, text, strlen(text) + 1);
    return 0;
}

static int read_field(struct reader *r, size_t column, const char *text, struct keyrate_row *row)
{
    if (column == COLUMN_PAIR)
        return read_pair(r, text, row);
    if (column == COLUMN_LEAK && !*text)
        return 0;
    if (column == COLUMN_LEAK)
        row->counts.has_leak = true;
    double *out = (double *)((char *)&row->counts + columns[column].offset);
    return read_number(r, columns[column].name, text, out);
}

static int check_row(struct reader *r, const struct keyrate_counts *c)
{
    if (c->m_x > c->n_x)
        return FAIL(r, "m_x is larger than n_x");
    if (c->m_y > c->n_y)
        return FAIL(r, "m_y is larger than n_y");
    if (c->n_x + c->n_y > c->n)
        return FAIL(r, "n_x + n_y is larger than n");
    if (c->n > r->options->pulses)
        return FAIL(r, "n is larger than the number of pulses, %.17g", r->options->pulses);
    if (!(c->mu > 0))
        return FAIL(r, "mu is not positive");
    if (c->expected_e_y > 1)
        return FAIL(r, "expected_e_y is larger than 1");
    return 0;
}

static int table_push(struct keyrate_table *t, const struct keyrate_row *row)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 16;
        struct keyrate_row *rows = realloc(t->rows, cap * sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        t->rows = rows;
        t->cap = cap;
    }
    t->rows[t->n++] = *row;
    return 0;
}

static int read_row(struct reader *r, char **fields, size_t n)
{
    if (n != r->n_columns)
        return FAIL(r, "%zu fields where the header has %zu", n, r->n_columns);
    if (r->out->n == KEYRATE_ROWS_MAX)
        return FAIL(r, "more than %zu pairs", KEYRATE_ROWS_MAX);
    struct keyrate_row row = {0};
    for (size_t i = 0; i < n; i++) {
        int result = read_field(r, r->columns[i], fields[i], &row);
        if (result < 0)
            return result;
    }
    int result = check_row(r, &row.counts);
    return result < 0 ? result : table_push(r->out, &row);
}

static int read_line(struct reader *r, const char *text, size_t len)
{
    char line[LINE_MAX_BYTES + 1];
    char *fields[FIELDS_MAX];
    if (len > LINE_MAX_BYTES)
        return FAIL(r, "the line is longer than %d bytes", LINE_MAX_BYTES);
    if (memchr(text, 0, len))
        return FAIL(r, "the line holds a zero byte");
    memcpy(line, text, len);
    line[len] = 0;
    char *start = trim(line);
    if (!*start || *start == '#')
        return 0;
    size_t n = split(start, fields);
    if (n > FIELDS_MAX)
        return FAIL(r, "more than %d fields", FIELDS_MAX);
    return r->n_columns ? read_row(r, fields, n) : read_header(r, fields, n);
}

static int read_lines(struct reader *r, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at;
        r->line++;
        int result = read_line(r, text + at, n);
        if (result < 0)
            return result;
        at += n + 1;
    }
    if (r->out->n == 0)
        return FAIL(r, r->n_columns ? "no pair in the file" : "no line with the columns' names");
    return 0;
}

int keyrate_csv_parse(struct keyrate_table *out, const char *text, size_t len, const char *file,
    const struct keyrate_options *options, struct err *e)
{
    *out = (struct keyrate_table){0};
    struct reader r = {.file = file, .options = options, .out = out, .e = e};
    int result = read_lines(&r, text, len);
    if (result < 0)
        keyrate_table_deinit(out);
    return result;
}

/* ---- the paper's table -------------------------------------------------------------------- */

static int push_paper(struct keyrate_table *t, const struct link_paper *link, bool measured_leak)
{
    struct keyrate_row row = {.counts = link->counts};
    row.counts.has_leak = measured_leak;
    snprintf(row.pair, sizeof(row.pair), "%s", link->pair);
    return table_push(t, &row);
}

int keyrate_table_paper(struct keyrate_table *out, const char *network, bool measured_leak)
{
    *out = (struct keyrate_table){0};
    for (size_t i = 0; i < link_paper_count(); i++) {
        const struct link_paper *link = link_paper_at(i);
        if (network && strcmp(network, link->network) != 0)
            continue;
        int r = push_paper(out, link, measured_leak);
        if (r < 0) {
            keyrate_table_deinit(out);
            return r;
        }
    }
    return 0;
}

void keyrate_table_deinit(struct keyrate_table *t)
{
    free(t->rows);
    *t = (struct keyrate_table){0};
}

void keyrate_table_compute(struct keyrate_table *t, const struct keyrate_options *options)
{
    for (size_t i = 0; i < t->n; i++)
        t->rows[i].result = keyrate_compute(&t->rows[i].counts, options);
}

/* ---- output ------------------------------------------------------------------------------- */

static json_t *row_json(const struct keyrate_row *row)
{
    const struct keyrate *k = &row->result;
    json_t *o =
        json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:I, s:f}", "pair", row->pair, "e_x", k->e_x,
            "e_y", k->e_y, "e_y_upper", k->e_y_upper, "delta", k->delta, "e_p_upper", k->e_p_upper,
            "key_bits", (json_int_t)MIN(k->key_bits, KEY_BITS_MAX), "rate_kbps", k->rate_kbps);
    if (o && k->outcome != KEYRATE_KEY)
        json_object_set_new(o, "reason", json_string(keyrate_outcome_text(k->outcome)));
    return o;
}

char *keyrate_table_json(const struct keyrate_table *t)
{
    json_t *pairs = json_array();
    for (size_t i = 0; i < t->n; i++)
        json_array_append_new(pairs, row_json(&t->rows[i]));
    json_t *all = json_pack("{s:o}", "pairs", pairs);
    char *text = all ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(all);
    return text;
}

static void print_row(FILE *to, const struct keyrate_row *row)
{
    const struct keyrate *k = &row->result;
    fprintf(to, "%-12s %8.5f %8.5f %8.5f %8.5f %8.5f %12.0f %12.0f %10.2f", row->pair, k->e_x,
        k->e_y, k->e_y_upper, k->delta, k->e_p_upper, k->leak_bits, k->key_bits, k->rate_kbps);
    if (k->outcome != KEYRATE_KEY)
        fprintf(to, "  %s", keyrate_outcome_text(k->outcome));
    fputc('\n', to);
}

char *keyrate_table_text(const struct keyrate_table *t)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        return NULL;
    fprintf(to, "%-12s %8s %8s %8s %8s %8s %12s %12s %10s\n", "pair", "E_x", "E_y", "E_y max",
        "Delta", "E_p max", "leak bits", "key bits", "kbit/s");
    for (size_t i = 0; i < t->n; i++)
        print_row(to, &t->rows[i]);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
