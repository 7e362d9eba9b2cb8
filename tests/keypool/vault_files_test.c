/* SPDX-License-Identifier: Apache-2.0 */
/* The key pool on real files: pairing files, witness, a directory of its own. */
#include "common/disk_posix.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/util.h"
#include "keypool/vault/import.h"
#include "keypool/vault/pairing.h"
#include "keypool/vault/witness.h"
#include "tests/sim/rnd.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "vault-files-XXXXXX";

static const char *at(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, 256, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    return mkdtemp(folder) && mkdir(at("pairings"), 0700) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    return remove(path);
}

static int remove_folder(void **state)
{
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static size_t read_all(const char *path, uint8_t *out, size_t max)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, max, f);
    fclose(f);
    return n;
}

static void write_all(const char *path, const void *data, size_t len, unsigned mode)
{
    unlink(path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

/* ---- the pairing's text ---------------------------------------------------------------------- */

static struct pairing make(const char *site, const char *other, uint64_t seed)
{
    uint8_t entropy[PAIRING_ENTROPY];
    struct rnd r;
    struct pairing p;
    rnd_init(&r, seed);
    rnd_bytes(&r, entropy, sizeof(entropy));
    assert_int_equal(pairing_make(&p, site, other, entropy), 0);
    return p;
}

static void a_pairing_is_read_as_it_was_written(void **state)
{
    struct pairing p = make("bob", "alice", 1), q;
    struct secret text;
    struct vault_pairing seen;
    struct err e;
    assert_int_equal(pairing_format(&p, &text), 0);
    assert_int_equal(pairing_parse(&q, text.data, text.len, &e), 0);
    assert_string_equal(q.low, "alice");
    assert_int_equal(pairing_for(&q, "alice", &seen, &e), 0);
    assert_string_equal(seen.peer, "bob");
    assert_memory_equal(seen.key, p.key.data, VAULT_PAIRING_BYTES);
    assert_memory_equal(seen.auth_high_low, p.auth_high_low, VAULT_STREAM_BYTES);
    assert_int_equal(pairing_for(&q, "carol", &seen, &e), -EINVAL);
    pairing_deinit(&q);
    /* No byte may be missing or changed into another alphabet. */
    for (size_t n = 0; n + 1 < text.len; n += n < 200 ? 1 : 97) {
        assert_int_equal(pairing_parse(&q, text.data, n, &e), -EBADMSG);
        uint8_t old = text.data[n];
        text.data[n] = '!';
        assert_int_equal(pairing_parse(&q, text.data, text.len, &e), -EBADMSG);
        text.data[n] = old;
    }
    secret_deinit(&text);
    pairing_deinit(&p);
}

/* ---- witness --------------------------------------------------------------------------------- */

static void the_witness_remembers_the_last_epoch(void **state)
{
    struct witness w;
    struct err e;
    assert_int_equal(witness_open(&w, at("witness"), &e), 0);
    assert_int_equal(w.epoch, 0);
    for (uint64_t epoch = 1; epoch < 200; epoch++)
        assert_int_equal(witness_write(&w, epoch), 0);
    witness_close(&w);
    assert_int_equal(witness_open(&w, at("witness"), &e), 0);
    assert_int_equal(w.epoch, 199);
    assert_int_equal(witness_write(&w, 50), 0); /* adopted */
    witness_close(&w);
    assert_int_equal(witness_open(&w, at("witness"), &e), 0);
    assert_int_equal(w.epoch, 50);
    assert_int_equal(witness_write(&w, 51), 0);
    witness_close(&w);
    /* One damaged slot is made up for by the other, as far as it can; two are refused. */
    uint8_t bytes[1024];
    size_t len = read_all(at("witness"), bytes, sizeof(bytes));
    bytes[512 + 9] ^= 1;
    write_all(at("witness"), bytes, len, 0600);
    assert_int_equal(witness_open(&w, at("witness"), &e), 0);
    assert_int_equal(w.epoch, 50);
    witness_close(&w);
    bytes[9] ^= 1;
    write_all(at("witness"), bytes, len, 0600);
    assert_int_equal(witness_open(&w, at("witness"), &e), -EBADMSG);
    unlink(at("witness"));
}

static void an_adoption_is_asked_for_once(void **state)
{
    assert_false(witness_take_adoption(at("witness")));
    write_all(at("witness.adopt"), "", 0, 0600);
    assert_true(witness_take_adoption(at("witness")));
    assert_false(witness_take_adoption(at("witness")));
}

/* ---- a pool ---------------------------------------------------------------------------------- */

struct pool {
    struct disk *disk;
    struct vault *vault;
    struct log *log;
    struct importer importer;
};

static int open_pool(struct pool *p, uint8_t kek, bool adopt, uint64_t epoch, struct err *e)
{
    static char pairings[64];
    int r = 0;
    snprintf(pairings, sizeof(pairings), "%s", at("pairings"));
    *p = (struct pool){.log = log_new("test", LOG_TEXT, NOTE_ALARM)};
    p->importer = (struct importer){"alice", pairings, p->log};
    p->disk = disk_posix_new(at("pool"), &r, e);
    if (!p->disk)
        return r;
    struct vault_config config = {
        .site = "alice", .epoch = epoch, .capacity_bytes = 1 << 20, .adopt = adopt};
    memset(config.kek, kek, sizeof(config.kek));
    return vault_new(&p->vault, &config, p->disk, 0, e);
}

static void close_pool(struct pool *p)
{
    vault_free(p->vault);
    disk_posix_free(p->disk);
    log_free(p->log);
}

static void write_pairing(const char *name, const struct pairing *p, unsigned mode)
{
    struct secret text;
    assert_int_equal(pairing_format(p, &text), 0);
    write_all(at(name), text.data, text.len, mode);
    secret_deinit(&text);
}

static size_t peers(const struct pool *p)
{
    return vault_accounts(p->vault, NULL, 0) / 3;
}

static bool exists(const char *name)
{
    return access(at(name), F_OK) == 0;
}

static void pairings_are_imported_and_erased(void **state)
{
    struct pool p;
    struct err e = {{0}};
    assert_int_equal(open_pool(&p, 1, false, 0, &e), 0);
    struct pairing bob = make("alice", "bob", 1), carol = make("alice", "carol", 2),
                   foreign = make("bob", "carol", 3), open_to_all = make("alice", "david", 4);
    write_pairing("pairings/bob.pair", &bob, 0600);
    write_pairing("pairings/carol.pair", &carol, 0600);
    write_pairing("pairings/foreign.pair", &foreign, 0600);
    write_pairing("pairings/david.pair", &open_to_all, 0644);
    write_pairing("pairings/ignored.txt", &foreign, 0600);
    /* One that cannot be taken is told, and keeps nobody else out. */
    assert_true(importer_run(&p.importer, p.vault, NULL, &e) < 0);
    assert_int_equal(peers(&p), 2);
    assert_false(exists("pairings/bob.pair") || exists("pairings/carol.pair"));
    assert_true(exists("pairings/foreign.pair") && exists("pairings/ignored.txt"));
    assert_int_equal(importer_run(&p.importer, p.vault, at("pairings/foreign.pair"), &e), -EINVAL);
    assert_non_null(strstr(e.text, "alice"));
    assert_int_equal(importer_run(&p.importer, p.vault, at("pairings/david.pair"), &e), -EACCES);
    assert_int_equal(importer_run(&p.importer, p.vault, at("pairings/no.pair"), &e), -ENOENT);
    /* A copy of an old file neither pairs again nor keeps its key. */
    write_pairing("pairings/copy.pair", &bob, 0600);
    assert_int_equal(importer_run(&p.importer, p.vault, at("pairings/copy.pair"), &e), 0);
    assert_int_equal(peers(&p), 2);
    assert_false(exists("pairings/copy.pair"));
    close_pool(&p);
    struct pairing *all[] = {&bob, &carol, &foreign, &open_to_all};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        pairing_deinit(all[i]);
    unlink(at("pairings/foreign.pair"));
    unlink(at("pairings/david.pair"));
}

static void the_pool_is_there_after_a_restart_and_for_one_process_only(void **state)
{
    struct pool p, second;
    struct err e = {{0}};
    assert_int_equal(open_pool(&p, 1, false, 0, &e), 0);
    assert_int_equal(peers(&p), 2);
    assert_int_equal(open_pool(&second, 1, false, 0, &e), -EBUSY);
    log_free(second.log);
    close_pool(&p);
    assert_int_equal(open_pool(&p, 2, false, 0, &e), VAULT_OPEN_E_FAULT);
    assert_non_null(strstr(e.text, "KEK"));
    close_pool(&p);
    assert_int_equal(open_pool(&p, 1, false, 1000, &e), VAULT_OPEN_E_CLONED);
    close_pool(&p);
    assert_int_equal(open_pool(&p, 1, true, 1000, &e), 0);
    close_pool(&p);
    assert_int_equal(open_pool(&p, 1, false, 0, &e), 0);
    close_pool(&p);
}

static struct pairing marker;
static bool marker_found;

static int look_for_marker(const char *path, const struct stat *st, int type, struct FTW *f)
{
    static uint8_t bytes[1 << 20];
    if (type != FTW_F)
        return 0;
    size_t len = read_all(path, bytes, sizeof(bytes));
    for (size_t i = 0; i + 16 <= VAULT_PAIRING_BYTES; i += 16)
        marker_found = marker_found || memmem(bytes, len, marker.key.data + i, 8);
    return 0;
}

/* Neither in the pool's directory nor anywhere beside it. */
static void no_byte_of_a_pairing_key_stays_in_any_file(void **state)
{
    struct pool p;
    struct err e = {{0}};
    marker = make("alice", "zoe", 5);
    assert_int_equal(open_pool(&p, 1, false, 0, &e), 0);
    write_pairing("pairings/zoe.pair", &marker, 0600);
    assert_int_equal(importer_run(&p.importer, p.vault, NULL, &e), 0);
    close_pool(&p);
    assert_int_equal(nftw(folder, look_for_marker, 16, FTW_PHYS), 0);
    assert_false(marker_found);
    pairing_deinit(&marker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pairing_is_read_as_it_was_written),
        cmocka_unit_test(the_witness_remembers_the_last_epoch),
        cmocka_unit_test(an_adoption_is_asked_for_once),
        cmocka_unit_test(pairings_are_imported_and_erased),
        cmocka_unit_test(the_pool_is_there_after_a_restart_and_for_one_process_only),
        cmocka_unit_test(no_byte_of_a_pairing_key_stays_in_any_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
