/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/kme/config.h"

#include "common/util.h"
#include "keypool/mdi/source_mdi.h"
#include "keypool/qkd/source_file.h"
#include "keypool/qkd/source_sim.h"

#include <errno.h>

static const char *const source_types[] = {"sim", "file", "mdi-qkd", NULL};
static const char *const katos[] = {"zero", "optimised", NULL};

/* ---- the table ---------------------------------------------------------------------------- */

static const struct config_field source_fields[] = {
    {.key = "type",
        .type = CONFIG_ENUM,
        .offset = offsetof(struct kme_source_config, type),
        .help = "sim: finished key of qfl-qkdsim (level rate), SIMULATED; mdi-qkd: its raw events "
                "(levels event and pulse), post-processed here, SIMULATED; file: recorded keys, "
                "the same file at both sites",
        .required = true,
        .choices = source_types},
    {.key = "address",
        .type = CONFIG_STRING,
        .offset = offsetof(struct kme_source_config, address),
        .help = "sim, mdi-qkd: address:port of qfl-qkdsim"},
    {.key = "site",
        .type = CONFIG_STRING,
        .offset = offsetof(struct kme_source_config, site),
        .help = "sim, mdi-qkd: its name, needed if links use several simulators"},
    {.key = "path",
        .type = CONFIG_STRING,
        .offset = offsetof(struct kme_source_config, path),
        .help = "file: name of the file in the state folder"},
    {0},
};

static const struct config_field link_fields[] = {
    {.key = "peer",
        .type = CONFIG_STRING,
        .offset = offsetof(struct kme_peer_config, peer),
        .help = "site at the other end",
        .required = true},
    {.key = "address",
        .type = CONFIG_STRING,
        .offset = offsetof(struct kme_peer_config, address),
        .help = "address:port of its KME; the larger site name calls",
        .required = true},
    {.key = "source",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct kme_peer_config, source),
        .help = "where the key comes from",
        .required = true,
        .fields = source_fields},
    {0},
};

#define POST(member) .offset = offsetof(struct kme_post_config, member)

static const struct config_field post_fields[] = {
    {.key = "eps",
        .type = CONFIG_DOUBLE,
        POST(eps),
        .help =
            "failure probability of each: concentration bounds, error correction, amplification",
        .fallback = "1e-10",
        .min_double = 1e-30,
        .max_double = 0.1},
    {.key = "kato",
        .type = CONFIG_ENUM,
        POST(kato),
        .help = "Kato's inequality with a = 0, or with a, b best for the expected counts",
        .fallback = "zero",
        .choices = katos},
    {.key = "e_y_max",
        .type = CONFIG_DOUBLE,
        POST(e_y_max),
        .help = "a block with more errors in basis Y is void",
        .fallback = "0.5",
        .min_double = 1e-6,
        .max_double = 0.5},
    {.key = "gain_spread",
        .type = CONFIG_DOUBLE,
        POST(gain_spread),
        .help = "by how much of the smallest the largest gain of X-X, Y-Y and mixed may exceed it, "
                "beside five standard deviations",
        .fallback = "0.05",
        .min_double = 0,
        .max_double = 100},
    {.key = "frame_bits",
        .type = CONFIG_U64,
        POST(frame_bits),
        .help = "bits of a frame of error correction, about",
        .fallback = "1000000",
        .min = 1024,
        .max = 8388608},
    {.key = "window",
        .type = CONFIG_U64,
        POST(window),
        .help = "frames in flight: more hide round trips and take more memory",
        .fallback = "64",
        .min = 1,
        .max = POST_WINDOW_MAX},
    {.key = "block_memory_mb",
        .type = CONFIG_U64,
        POST(block_memory_mb),
        .help = "memory of all blocks under way, over all links, in MiB",
        .fallback = "1024",
        .min = 1,
        .max = 1 << 20},
    {.key = "silence_s",
        .type = CONFIG_DOUBLE,
        POST(silence_s),
        .help = "a block whose other end says nothing for so long is void",
        .fallback = "60",
        .min_double = 1,
        .max_double = 3600},
    {0},
};

