/* SPDX-License-Identifier: Apache-2.0 */
/* The KME's answers to its operator. */
#include "keypool/kme/kme_internal.h"

#include "common/util.h"

#include <errno.h>
#include <sysexits.h>

#define ROOM_SHOWN_MAX ((uint64_t)1 << 59) /* in bytes: as bits it still fits JSON's numbers */

static json_t *link_json(const struct kme *k, const struct kme_link *l)
{
    struct err why = {{0}};
    json_int_t room = (json_int_t)MIN(l->room, ROOM_SHOWN_MAX);
    bool works = kme_link_works(k, l, &why);
    json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I}",
        "peer", l->peer, "state", works ? "UP" : "DOWN", "source", l->source->name, "simulated",
        l->source->simulated, "rate_kbps", meter_kbps(&l->meter, k->now_ms), "formula_kbps",
        l->rate_kbps, "qber", l->qber, "block_s", l->seconds, "blocks", (json_int_t)l->n_confirmed,
        "void_blocks", (json_int_t)l->n_void, "undecided_blocks", (json_int_t)l->n_blocks,
        "ingested_bits", 8 * (json_int_t)l->ingested_bytes, "room_bits", 8 * room);
    if (o && !works)
        json_object_set_new(o, "reason", json_string(why.text));
    if (o && l->source->simulated)
        json_object_set_new(o, "label", json_string("SIMULATED"));
    return o;
}

static json_t *links_json(const struct kme *k)
{
    json_t *links = json_array();
    for (size_t i = 0; i < k->n_links; i++)
        json_array_append_new(links, link_json(k, &k->links[i]));
    return links;
}

static json_t *status_json(const struct kme *k)
{
    return json_pack("{s:s, s:b, s:o}", "site", k->site, "keypool_connected", k->is_attached,
        "links", links_json(k));
}

static json_t *metrics_json(const struct kme *k)
{
    json_int_t up = 0, confirmed = 0, voided = 0, bits = 0;
    for (size_t i = 0; i < k->n_links; i++) {
        struct err ignored;
        const struct kme_link *l = &k->links[i];
        up += kme_link_works(k, l, &ignored);
        confirmed += (json_int_t)l->n_confirmed;
        voided += (json_int_t)l->n_void;
        bits += 8 * (json_int_t)l->ingested_bytes;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "qfl_kme_links", (json_int_t)k->n_links,
        "qfl_kme_links_up", up, "qfl_kme_blocks_total", confirmed, "qfl_kme_void_blocks_total",
        voided, "qfl_kme_ingested_bits_total", bits);
}

int kme_ctl_answer(void *owner, const char *verb, const json_t *arguments, json_t **result,
    struct update *u, struct err *e)
{
    const struct kme *k = owner;
    if (strcmp(verb, "status") == 0)
        *result = status_json(k);
    else if (strcmp(verb, "links") == 0)
        *result = links_json(k);
    else if (strcmp(verb, "metrics") == 0)
        *result = metrics_json(k);
    else
        return err_set(e, EX_USAGE, "unknown verb \"%.40s\": status, links, metrics", verb);
    return *result ? 0 : -ENOMEM;
}
