/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"

#include "common/config_file.h"
#include "common/config_value.h"
#include "common/nearest.h"
#include "common/util.h"

#include <assert.h>
#include <errno.h>

#define NAME_MAX_BYTES 200

/* One load. */
struct load {
    const char *path;
    const char *folder; /* of the file, "" or ending with '/' */
    struct config_file file;
    struct err *e;
};

/* Where we are: "run.rounds", "sites[2].name". */
struct place {
    char name[NAME_MAX_BYTES];
};

static int load_section(struct load *l, const struct config_field *fields, yaml_node_t *node,
    const struct place *place, void *out);

/* Names are for sentences only: long ones are cut. */
static struct place place_of(const struct place *parent, const char *key)
{
    struct place p;
    snprintf(
        p.name, sizeof(p.name), "%.120s%s%.60s", parent->name, parent->name[0] ? "." : "", key);
    return p;
}

static struct place place_at(const struct place *parent, size_t index)
{
    struct place p;
    snprintf(p.name, sizeof(p.name), "%.160s[%zu]", parent->name, index + 1);
    return p;
}

static const char *node_kind(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return "a single value";
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a section";
    default:
        return "nothing";
    }
}

static const char *scalar_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* "key:", "key: ~" and "key: null" give no value. */
static bool is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(scalar_text(node), words[i]) == 0)
            return true;
    return false;
}

static int wrong_kind(
    struct load *l, const yaml_node_t *node, const struct place *place, const char *wanted)
{
    return config_fail(l->path, node->start_mark, l->e, "%s must be %s, not %s", place->name,
        wanted, is_null(node) ? "empty" : node_kind(node));
}

/* ---- scalars ---- */

static int check_scalar(struct load *l, const struct config_field *field, const yaml_node_t *node,
    const struct place *place)
{
    if (node->type != YAML_SCALAR_NODE)
        return wrong_kind(l, node, place, "a single value");
    if (is_null(node))
        return config_fail(l->path, node->start_mark, l->e,
            "%s has no value; give one or remove the line", place->name);
    if (strlen(scalar_text(node)) != node->data.scalar.length)
        return config_fail(l->path, node->start_mark, l->e, "%s holds a zero byte", place->name);
    bool is_text = field->type == CONFIG_STRING || field->type == CONFIG_PATH;
    if (!is_text && node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return config_fail(
            l->path, node->start_mark, l->e, "%s must not be in quotes; remove them", place->name);
    return 0;
}

static int load_scalar(struct load *l, const struct config_field *field, const yaml_node_t *node,
    const struct place *place, void *out)
{
    int r = check_scalar(l, field, node, place);
    if (r < 0)
        return r;
    struct err why = {""};
    r = config_value_read(field, l->folder, scalar_text(node), out, &why);
    if (r == -EINVAL)
        return config_fail(l->path, node->start_mark, l->e, "%s %s", place->name, why.text);
    return r;
}

/* ---- lists and maps ---- */

static int check_count(struct load *l, const struct config_field *field, const yaml_node_t *node,
    const struct place *place, size_t n)
{
    uint64_t max = field->max ? field->max : CONFIG_ITEMS_MAX;
    if (n >= field->min && n <= max)
        return 0;
    return config_fail(l->path, node->start_mark, l->e,
        "%s has %zu entries, but must have %zu to %zu", place->name, n, (size_t)field->min,
        (size_t)max);
}

static size_t element_size(const struct config_field *field)
{
    if (field->type == CONFIG_MAP)
        return sizeof(struct config_number);
    return field->fields ? field->element_size : sizeof(char *);
}

static int load_item(struct load *l, const struct config_field *field, yaml_node_t *node,
    const struct place *place, void *out)
{
    if (field->fields)
        return load_section(l, field->fields, node, place, out);
    static const struct config_field string = {.type = CONFIG_STRING};
    return load_scalar(l, &string, node, place, out);
}

static int load_list(struct load *l, const struct config_field *field, yaml_node_t *node,
    const struct place *place, struct config_list *out)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return wrong_kind(l, node, place, "a list");
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t n = (size_t)(node->data.sequence.items.top - items);
    int r = check_count(l, field, node, place, n);
    if (r < 0 || n == 0)
        return r;
    out->items = calloc(n, element_size(field));
    if (!out->items)
        return -ENOMEM;
    for (size_t i = 0; i < n && r == 0; i++) {
        struct place item = place_at(place, i);
        out->n = i + 1; /* so that a half-filled item is freed as well */
        r = load_item(l, field, config_file_node(&l->file, items[i]), &item,
            (char *)out->items + i * element_size(field));
    }
    return r;
}

/* A key is a plain word; returns NULL with the sentence set. */
static const char *key_text(struct load *l, const yaml_node_t *key, const struct place *place)
{
    if (key->type == YAML_SCALAR_NODE && key->data.scalar.length == strlen(scalar_text(key)))
        return scalar_text(key);
    config_fail(l->path, key->start_mark, l->e, "a key of %s must be a word",
        place->name[0] ? place->name : "the configuration");
    return NULL;
}

