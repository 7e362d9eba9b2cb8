/* SPDX-License-Identifier: Apache-2.0 */
/* site pair: the first secret of a pair of sites; site keyfile: recorded keys carried by hand. */
#include "deploy/ctl/options.h"
#include "deploy/ctl/reach.h"
#include "deploy/ctl/verb.h"

#include "common/disk_posix.h"
#include "common/identity.h"
#include "common/secret.h"
#include "common/util.h"
#include "keypool/qkd/key_file.h"
#include "keypool/vault/pairing.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

struct site_arguments {
    const char *outs[OPTION_VALUES_MAX];
    size_t n_outs;
    const char *blocks, *block_bytes, *name;
    bool json, simulated;
};

static int check_sites(int operands, char **argv, const char *low_high[2], struct err *e)
{
    if (operands != 2)
        return err_set(e, EX_USAGE, "name two sites");
    for (int i = 0; i < 2; i++)
        if (!identity_is_name(argv[i]))
            return err_set(
                e, EX_USAGE, "\"%s\" is no site name: lower-case letters, digits and '-'", argv[i]);
    int order = strcmp(argv[0], argv[1]);
    if (order == 0)
        return err_set(e, EX_USAGE, "a site is not paired with itself");
    low_high[0] = order < 0 ? argv[0] : argv[1];
    low_high[1] = order < 0 ? argv[1] : argv[0];
    return 0;
}

/* ---- pair --------------------------------------------------------------------------------------- */

static int write_private(const char *path, const struct secret *text, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, EX_CANTCREAT, "cannot create %s: %s", path, strerror(errno));
    bool ok = write(fd, text->data, text->len) == (ssize_t)text->len && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (ok)
        return 0;
    unlink(path);
    return err_set(e, EX_IOERR, "cannot write %s", path);
}

/* All of them, or none. */
static int write_privates(
    const char *const *paths, size_t n, const struct secret *text, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int r = write_private(paths[i], text, e);
        if (r == 0)
            continue;
        while (i-- > 0)
            unlink(paths[i]);
        return r;
    }
    return 0;
}

static int make_pairing(const char *sites[2], struct secret *text, struct err *e)
{
    struct secret entropy;
    struct pairing p = {0};
    if (secret_init(&entropy, PAIRING_ENTROPY) < 0)
        return err_set(e, EX_OSERR, "out of memory");
    bool ok = RAND_priv_bytes(entropy.data, (int)entropy.len) == 1 &&
              pairing_make(&p, sites[0], sites[1], entropy.data) == 0 &&
              pairing_format(&p, text) == 0;
    pairing_deinit(&p);
    secret_deinit(&entropy);
    return ok ? 0 : err_set(e, EX_OSERR, "no random bytes, or no memory");
}

static int pair(int argc, char **argv, struct err *e)
{
    secret_harden_process();
    struct site_arguments a = {0};
    const struct option_spec specs[] = {{.name = "out", .values = a.outs, .n_values = &a.n_outs},
        {.name = "json", .is_flag = true, .flag = &a.json}, {0}};
    int operands;
    const char *sites[2] = {NULL, NULL};
    struct secret text = {0};
    int r = options_parse(specs, argc, argv, 2, &operands, e);
    r = r == 0 ? check_sites(operands, argv, sites, e) : r;
    if (r == 0 && a.n_outs == 0)
        r = err_set(e, EX_USAGE, "site pair needs --out FILE.pair, once for each site");
    r = r == 0 ? make_pairing(sites, &text, e) : r;
    r = r == 0 ? write_privates(a.outs, a.n_outs, &text, e) : r;
    secret_deinit(&text);
    if (r != 0)
        return r;
    if (a.json)
        printf("{\"sites\": [\"%s\", \"%s\"]}\n", sites[0], sites[1]);
    else
        printf("%s and %s: first secret of the pair; carry it by hand, keep no copy\n", sites[0],
            sites[1]);
    return EX_OK;
}

/* ---- keyfile ------------------------------------------------------------------------------------ */

