/* SPDX-License-Identifier: Apache-2.0 */
/* The KME's answers to its operator. */
#include "keypool/kme/kme_internal.h"

#include "common/util.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#define ROOM_SHOWN_MAX ((uint64_t)1 << 59) /* in bytes: as bits it still fits JSON's numbers */

enum link_state kme_link_state(const struct kme *k, const struct kme_link *l, struct err *why)
{
    struct err missing = {{0}};
    bool works = kme_link_works(k, l, &missing);
    const struct link_facts facts = {.peer = l->peer,
        .missing = works ? NULL : missing.text,
        .in_step = l->in_step,
        .auth_bytes = l->auth_bytes,
        .is_aborted = l->is_aborted,
        .qber = l->aborted_qber,
        .reason = l->last_void.text,
        .is_low = l->is_low};
    return link_state_of(&facts, why);
}

/* Rates that are not known are left out. */
static void put_rate(json_t *o, const char *key, double rate)
{
    if (rate >= 0)
        json_object_set_new(o, key, json_real(rate));
}

static void put_stages(json_t *o, const struct source_report *r)
{
    const struct {
        const char *name;
        double seconds;
        double bits;
    } stages[] = {{"acquisition", r->acquisition_s, (double)r->n},
        {"sifting", r->sifting_s, (double)r->n}, {"correction", r->correction_s, (double)r->n_x},
        {"amplification", r->amplification_s, (double)r->n_x}};
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
        json_array_append_new(list,
            json_pack("{s:s, s:f, s:f}", "stage", stages[i].name, "seconds", stages[i].seconds,
                "mbit_s", stages[i].seconds > 0 ? stages[i].bits / stages[i].seconds / 1e6 : 0));
    json_object_set_new(o, "stages", list);
}

/* What a source that post-processes knows of its last block. */
static void put_report(json_t *o, const struct kme_link *l)
{
    struct source_report r;
    if (!l->source->ops->report)
        return;
    bool has_block = l->source->ops->report(l->source, l->peer, &r);
    json_object_set_new(o, "level", json_string(r.level));
    json_object_set_new(o, "total_eps", json_real(r.eps * (double)l->n_confirmed));
    json_object_set_new(o, "memory_bytes", json_integer((json_int_t)r.memory_bytes));
    json_object_set_new(o, "tags_under_key", json_integer((json_int_t)r.tags));
    put_rate(o, "next_block_s", r.next_block_s);
    if (!has_block)
        return;
    json_t *block =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "n", (json_int_t)r.n, "n_x",
            (json_int_t)r.n_x, "n_y", (json_int_t)r.n_y, "leak_bits", (json_int_t)r.leak_bits,
            "key_bits", (json_int_t)r.key_bits, "f_ec", r.f_ec, "gain_xx", r.gain_xx, "gain_yy",
            r.gain_yy, "gain_mismatched", r.gain_mismatched, "seconds", r.block_s);
    put_rate(block, "e_x", r.e_x);
    put_rate(block, "e_y", r.e_y);
    put_rate(block, "e_p", r.e_p);
    put_stages(block, &r);
    json_object_set_new(o, "last_block", block);
}

static json_t *link_json(const struct kme *k, const struct kme_link *l)
{
    struct err why = {{0}};
    json_int_t room = (json_int_t)MIN(l->room, ROOM_SHOWN_MAX);
    enum link_state state = kme_link_state(k, l, &why);
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:b, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
            "peer", l->peer, "state", link_state_name(state), "source", l->source->name,
            "simulated", l->source->simulated, "rate_kbps", meter_kbps(&l->meter, k->now_ms),
            "formula_kbps", l->rate_kbps, "qber", l->is_aborted ? l->aborted_qber : l->qber,
            "block_s", l->seconds, "blocks", (json_int_t)l->n_confirmed, "void_blocks",
            (json_int_t)l->n_void, "undecided_blocks", (json_int_t)l->n_blocks, "alarms",
            (json_int_t)l->n_alarms, "ingested_bits", 8 * (json_int_t)l->ingested_bytes,
            "room_bits", 8 * room, "auth_bits", 8 * (json_int_t)MIN(l->auth_bytes, ROOM_SHOWN_MAX));
    if (o && why.text[0])
        json_object_set_new(o, "reason", json_string(why.text));
    if (o && l->last_void.text[0])
        json_object_set_new(o, "last_void", json_string(l->last_void.text));
    if (o && l->source->simulated)
        json_object_set_new(o, "label", json_string("SIMULATED"));
    if (o)
        put_report(o, l);
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

static void put_metric(json_t *o, const char *name, const char *peer, double value)
{
    char key[SITE_NAME_MAX + 64];
    snprintf(key, sizeof(key), "%s{peer=\"%s\"}", name, peer);
    json_object_set_new(o, key, json_real(value));
}

/* One of these per link, as labels; a site's name needs no escaping. */
static void put_link_metrics(json_t *o, const struct kme *k, const struct kme_link *l)
{
    struct err ignored;
    struct source_report r;
    put_metric(o, "qfl_kme_link_state", l->peer, kme_link_state(k, l, &ignored));
    put_metric(o, "qfl_kme_link_rate_kbps", l->peer, meter_kbps(&l->meter, k->now_ms));
    put_metric(o, "qfl_kme_link_qber", l->peer, l->is_aborted ? l->aborted_qber : l->qber);
    put_metric(o, "qfl_kme_link_auth_bytes", l->peer, (double)l->auth_bytes);
    put_metric(o, "qfl_kme_link_blocks_total", l->peer, (double)l->n_confirmed);
    put_metric(o, "qfl_kme_link_void_blocks_total", l->peer, (double)l->n_void);
    put_metric(o, "qfl_kme_link_alarms_total", l->peer, (double)l->n_alarms);
    if (!l->source->ops->report || !l->source->ops->report(l->source, l->peer, &r))
        return;
    put_metric(o, "qfl_kme_link_f_ec", l->peer, r.f_ec);
    put_metric(o, "qfl_kme_link_eps", l->peer, r.eps * (double)l->n_confirmed);
    put_metric(o, "qfl_kme_link_correction_seconds", l->peer, r.correction_s);
    put_metric(o, "qfl_kme_link_amplification_seconds", l->peer, r.amplification_s);
}

static json_t *metrics_json(const struct kme *k)
{
    json_int_t up = 0, confirmed = 0, voided = 0, alarms = 0, bits = 0;
    for (size_t i = 0; i < k->n_links; i++) {
        struct err ignored;
        const struct kme_link *l = &k->links[i];
        up += kme_link_works(k, l, &ignored);
        confirmed += (json_int_t)l->n_confirmed;
        voided += (json_int_t)l->n_void;
        alarms += (json_int_t)l->n_alarms;
        bits += 8 * (json_int_t)l->ingested_bytes;
    }
    json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "qfl_kme_links", (json_int_t)k->n_links,
        "qfl_kme_links_up", up, "qfl_kme_blocks_total", confirmed, "qfl_kme_void_blocks_total",
        voided, "qfl_kme_alarms_total", alarms, "qfl_kme_ingested_bits_total", bits);
    for (size_t i = 0; o && i < k->n_links; i++)
        put_link_metrics(o, k, &k->links[i]);
    return o;
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
