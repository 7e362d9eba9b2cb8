/* SPDX-License-Identifier: Apache-2.0 */
/* keys: what the key pool of a site holds, per peer and stream. */
#include "deploy/ctl/link_row.h"
#include "deploy/ctl/options.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/term.h"
#include "deploy/ctl/verb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static void print_stream(const json_t *s)
{
    static const char *const columns[] = {
        "ingested_bits", "available_bits", "reserved_bits", "used_bits", "wasted_bits"};
    printf("    %-8s", reach_text(s, "purpose"));
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        char bits[TERM_TEXT];
        printf(" %14s", term_bits(bits, reach_number(s, columns[i])));
    }
    putchar('\n');
}

static void print_keys(const json_t *keys)
{
    printf("key pool of %s\n", reach_text(keys, "site"));
    size_t i;
    const json_t *peer;
    json_array_foreach(json_object_get(keys, "peers"), i, peer)
    {
        printf("  %s: %s%s%s\n", reach_text(peer, "peer"), reach_text(peer, "state"),
            json_is_true(json_object_get(peer, "simulated")) ? "  SIMULATED " : "  ",
            reach_text(peer, "source"));
        if (json_object_get(peer, "link"))
            link_row_print(stdout, "  link", json_object_get(peer, "link"));
        printf("    %-8s %14s %14s %14s %14s %14s\n", "stream", "ingested", "available", "reserved",
            "used", "wasted");
        size_t k;
        const json_t *stream;
        json_array_foreach(json_object_get(peer, "streams"), k, stream) print_stream(stream);
    }
}

/* What the site's KME knows of the link goes with the peer; without a KME there is nothing to add. */
static void add_links(const json_t *keys, const char *kme)
{
    json_t *links = link_row_ask(kme, reach_text(keys, "site"));
    size_t i;
    json_t *peer;
    json_array_foreach(json_object_get(keys, "peers"), i, peer)
    {
        const json_t *link = link_row_find(links, reach_text(peer, "peer"));
        if (link)
            json_object_set_new(peer, "link", json_deep_copy(link));
    }
    json_decref(links);
}

static int show_keys(int argc, char **argv, struct err *e)
{
    const char *control = REACH_KEYPOOL;
    const char *kme = REACH_KME;
    bool json = false;
    const struct option_spec specs[] = {{.name = "control", .value = &control},
        {.name = "kme", .value = &kme}, {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    json_t *keys = NULL;
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r == 0)
        r = reach(control, "keys", NULL, &keys, e);
    if (r != 0)
        return r;
    add_links(keys, kme);
    if (json)
        reach_print(keys);
    else
        print_keys(keys);
    json_decref(keys);
    return EX_OK;
}

/* The next start of a key pool that refused to run as a copy consumes this file. */
static int adopt(int argc, char **argv, struct err *e)
{
    const char *witness = "/var/lib/qfl/witness";
    bool json = false;
    const struct option_spec specs[] = {{.name = "witness", .value = &witness},
        {.name = "json", .is_flag = true, .flag = &json}, {0}};
    int operands;
    int r = options_parse(specs, argc, argv, 0, &operands, e);
    if (r != 0)
        return r;
    char path[4096];
    snprintf(path, sizeof(path), "%s.adopt", witness);
    FILE *f = fopen(path, "wxe");
    if (f ? fclose(f) != 0 : errno != EEXIST)
        return err_set(e, EX_CANTCREAT, "cannot create %s: %s", path, strerror(errno));
    json_t *v = json_pack("{s:s}", "file", path);
    if (json)
        reach_print(v);
    else
        printf(
            "%s: the key pool adopts its folder at the next start and burns what it cannot prove "
            "fresh\n",
            path);
    json_decref(v);
    return EX_OK;
}

const struct verb verbs_keys[] = {
    {"keys adopt", "[--witness FILE] [--json]",
        "lets a key pool start that was refused as a restored or cloned one (exit 65)", adopt},
    {"keys", "[--control SOCKET] [--kme SOCKET] [--json]",
        "the key pool's streams: ingested, available, reserved, used, wasted; with a KME its "
        "links: "
        "state, rate, QBER, f_EC, block length, next block",
        show_keys},
    {0},
};