const struct config_field kme_fields[] = {
    {.key = "federation",
        .type = CONFIG_STRING,
        .offset = offsetof(struct kme_daemon_config, federation),
        .help = "as in the certificates",
        .required = true},
    {.key = "site",
        .type = CONFIG_STRING,
        .offset = offsetof(struct kme_daemon_config, site),
        .help = "own site",
        .required = true},
    {.key = "listen",
        .type = CONFIG_STRING,
        .offset = offsetof(struct kme_daemon_config, listen),
        .help = "address:port for the other sites' KMEs",
        .required = true},
    CONFIG_TLS_FIELD(struct kme_daemon_config, tls),
    {.key = "keypool",
        .type = CONFIG_PATH,
        .offset = offsetof(struct kme_daemon_config, keypool),
        .help = "kme_socket of the site's qfl-keypool",
        .fallback = "/run/qfl/keypool-kme.sock"},
    {.key = "state",
        .type = CONFIG_PATH,
        .offset = offsetof(struct kme_daemon_config, state),
        .help = "folder of recorded keys and how far they are used",
        .fallback = "/var/lib/qfl/kme"},
    {.key = "control",
        .type = CONFIG_PATH,
        .offset = offsetof(struct kme_daemon_config, control),
        .help = "socket for qflctl",
        .fallback = "/run/qfl/kme-ctl.sock"},
    {.key = "links",
        .type = CONFIG_LIST,
        .offset = offsetof(struct kme_daemon_config, links),
        .help = "one for each peer",
        .required = true,
        .fields = link_fields,
        .element_size = sizeof(struct kme_peer_config),
        .min = 1},
    {.key = "post_processing",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct kme_daemon_config, post),
        .help = "of links of type mdi-qkd",
        .fields = post_fields},
    DAEMON_LOG_FIELD(struct kme_daemon_config, log),
    {0},
};

/* ---- checks ------------------------------------------------------------------------------- */

static const struct kme_peer_config *link_at(const struct kme_daemon_config *c, size_t i)
{
    return (const struct kme_peer_config *)c->links.items + i;
}

/* Of qfl-qkdsim, whatever it sends. */
static bool is_simulated(const struct kme_source_config *s)
{
    return s->type != KME_SOURCE_FILE;
}

static int check_source(const struct kme_source_config *s, struct err *e)
{
    if (is_simulated(s) && !s->address)
        return err_set(
            e, -EINVAL, "a source of type %s needs the simulator's address", source_types[s->type]);
    if (is_simulated(s) && s->path)
        return err_set(e, -EINVAL, "a source of type %s has no path", source_types[s->type]);
    if (s->type == KME_SOURCE_FILE && !s->path)
        return err_set(e, -EINVAL, "a source of type file needs a path");
    if (s->type == KME_SOURCE_FILE && (s->address || s->site))
        return err_set(e, -EINVAL, "a source of type file has no address and no site");
    if (s->path && (!*s->path || strchr(s->path, '/') || strlen(s->path) > DISK_NAME_MAX))
        return err_set(
            e, -EINVAL, "path is the name of a file in the state folder, not \"%.80s\"", s->path);
    return 0;
}

/* Two simulators can only be told apart by their names. */
static int check_simulators(const struct kme_daemon_config *c, size_t i, struct err *e)
{
    const struct kme_source_config *a = &link_at(c, i)->source;
    for (size_t j = 0; is_simulated(a) && j < i; j++) {
        const struct kme_source_config *b = &link_at(c, j)->source;
        if (!is_simulated(b))
            continue;
        bool same_address = strcmp(a->address, b->address) == 0;
        if (same_address && a->type != b->type)
            return err_set(e, -EINVAL,
                "the simulator at %s is a source of type sim and of type mdi-qkd: it has one level",
                a->address);
        bool same_site = a->site && b->site ? strcmp(a->site, b->site) == 0 : a->site == b->site;
        if (same_address && !same_site)
            return err_set(e, -EINVAL, "the simulator at %s has two names", a->address);
        if (!same_address && (!a->site || !b->site || same_site))
            return err_set(e, -EINVAL, "links use two simulators: give each its own site");
    }
    return 0;
}

static int check_link(const struct kme_daemon_config *c, size_t i, struct err *e)
{
    const struct kme_peer_config *l = link_at(c, i);
    if (!site_name_is_valid(l->peer))
        return err_set(e, -EINVAL, "that is no name of a site");
    if (strcmp(l->peer, c->site) == 0)
        return err_set(e, -EINVAL, "that is this site itself");
    for (size_t j = 0; j < i; j++)
        if (strcmp(l->peer, link_at(c, j)->peer) == 0)
            return err_set(e, -EINVAL, "given twice");
    int r = check_source(&l->source, e);
    return r < 0 ? r : check_simulators(c, i, e);
}

int kme_config_check(const void *config, const char *path, struct err *e)
{
    const struct kme_daemon_config *c = config;
    if (!site_name_is_valid(c->site))
        return err_set(e, -EINVAL, "%s: site: \"%s\" is no name of a site", path, c->site);
    for (size_t i = 0; i < c->links.n; i++) {
        int r = check_link(c, i, e);
        if (r < 0)
            return err_wrap(e, r, "%s: link with %s", path, link_at(c, i)->peer);
    }
    return 0;
}

bool kme_config_needs_disk(const struct kme_daemon_config *c)
{
    for (size_t i = 0; i < c->links.n; i++)
        if (link_at(c, i)->source.type == KME_SOURCE_FILE)
            return true;
    return false;
}

/* ---- sources ------------------------------------------------------------------------------ */