/* Refuses pair `at` of a mapping if an earlier one has the same key. */
static int check_twice(struct load *l, const yaml_node_t *map, const yaml_node_pair_t *at,
    const char *key, const struct place *place)
{
    const yaml_node_pair_t *p = map->data.mapping.pairs.start;
    for (; p < at; p++) {
        const yaml_node_t *earlier = config_file_node(&l->file, p->key);
        if (strcmp(scalar_text(earlier), key) != 0)
            continue;
        const yaml_node_t *again = config_file_node(&l->file, at->key);
        struct place name = place_of(place, key);
        return config_fail(l->path, again->start_mark, l->e,
            "%s is given twice, first on line %zu; remove one of them", name.name,
            earlier->start_mark.line + 1);
    }
    return 0;
}

static int load_number(struct load *l, const struct config_field *field, const yaml_node_t *node,
    const struct place *place, struct config_number *out)
{
    static const struct config_field number = {.type = CONFIG_DOUBLE};
    int r = check_scalar(l, &number, node, place);
    if (r < 0)
        return r;
    struct err why = {""};
    r = config_double_read(field, scalar_text(node), &out->value, &why);
    if (r < 0)
        return config_fail(l->path, node->start_mark, l->e, "%s %s", place->name, why.text);
    return 0;
}

static int load_pair(struct load *l, const struct config_field *field, const yaml_node_t *map,
    const yaml_node_pair_t *pair, const struct place *place, struct config_number *out)
{
    const char *key = key_text(l, config_file_node(&l->file, pair->key), place);
    if (!key)
        return -EINVAL;
    int r = check_twice(l, map, pair, key, place);
    if (r < 0)
        return r;
    static const struct config_field string = {.type = CONFIG_STRING};
    r = load_scalar(l, &string, config_file_node(&l->file, pair->key), place, &out->key);
    if (r < 0)
        return r;
    struct place name = place_of(place, key);
    return load_number(l, field, config_file_node(&l->file, pair->value), &name, out);
}

static int load_map(struct load *l, const struct config_field *field, yaml_node_t *node,
    const struct place *place, struct config_list *out)
{
    if (node->type != YAML_MAPPING_NODE)
        return wrong_kind(l, node, place, "a section of \"name: number\" lines");
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    size_t n = (size_t)(node->data.mapping.pairs.top - pairs);
    int r = check_count(l, field, node, place, n);
    if (r < 0 || n == 0)
        return r;
    struct config_number *numbers = calloc(n, sizeof(*numbers));
    out->items = numbers;
    if (!numbers)
        return -ENOMEM;
    for (size_t i = 0; i < n && r == 0; i++) {
        out->n = i + 1;
        r = load_pair(l, field, node, &pairs[i], place, &numbers[i]);
    }
    return r;
}

/* ---- sections ---- */

static int unknown_key(struct load *l, const struct config_field *fields, const yaml_node_t *key,
    const struct place *place)
{
    char known[400] = "";
    struct nearest near = nearest_to(scalar_text(key));
    for (const struct config_field *f = fields; f->key; f++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "", f->key);
        nearest_offer(&near, f->key);
    }
    const char *in = place->name[0] ? " in " : "";
    if (near.best)
        return config_fail(l->path, key->start_mark, l->e,
            "unknown key \"%.80s\"%s%s; did you mean \"%s\"?", scalar_text(key), in, place->name,
            near.best);
    return config_fail(l->path, key->start_mark, l->e,
        "unknown key \"%.80s\"%s%s; known keys are %s", scalar_text(key), in, place->name, known);
}

static bool is_known(const struct config_field *fields, const char *key)
{
    for (const struct config_field *f = fields; f->key; f++)
        if (strcmp(f->key, key) == 0)
            return true;
    return false;
}

/* Every key is known and there once, so at most as many as there are fields. */
static int check_keys(struct load *l, const struct config_field *fields, const yaml_node_t *node,
    const struct place *place)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = config_file_node(&l->file, pair->key);
        const char *text = key_text(l, key, place);
        if (!text)
            return -EINVAL;
        if (!is_known(fields, text))
            return unknown_key(l, fields, key, place);
        int r = check_twice(l, node, pair, text, place);
        if (r < 0)
            return r;
    }
    return 0;
}

static yaml_node_t *find_value(struct load *l, const yaml_node_t *node, const char *key)
{
    if (!node)
        return NULL;
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++)
        if (strcmp(scalar_text(config_file_node(&l->file, pair->key)), key) == 0)
            return config_file_node(&l->file, pair->value);
    return NULL;
}

static int load_value(struct load *l, const struct config_field *field, yaml_node_t *node,
    const struct place *place, void *out)
{
    switch (field->type) {
    case CONFIG_SECTION:
        return load_section(l, field->fields, node, place, out);
    case CONFIG_LIST:
        return load_list(l, field, node, place, out);
    case CONFIG_MAP:
        return load_map(l, field, node, place, out);
    default:
        return load_scalar(l, field, node, place, out);
    }
}

static int fill_defaults(struct load *l, const struct config_field *fields, void *out);

