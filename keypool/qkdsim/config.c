/* SPDX-License-Identifier: Apache-2.0 */
#include "keypool/qkdsim/config.h"

#include "common/util.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* What all links of one user are given at once must fit into its connection's queue. */
#define PREFILL_PER_USER_BYTES ((uint64_t)32 * 1024 * 1024)
#define DARK_DEFAULT           1e-7 /* as in link_model.c: an assumption */

static const char *const levels[] = {"rate", "event", "pulse", NULL};
static const char *const schedules[] = {"parallel", "round-robin", NULL};
static const char *const networks[] = {"none", "paper-3", "paper-4", NULL};
/* In the order of link_paper_at, after none. */
static const char *const likes[] = {"none", "paper-3-AB", "paper-3-AC", "paper-3-AD", "paper-4-AB",
    "paper-4-AC", "paper-4-AD", "paper-4-BC", "paper-4-BD", "paper-4-CD", NULL};

/* ---- the table ---------------------------------------------------------------------------- */

#define NUMBER_AT(record, at, name, text, max)                                                     \
    {                                                                                              \
        .key = name, .type = CONFIG_DOUBLE, .offset = offsetof(record, at), .help = text,          \
        .fallback = "-1", .min_double = -1, .max_double = max                                      \
    }
#define NUMBER(record, at, number, text) NUMBER_AT(record, at.params.number, #number, text, 10)

#define PARAMS(record, at)                                                                         \
    {.key = "like",                                                                                \
        .type = CONFIG_ENUM,                                                                       \
        .offset = offsetof(record, at.like),                                                       \
        .help = "a link of the paper, for every number that is -1",                                \
        .fallback = "none",                                                                        \
        .choices = likes},                                                                         \
        NUMBER(record, at, mu, "mean photon number of each user's pulses"),                        \
        NUMBER(record, at, eta, "transmittance of one arm, Eve's optics and detectors included"),  \
        NUMBER_AT(record, at.loss_db, "loss_db",                                                   \
            "or loss of one arm in dB, fibre and modulators, up to Eve (see eve)", 200),           \
        NUMBER(record, at, e_x, "misalignment in basis X"),                                        \
        NUMBER(record, at, e_y, "misalignment in basis Y"),                                        \
        NUMBER(record, at, dark, "dark counts per detector and time window; 1e-7 if unset"),       \
        NUMBER_AT(record, at.p_x, "p_x",                                                           \
            "probability of basis X at each user; or, as it came out, the shares:", 1),            \
        NUMBER(record, at, share_xx, "share of pulse pairs with both users in X; .81 if unset"),   \
        NUMBER(record, at, share_yy, "share of pulse pairs with both users in Y; .01 if unset")

struct only_params {
    struct qkdsim_params p;
};
static const struct config_field params_fields[] = {PARAMS(struct only_params, p), {0}};

static const struct config_field eve_fields[] = {
    {.key = "optics",
        .type = CONFIG_DOUBLE,
        .offset = offsetof(struct qkdsim_eve, optics),
        .help = "efficiency of circulator, beam splitter and path; .694: the paper's Table 6",
        .fallback = "0.694",
        .min_double = 1e-6,
        .max_double = 1},
    {.key = "detector",
        .type = CONFIG_DOUBLE,
        .offset = offsetof(struct qkdsim_eve, detector),
        .help = "efficiency of a detector with its time window; not public, .8 is an assumption",
        .fallback = "0.8",
        .min_double = 1e-6,
        .max_double = 1},
    {0},
};

static const struct config_field link_fields[] = {
    {.key = "a",
        .type = CONFIG_STRING,
        .offset = offsetof(struct qkdsim_link, a),
        .help = "one user",
        .required = true},
    {.key = "b",
        .type = CONFIG_STRING,
        .offset = offsetof(struct qkdsim_link, b),
        .help = "the other",
        .required = true},
    PARAMS(struct qkdsim_link, params),
    {0},
};