static bool same_sim(const struct kme_daemon_config *c, size_t i, size_t j)
{
    const struct kme_source_config *a = &link_at(c, i)->source;
    const struct kme_source_config *b = &link_at(c, j)->source;
    return is_simulated(a) && is_simulated(b) && strcmp(a->address, b->address) == 0;
}

bool kme_config_is_first_of_sim(const struct kme_daemon_config *c, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (same_sim(c, j, i))
            return false;
    return is_simulated(&link_at(c, i)->source);
}

static struct source_mdi_config mdi_config(const struct kme_daemon_config *c, kme_random *random)
{
    struct post_config post = post_config_default();
    post.keyrate.eps = c->post.eps;
    post.keyrate.kato = (enum keyrate_kato)c->post.kato;
    post.e_y_max = c->post.e_y_max;
    post.gain_spread_max = c->post.gain_spread;
    post.frame_bits = (uint32_t)c->post.frame_bits;
    post.window = (uint32_t)c->post.window;
    return (struct source_mdi_config){.site = c->site,
        .post = post,
        .memory_bytes = c->post.block_memory_mb * 1024 * 1024,
        .silence_ms = (uint64_t)(c->post.silence_s * 1000),
        .key_tags = MDI_KEY_TAGS,
        .random = random};
}

/* One object for all the links of one simulator. */
static int make_sim(struct kme_network *n, const struct kme_daemon_config *c, size_t first,
    kme_random *random, struct err *e)
{
    struct source_sim_config config = {
        .site = c->site, .simulator = link_at(c, first)->source.site};
    struct source_mdi_config mdi = mdi_config(c, random);
    const char **peers = calloc(c->links.n, sizeof(*peers));
    if (!peers)
        return err_set(e, -ENOMEM, "out of memory");
    for (size_t i = first; i < c->links.n; i++)
        if (same_sim(c, first, i))
            peers[config.n_peers++] = link_at(c, i)->peer;
    config.peers = mdi.peers = peers;
    mdi.n_peers = config.n_peers;
    mdi.simulator = config.simulator;
    bool is_mdi = link_at(c, first)->source.type == KME_SOURCE_MDI;
    struct source *s = NULL;
    int r = is_mdi ? source_mdi_new(&s, &mdi) : source_sim_new(&s, &config);
    free(peers);
    if (r < 0)
        return err_set(e, r, "out of memory");
    n->sources[n->n_sources++] = s;
    for (size_t i = first; i < c->links.n; i++)
        if (same_sim(c, first, i))
            n->links[i].source = s;
    return 0;
}

static int make_file(struct kme_network *n, const struct kme_daemon_config *c, size_t i,
    struct disk *disk, struct err *e)
{
    const struct kme_peer_config *l = link_at(c, i);
    const struct source_file_config config = {
        .site = c->site, .peer = l->peer, .name = l->source.path, .disk = disk};
    int r = source_file_new(&n->links[i].source, &config, e);
    if (r < 0)
        return err_wrap(e, r, "link with %s", l->peer);
    n->sources[n->n_sources++] = n->links[i].source;
    return 0;
}

static int make_source(struct kme_network *n, const struct kme_daemon_config *c, size_t i,
    struct disk *disk, kme_random *random, struct err *e)
{
    if (link_at(c, i)->source.type == KME_SOURCE_FILE)
        return make_file(n, c, i, disk, e);
    return kme_config_is_first_of_sim(c, i) ? make_sim(n, c, i, random, e) : 0;
}

int kme_network_init(struct kme_network *n, const struct kme_daemon_config *c, struct disk *disk,
    kme_random *random, struct err *e)
{
    *n = (struct kme_network){.n_links = c->links.n};
    n->links = calloc(c->links.n + 1, sizeof(*n->links));
    n->sources = calloc(c->links.n + 1, sizeof(struct source *));
    if (!n->links || !n->sources) {
        kme_network_deinit(n);
        return err_set(e, -ENOMEM, "out of memory");
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < c->links.n; i++) {
        n->links[i].peer = link_at(c, i)->peer;
        r = make_source(n, c, i, disk, random, e);
    }
    if (r < 0)
        kme_network_deinit(n);
    return r;
}

int kme_network_take(
    struct kme_network *n, const char *site, const uint8_t nonce[KME_NONCE_BYTES], struct kme **out)
{
    struct kme_config config = {.site = site,
        .links = n->links,
        .n_links = n->n_links,
        .sources = n->sources,
        .n_sources = n->n_sources};
    memcpy(config.nonce, nonce, sizeof(config.nonce));
    n->n_sources = 0;
    return kme_new(out, &config);
}

void kme_network_deinit(struct kme_network *n)
{
    for (size_t i = 0; n->sources && i < n->n_sources; i++)
        if (n->sources[i])
            n->sources[i]->ops->free(n->sources[i]);
    free(n->sources);
    free(n->links);
    *n = (struct kme_network){0};
}