static int fill_default(struct load *l, const struct config_field *field, void *out)
{
    if (field->type == CONFIG_SECTION)
        return fill_defaults(l, field->fields, out);
    if (!field->fallback)
        return 0;
    struct err why = {""};
    int r = config_value_read(field, l->folder, field->fallback, out, &why);
    assert(r != -EINVAL); /* our own table is wrong */
    return r;
}

static int fill_defaults(struct load *l, const struct config_field *fields, void *out)
{
    int r = 0;
    for (const struct config_field *f = fields; f->key && r == 0; f++)
        r = fill_default(l, f, (char *)out + f->offset);
    return r;
}

static int missing_key(struct load *l, const struct config_field *field, const yaml_node_t *node,
    const struct place *place)
{
    yaml_mark_t mark = {0};
    struct place name = place_of(place, field->key);
    return config_fail(l->path, node ? node->start_mark : mark, l->e, "%s is missing: %s",
        name.name, field->help ? field->help : "it is required");
}

static int load_section(struct load *l, const struct config_field *fields, yaml_node_t *node,
    const struct place *place, void *out)
{
    if (node && node->type != YAML_MAPPING_NODE)
        return wrong_kind(l, node, place, "a section of \"key: value\" lines");
    int r = node ? check_keys(l, fields, node, place) : 0;
    for (const struct config_field *f = fields; f->key && r == 0; f++) {
        yaml_node_t *value = find_value(l, node, f->key);
        struct place name = place_of(place, f->key);
        if (value)
            r = load_value(l, f, value, &name, (char *)out + f->offset);
        else if (f->required)
            r = missing_key(l, f, node, place);
        else
            r = fill_default(l, f, (char *)out + f->offset);
    }
    return r;
}

/* ---- the whole file ---- */

/* The struct is as large as its last field's end. */
static size_t field_size(const struct config_field *field);

static size_t fields_size(const struct config_field *fields)
{
    size_t size = 0;
    for (const struct config_field *f = fields; f->key; f++)
        size = MAX(size, f->offset + field_size(f));
    return size;
}

static size_t field_size(const struct config_field *field)
{
    static const size_t sizes[] = {
        [CONFIG_STRING] = sizeof(char *),
        [CONFIG_PATH] = sizeof(char *),
        [CONFIG_BOOL] = sizeof(bool),
        [CONFIG_U64] = sizeof(uint64_t),
        [CONFIG_DOUBLE] = sizeof(double),
        [CONFIG_ENUM] = sizeof(int),
        [CONFIG_LIST] = sizeof(struct config_list),
        [CONFIG_MAP] = sizeof(struct config_list),
    };
    return field->type == CONFIG_SECTION ? fields_size(field->fields) : sizes[field->type];
}

static int load_file(
    struct load *l, const char *text, size_t len, const struct config_field *fields, void *out)
{
    int r = config_file_parse(&l->file, l->path, text, len, l->e);
    yaml_node_t *root = r == 0 ? config_file_root(&l->file) : NULL;
    struct place top = {"the configuration"};
    if (root && is_null(root))
        root = NULL; /* a file of comments */
    if (root && root->type != YAML_MAPPING_NODE)
        r = wrong_kind(l, root, &top, "\"key: value\" lines");
    top.name[0] = '\0';
    if (r == 0)
        r = load_section(l, fields, root, &top, out);
    config_file_deinit(&l->file);
    return r;
}

int config_load_text(const char *path, const char *text, size_t len,
    const struct config_field *fields, void *out, struct err *e)
{
    memset(out, 0, fields_size(fields));
    auto_free char *folder = strdup(path);
    if (!folder)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    char *slash = strrchr(folder, '/');
    *(slash ? slash + 1 : folder) = '\0';
    struct load load = {.path = path, .folder = folder, .e = e};
    int r = load_file(&load, text, len, fields, out);
    if (r < 0)
        config_free(fields, out);
    return r == -ENOMEM ? err_set(e, r, "%s: out of memory", path) : r;
}

int config_load(const char *path, const struct config_field *fields, void *out, struct err *e)
{
    memset(out, 0, fields_size(fields));
    auto_free char *text = NULL;
    size_t len = 0;
    int r = config_file_read(path, &text, &len, e);
    return r < 0 ? r : config_load_text(path, text, len, fields, out, e);
}

static void free_list(const struct config_field *field, struct config_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        void *item = (char *)list->items + i * element_size(field);
        if (field->type == CONFIG_LIST && field->fields)
            config_free(field->fields, item);
        else
            free(*(char **)item); /* a string, or the key of a number */
    }
    free(list->items);
    *list = (struct config_list){0};
}

void config_free(const struct config_field *fields, void *out)
{
    for (const struct config_field *f = fields; f->key; f++) {
        void *value = (char *)out + f->offset;
        if (f->type == CONFIG_SECTION)
            config_free(f->fields, value);
        else if (f->type == CONFIG_LIST || f->type == CONFIG_MAP)
            free_list(f, value);
        else if (f->type == CONFIG_STRING || f->type == CONFIG_PATH)
            free(steal((char **)value));
    }
}