const struct config_field qkdsim_fields[] = {
    {.key = "federation",
        .type = CONFIG_STRING,
        .offset = offsetof(struct qkdsim_config, federation),
        .help = "as in the certificates",
        .required = true},
    {.key = "site",
        .type = CONFIG_STRING,
        .offset = offsetof(struct qkdsim_config, site),
        .help = "the simulator's own name, as in its certificate",
        .required = true},
    {.key = "listen",
        .type = CONFIG_STRING,
        .offset = offsetof(struct qkdsim_config, listen),
        .help = "address:port for the sites' KMEs",
        .required = true},
    CONFIG_TLS_FIELD(struct qkdsim_config, tls),
    {.key = "state",
        .type = CONFIG_PATH,
        .offset = offsetof(struct qkdsim_config, state),
        .help = "folder for the counter of starts; used only with a seed",
        .fallback = "/var/lib/qfl/qkdsim"},
    {.key = "control",
        .type = CONFIG_PATH,
        .offset = offsetof(struct qkdsim_config, control),
        .help = "socket for qflctl",
        .fallback = "/run/qfl/qkdsim-ctl.sock"},
    {.key = "level",
        .type = CONFIG_ENUM,
        .offset = offsetof(struct qkdsim_config, level),
        .help =
            "fidelity: event tells raw clicks, pulse too, drawn pulse by pulse (slow); rate gives "
            "both ends the same finished key. SIMULATED",
        .fallback = "event",
        .choices = levels},
    {.key = "schedule",
        .type = CONFIG_ENUM,
        .offset = offsetof(struct qkdsim_config, schedule),
        .help = "parallel: every pair as if it owned the loop; round-robin: one after the other",
        .fallback = "parallel",
        .choices = schedules},
    {.key = "network",
        .type = CONFIG_ENUM,
        .offset = offsetof(struct qkdsim_config, network),
        .help = "the paper's links between alice, bob, charlie and david",
        .fallback = "none",
        .choices = networks},
    {.key = "block_s",
        .type = CONFIG_DOUBLE,
        .offset = offsetof(struct qkdsim_config, block_s),
        .help = "simulated seconds of pulses per block of key",
        .fallback = "10",
        .min_double = 1e-3,
        .max_double = 1e6},
    {.key = "clock_hz",
        .type = CONFIG_DOUBLE,
        .offset = offsetof(struct qkdsim_config, clock_hz),
        .help = "pulses per second",
        .fallback = "1e8",
        .min_double = 1,
        .max_double = 1e12},
    {.key = "speedup",
        .type = CONFIG_DOUBLE,
        .offset = offsetof(struct qkdsim_config, speedup),
        .help = "simulated seconds per real one; 1 is real time, 0 as fast as it goes",
        .fallback = "1",
        .min_double = 0,
        .max_double = 1e9},
    {.key = "full_speed_blocks",
        .type = CONFIG_U64,
        .offset = offsetof(struct qkdsim_config, full_speed_blocks),
        .help =
            "first blocks of each link that come without waiting, at each start of the simulator",
        .fallback = "0",
        .max = 1000000},
    {.key = "prefill_bits",
        .type = CONFIG_U64,
        .offset = offsetof(struct qkdsim_config, prefill_bits),
        .help = "level rate: key that every pair is given at once, at each start of the simulator",
        .fallback = "0",
        .max = 8 * PREFILL_PER_USER_BYTES},
    {.key = "seed",
        .type = CONFIG_PATH,
        .offset = offsetof(struct qkdsim_config, seed),
        .help = "file of 32 bytes, mode 0600, to repeat an experiment; else a fresh one per start"},
    {.key = "users",
        .type = CONFIG_LIST,
        .offset = offsetof(struct qkdsim_config, users),
        .help = "sites on the loop",
        .required = true,
        .min = 2,
        .max = SIM_USERS_MAX},
    {.key = "links",
        .type = CONFIG_LIST,
        .offset = offsetof(struct qkdsim_config, links),
        .help = "links with parameters of their own",
        .fields = link_fields,
        .element_size = sizeof(struct qkdsim_link)},
    {.key = "default_link",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct qkdsim_config, default_link),
        .help = "for every pair that neither links nor network names; without it they have none",
        .fields = params_fields},
    {.key = "losses",
        .type = CONFIG_MAP,
        .offset = offsetof(struct qkdsim_config, losses),
        .help =
            "loss in dB from each user to Eve; a pair of two has their mean, instead of `like`'s",
        .min_double = 0,
        .max_double = 200,
        .max = SIM_USERS_MAX},
    {.key = "eve",
        .type = CONFIG_SECTION,
        .offset = offsetof(struct qkdsim_config, eve),
        .help = "the untrusted node; with a loss it gives eta = 10^(-loss/10) optics detector",
        .fields = eve_fields},
    DAEMON_LOG_FIELD(struct qkdsim_config, log),
    {0},
};

