/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration file of any bytes. Oracle: refused with a sentence that begins with the file's name, or
 * taken, and then what is printed of it loads again and prints the same. */
#include "common/config.h"
#include "common/util.h"

#include "tests/fuzz/fuzz.h"

struct site {
    char *name;
    uint64_t weight;
};

struct settings {
    char *site;
    char *key;
    bool simulated;
    int level;
    struct {
        uint64_t rounds;
        double clip;
        char *note;
    } run;
    struct config_list peers;
    struct config_list sites;
    struct config_list parameters;
};

#define AT(member) offsetof(struct settings, member)

static const char *const levels[] = {"low", "high", NULL};

static const struct config_field run_fields[] = {
    {.key = "rounds", .type = CONFIG_U64, .fallback = "3", .min = 1, .max = 1000000},
    {.key = "clip",
        .type = CONFIG_DOUBLE,
        .offset = AT(run.clip) - AT(run),
        .min_double = -10,
        .max_double = 10},
    {.key = "note", .type = CONFIG_STRING, .offset = AT(run.note) - AT(run), .help = "any text"},
    {0},
};

static const struct config_field site_fields[] = {
    {.key = "name", .type = CONFIG_STRING, .offset = offsetof(struct site, name)},
    {.key = "weight", .type = CONFIG_U64, .offset = offsetof(struct site, weight)},
    {0},
};

static const struct config_field fields[] = {
    {.key = "site", .type = CONFIG_STRING, .offset = AT(site), .fallback = "alice"},
    {.key = "key", .type = CONFIG_PATH, .offset = AT(key)},
    {.key = "simulated", .type = CONFIG_BOOL, .offset = AT(simulated)},
    {.key = "level", .type = CONFIG_ENUM, .offset = AT(level), .choices = levels},
    {.key = "run", .type = CONFIG_SECTION, .offset = AT(run), .fields = run_fields},
    {.key = "peers", .type = CONFIG_LIST, .offset = AT(peers), .max = 8},
    {.key = "sites",
        .type = CONFIG_LIST,
        .offset = AT(sites),
        .fields = site_fields,
        .element_size = sizeof(struct site)},
    {.key = "parameters", .type = CONFIG_MAP, .offset = AT(parameters)},
    {0},
};

static char *print(const struct settings *s, size_t *len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, len);
    fuzz_assert(f);
    fuzz_assert(config_print(fields, s, f) == 0);
    fclose(f);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings s;
    struct settings again;
    struct err e = {""};
    int r = config_load_text("f.yaml", (const char *)data, size, fields, &s, &e);
    if (r < 0) {
        fuzz_assert(strncmp(e.text, "f.yaml:", 7) == 0 && e.text[7]);
        return 0;
    }
    fuzz_assert(r == 0 && e.text[0] == '\0');
    size_t len = 0;
    size_t again_len = 0;
    char *text = print(&s, &len);
    fuzz_assert(config_load_text("f.yaml", text, len, fields, &again, &e) == 0);
    char *same = print(&again, &again_len);
    fuzz_assert(len == again_len && memcmp(text, same, len) == 0);
    free(text);
    free(same);
    config_free(fields, &s);
    config_free(fields, &again);
    return 0;
}
