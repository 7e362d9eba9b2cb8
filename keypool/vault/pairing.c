/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/vault/pairing.h"

#include "common/hex.h"
#include "common/util.h"

#include <errno.h>
#include <stdio.h>

#define PAIRING_TITLE "QFLPAIR 1"

void pairing_deinit(struct pairing *p)
{
    secret_deinit(&p->key);
}

int pairing_make(struct pairing *out, const char *a, const char *b, const uint8_t *entropy)
{
    *out = (struct pairing){0};
    int order = strcmp(a, b);
    if (order == 0 || !site_name_is_valid(a) || !site_name_is_valid(b))
        return -EINVAL;
    int r = secret_init(&out->key, VAULT_PAIRING_BYTES);
    if (r < 0)
        return r;
    strcpy(out->low, order < 0 ? a : b);
    strcpy(out->high, order < 0 ? b : a);
    memcpy(out->mask_stream, entropy, VAULT_STREAM_BYTES);
    memcpy(out->auth_low_high, entropy + VAULT_STREAM_BYTES, VAULT_STREAM_BYTES);
    memcpy(out->auth_high_low, entropy + 2 * VAULT_STREAM_BYTES, VAULT_STREAM_BYTES);
    memcpy(out->key.data, entropy + 3 * VAULT_STREAM_BYTES, VAULT_PAIRING_BYTES);
    return 0;
}

/* ---- text --------------------------------------------------------------------------------------- */

int pairing_format(const struct pairing *p, struct secret *text)
{
    char mask[2 * VAULT_STREAM_BYTES + 1];
    char low_high[2 * VAULT_STREAM_BYTES + 1];
    char high_low[2 * VAULT_STREAM_BYTES + 1];
    hex_encode(mask, p->mask_stream, VAULT_STREAM_BYTES);
    hex_encode(low_high, p->auth_low_high, VAULT_STREAM_BYTES);
    hex_encode(high_low, p->auth_high_low, VAULT_STREAM_BYTES);
    char head[512];
    int head_len = snprintf(head, sizeof(head),
        PAIRING_TITLE "\nlow %s\nhigh %s\nmask %s\nauth-low-high %s\nauth-high-low %s\nkey ",
        p->low, p->high, mask, low_high, high_low);
    /* hex_encode ends with a NUL, which the newline replaces */
    int r = secret_init(text, (size_t)head_len + 2 * VAULT_PAIRING_BYTES + 1);
    if (r < 0)
        return r;
    memcpy(text->data, head, (size_t)head_len);
    hex_encode((char *)text->data + head_len, p->key.data, VAULT_PAIRING_BYTES);
    text->data[text->len - 1] = '\n';
    return 0;
}

struct reader {
    const char *at;
    const char *end;
    unsigned line;
};

/* The value of the next line, which must begin with `label` and a space; NULL if it does not. */
static const char *next_value(struct reader *r, const char *label, size_t *len)
{
    size_t label_len = strlen(label);
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const char *start = r->at;
    r->line++;
    if (!end || (size_t)(end - start) <= label_len || memcmp(start, label, label_len) != 0 ||
        start[label_len] != ' ')
        return NULL;
    r->at = end + 1;
    *len = (size_t)(end - start) - label_len - 1;
    return start + label_len + 1;
}

static bool read_name(struct reader *r, const char *label, char out[SITE_NAME_MAX + 1])
{
    size_t len;
    const char *value = next_value(r, label, &len);
    if (!value || len > SITE_NAME_MAX)
        return false;
    memcpy(out, value, len);
    out[len] = '\0';
    return site_name_is_valid(out);
}

static bool read_hex(struct reader *r, const char *label, uint8_t *out, size_t bytes)
{
    size_t len;
    const char *value = next_value(r, label, &len);
    return value && hex_decode(out, bytes, value, len);
}

static bool read_all(struct reader *r, struct pairing *p)
{
    size_t len;
    const char *version = next_value(r, "QFLPAIR", &len);
    return version && len == 1 && *version == '1' && read_name(r, "low", p->low) &&
           read_name(r, "high", p->high) && strcmp(p->low, p->high) < 0 &&
           read_hex(r, "mask", p->mask_stream, VAULT_STREAM_BYTES) &&
           read_hex(r, "auth-low-high", p->auth_low_high, VAULT_STREAM_BYTES) &&
           read_hex(r, "auth-high-low", p->auth_high_low, VAULT_STREAM_BYTES) &&
           read_hex(r, "key", p->key.data, VAULT_PAIRING_BYTES);
}

int pairing_parse(struct pairing *out, const uint8_t *text, size_t len, struct err *e)
{
    *out = (struct pairing){0};
    struct reader r = {(const char *)text, (const char *)text + len, 0};
    int status = secret_init(&out->key, VAULT_PAIRING_BYTES);
    if (status < 0)
        return status;
    if (read_all(&r, out) && r.at == r.end)
        return 0;
    pairing_deinit(out);
    return err_set(e, -EBADMSG,
        "line %u is not as qflctl site pair writes it; make the pair's file anew", r.line);
}

int pairing_for(const struct pairing *p, const char *site, struct vault_pairing *out, struct err *e)
{
    bool is_low = strcmp(site, p->low) == 0;
    if (!is_low && strcmp(site, p->high) != 0)
        return err_set(
            e, -EINVAL, "it pairs %s and %s, this key pool is of %s", p->low, p->high, site);
    *out = (struct vault_pairing){.peer = is_low ? p->high : p->low, .key = p->key.data};
    memcpy(out->mask_stream, p->mask_stream, VAULT_STREAM_BYTES);
    memcpy(out->auth_low_high, p->auth_low_high, VAULT_STREAM_BYTES);
    memcpy(out->auth_high_low, p->auth_high_low, VAULT_STREAM_BYTES);
    return 0;
}