/* ---- parameters --------------------------------------------------------------------------- */

static double first_set(double written, double other)
{
    return written >= 0 ? written : other;
}

/* What `like` gives; -1 for what a person has to say. */
static struct link_params base_of(const struct qkdsim_params *written)
{
    if (written->like > 0)
        return link_paper_at((size_t)written->like - 1)->params;
    return (struct link_params){-1, -1, -1, -1, DARK_DEFAULT, 0.81, 0.01};
}

/* eta as it is written, or from the loss. */
static double written_eta(const struct qkdsim_config *c, const struct qkdsim_params *written)
{
    if (written->params.eta >= 0 || written->loss_db < 0)
        return written->params.eta;
    return sim_eta(written->loss_db, c->eve.optics * c->eve.detector);
}

static struct link_params resolve(
    const struct qkdsim_config *c, const struct qkdsim_params *written)
{
    struct link_params base = base_of(written);
    const struct link_params *p = &written->params;
    if (written->p_x >= 0) {
        base.share_xx = written->p_x * written->p_x;
        base.share_yy = (1 - written->p_x) * (1 - written->p_x);
    }
    return (struct link_params){
        .mu = first_set(p->mu, base.mu),
        .eta = first_set(written_eta(c, written), base.eta),
        .e_x = first_set(p->e_x, base.e_x),
        .e_y = first_set(p->e_y, base.e_y),
        .dark = first_set(p->dark, base.dark),
        .share_xx = first_set(p->share_xx, base.share_xx),
        .share_yy = first_set(p->share_yy, base.share_yy),
    };
}

/* The same thing in two ways. */
static int check_once(const struct qkdsim_params *written, struct err *e)
{
    const struct link_params *p = &written->params;
    if (p->eta >= 0 && written->loss_db >= 0)
        return err_set(e, -EINVAL, "give eta or loss_db, not both");
    if (written->p_x >= 0 && (p->share_xx >= 0 || p->share_yy >= 0))
        return err_set(e, -EINVAL, "give p_x or the shares, not both");
    return 0;
}

static int check_said(
    const struct qkdsim_params *written, const struct link_params *p, struct err *e)
{
    int r = check_once(written, e);
    if (r < 0)
        return r;
    if (p->mu < 0 || p->eta < 0 || p->e_x < 0 || p->e_y < 0)
        return err_set(e, -EINVAL, "give like, or all of mu, eta (or loss_db), e_x and e_y");
    return 0;
}

/* Nothing was written: then there is no default link. */
static bool is_empty(const struct qkdsim_params *written)
{
    const struct link_params *p = &written->params;
    return written->like == 0 && p->mu < 0 && p->eta < 0 && p->e_x < 0 && p->e_y < 0 &&
           p->dark < 0 && p->share_xx < 0 && p->share_yy < 0 && written->loss_db < 0 &&
           written->p_x < 0;
}

/* ---- the network -------------------------------------------------------------------------- */

struct simulator_config qkdsim_simulator_config(const struct qkdsim_config *c)
{
    return (struct simulator_config){
        .level = (enum sim_fidelity)c->level,
        .schedule = (enum sim_schedule)c->schedule,
        .block_s = c->block_s,
        .clock_hz = c->clock_hz,
        .speedup = c->speedup,
        .full_speed_blocks = c->full_speed_blocks,
        .options = keyrate_paper_options(),
    };
}