static int write_blocks(
    struct disk **disks, size_t n, const char *name, const struct key_file *f, struct err *e)
{
    struct secret block;
    if (secret_init(&block, f->block_bytes) < 0)
        return err_set(e, EX_OSERR, "out of memory");
    int r = 0;
    for (uint64_t i = 0; i < f->blocks && r == 0; i++) {
        if (RAND_bytes(block.data, (int)block.len) != 1)
            r = err_set(e, EX_OSERR, "no random bytes");
        for (size_t d = 0; d < n && r == 0; d++)
            if (key_file_put(disks[d], name, f, i, block.data) < 0)
                r = err_set(e, EX_CANTCREAT, "cannot write the key file %s", name);
    }
    secret_deinit(&block);
    for (size_t d = 0; d < n && r == 0; d++)
        if (key_file_seal(disks[d], name, f, e) < 0)
            r = EX_CANTCREAT;
    return r;
}

static int open_and_write(const struct site_arguments *a, const struct key_file *f, struct err *e)
{
    struct disk *disks[OPTION_VALUES_MAX] = {NULL};
    int r = 0;
    for (size_t d = 0; d < a->n_outs && r == 0; d++) {
        int opened;
        disks[d] = disk_posix_new(a->outs[d], &opened, e);
        if (!disks[d])
            r = EX_CANTCREAT;
        else if (disk_size(disks[d], a->name) >= 0)
            r = err_set(e, EX_CANTCREAT, "%s/%s is there already and is not overwritten",
                a->outs[d], a->name);
    }
    r = r == 0 ? write_blocks(disks, a->n_outs, a->name, f, e) : r;
    for (size_t d = 0; d < a->n_outs; d++)
        disk_posix_free(disks[d]);
    return r;
}

static int fill_key_file(
    const struct site_arguments *a, const char *sites[2], struct key_file *f, struct err *e)
{
    long long blocks;
    long long block_bytes;
    int r = options_number("blocks", a->blocks, 1, 1LL << 32, &blocks, e);
    if (r == 0)
        r = options_number("block-bytes", a->block_bytes, 1, KEY_FILE_BLOCK_MAX, &block_bytes, e);
    if (r != 0)
        return r;
    if (RAND_bytes(f->id, sizeof(f->id)) != 1)
        return err_set(e, EX_OSERR, "no random bytes");
    for (int i = 0; i < 2; i++)
        snprintf(f->site[i], sizeof(f->site[i]), "%s", sites[i]);
    f->blocks = (uint64_t)blocks;
    f->block_bytes = (uint32_t)block_bytes;
    f->simulated = a->simulated;
    return 0;
}

static int keyfile(int argc, char **argv, struct err *e)
{
    secret_harden_process();
    struct site_arguments a = {.blocks = "16", .block_bytes = "1048576"};
    const struct option_spec specs[] = {{.name = "out", .values = a.outs, .n_values = &a.n_outs},
        {.name = "name", .value = &a.name}, {.name = "blocks", .value = &a.blocks},
        {.name = "block-bytes", .value = &a.block_bytes},
        {.name = "simulated", .is_flag = true, .flag = &a.simulated},
        {.name = "json", .is_flag = true, .flag = &a.json}, {0}};
    int operands;
    const char *sites[2] = {NULL, NULL};
    struct key_file f = {0};
    int r = options_parse(specs, argc, argv, 2, &operands, e);
    r = r == 0 ? check_sites(operands, argv, sites, e) : r;
    if (r == 0 && (a.n_outs == 0 || !a.name))
        r = err_set(
            e, EX_USAGE, "site keyfile needs --name FILE and --out DIR, once for each site");
    r = r == 0 ? fill_key_file(&a, sites, &f, e) : r;
    r = r == 0 ? open_and_write(&a, &f, e) : r;
    if (r != 0)
        return r;
    double bits = 8.0 * (double)f.blocks * f.block_bytes;
    if (a.json)
        printf("{\"sites\": [\"%s\", \"%s\"], \"bits\": %.0f}\n", sites[0], sites[1], bits);
    else
        printf("%s of %s and %s: %.1f Mbit of random key; carry it by hand, keep no copy\n", a.name,
            sites[0], sites[1], bits / 1e6);
    return EX_OK;
}

const struct verb verbs_site[] = {
    {"site pair", "SITE SITE --out FILE.pair [--out FILE.pair] [--json]",
        "stream ids and first authentication key of a pair, for both key pools", pair},
    {"site keyfile",
        "SITE SITE --name FILE --out DIR [--out DIR] [--blocks 16] [--block-bytes 1048576] "
        "[--simulated] [--json]",
        "random keys for the source `file`, the same in each state folder", keyfile},
    {0},
};