static int make_rules(struct qkdsim_network *n, const struct qkdsim_config *c, struct err *e)
{
    const struct qkdsim_link *links = c->links.items;
    n->rules = calloc(c->links.n + 1, sizeof(*n->rules));
    if (!n->rules)
        return err_set(e, -ENOMEM, "out of memory");
    for (size_t i = 0; i < c->links.n; i++) {
        struct sim_rule *rule = &n->rules[i];
        *rule = (struct sim_rule){links[i].a, links[i].b, resolve(c, &links[i].params)};
        rule->takes_losses = links[i].params.params.eta < 0 && links[i].params.loss_db < 0;
        int r = check_said(&links[i].params, &rule->params, e);
        if (r < 0)
            return err_wrap(e, r, "link %s-%s", rule->a, rule->b);
    }
    return 0;
}

static int make_losses(struct qkdsim_network *n, const struct qkdsim_config *c, struct err *e)
{
    const struct config_number *losses = c->losses.items;
    n->losses = calloc(c->losses.n + 1, sizeof(*n->losses));
    if (!n->losses)
        return err_set(e, -ENOMEM, "out of memory");
    for (size_t i = 0; i < c->losses.n; i++)
        n->losses[i] = (struct sim_loss){losses[i].key, losses[i].value};
    return 0;
}

static int make_topology(struct qkdsim_network *n, const struct qkdsim_config *c, struct err *e)
{
    bool has_default = !is_empty(&c->default_link);
    n->fallback = resolve(c, &c->default_link);
    int r = has_default ? check_said(&c->default_link, &n->fallback, e) : 0;
    if (r < 0)
        return err_wrap(e, r, "default_link");
    const struct sim_topology_config config = {
        .users = c->users.items,
        .n_users = c->users.n,
        .rules = n->rules,
        .n_rules = c->links.n,
        .network = c->network ? networks[c->network] : NULL,
        .fallback = has_default ? &n->fallback : NULL,
        .losses = n->losses,
        .n_losses = c->losses.n,
        .eve = c->eve.optics * c->eve.detector,
    };
    return sim_topology_new(&n->topology, &config, c->prefill_bits / 8, e);
}

static int check_prefill(const struct qkdsim_config *c, struct err *e)
{
    uint64_t links = c->users.n - 1;
    if (c->prefill_bits > 0 && c->level != SIM_RATE)
        return err_set(e, -EINVAL,
            "prefill_bits: level %s makes no key of its own: use full_speed_blocks",
            levels[c->level]);
    if (c->prefill_bits / 8 * links <= PREFILL_PER_USER_BYTES)
        return 0;
    return err_set(e, -EINVAL,
        "prefill_bits: %zu users with %llu bits per link are too much at once; "
        "at most %llu bits per link",
        c->users.n, (unsigned long long)c->prefill_bits,
        (unsigned long long)(8 * PREFILL_PER_USER_BYTES / links));
}

int qkdsim_network_init(struct qkdsim_network *n, const struct qkdsim_config *c, struct err *e)
{
    const struct simulator_config config = qkdsim_simulator_config(c);
    *n = (struct qkdsim_network){0};
    int r = check_prefill(c, e);
    if (r == 0)
        r = make_rules(n, c, e);
    if (r == 0)
        r = make_losses(n, c, e);
    if (r == 0)
        r = make_topology(n, c, e);
    if (r == 0)
        r = simulator_check(&config, n->topology, e);
    if (r < 0)
        qkdsim_network_deinit(n);
    return r;
}

void qkdsim_network_deinit(struct qkdsim_network *n)
{
    sim_topology_free(n->topology);
    free(n->rules);
    free(n->losses);
    *n = (struct qkdsim_network){0};
}

int qkdsim_check(const void *config, const char *path, struct err *e)
{
    const struct qkdsim_config *c = config;
    struct qkdsim_network n;
    if (!site_name_is_valid(c->site))
        return err_set(e, -EINVAL, "%s: site: \"%s\" is no name of a site", path, c->site);
    int r = qkdsim_network_init(&n, c, e);
    if (r < 0)
        return err_wrap(e, r, "%s", path);
    qkdsim_network_deinit(&n);
    return 0;
}
