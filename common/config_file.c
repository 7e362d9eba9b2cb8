/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config_file.h"

#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

int config_fail(const char *path, yaml_mark_t mark, struct err *e, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return err_set(e, -EINVAL, "%s:%zu:%zu: %s", path, mark.line + 1, mark.column + 1, text);
}

static int open_fail(const char *path, int error, struct err *e)
{
    if (error == ENOENT)
        return err_set(e, -ENOENT, "%s: there is no such file; name one with --config", path);
    if (error == EACCES)
        return err_set(e, -EACCES, "%s: this user may not read it", path);
    return err_set(e, -error, "%s: cannot be read: %s", path, strerror(error));
}

static int read_all(int fd, char *text, size_t size, size_t *len)
{
    *len = 0;
    while (*len < size) {
        ssize_t n = read(fd, text + *len, size - *len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return 0;
}

int config_file_read(const char *path, char **text, size_t *len, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return open_fail(path, errno, e);
    /* One byte more than allowed, to notice files that are too large. */
    auto_free char *data = malloc(CONFIG_FILE_MAX + 1);
    int r = data ? read_all(fd, data, CONFIG_FILE_MAX + 1, len) : -ENOMEM;
    close(fd);
    if (r < 0)
        return open_fail(path, -r, e);
    *text = steal(&data);
    return 0;
}

/* Position of a byte, for errors of libyaml's reader, which knows no lines yet. */
static yaml_mark_t mark_of_byte(const char *text, size_t len, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < MIN(offset, len); i++) {
        mark.column++;
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return mark;
}

static bool line_has_tab(const char *text, size_t len, size_t line)
{
    for (size_t i = 0; i < len && line != SIZE_MAX; i++) {
        if (line == 0 && text[i] == '\t')
            return true;
        if (text[i] == '\n')
            line--;
    }
    return false;
}

static int syntax_fail(const struct config_file *f, const yaml_parser_t *p, const char *text,
    size_t len, struct err *e)
{
    if (p->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    yaml_mark_t mark = p->problem_mark;
    if (p->error == YAML_READER_ERROR)
        mark = mark_of_byte(text, len, p->problem_offset);
    const char *problem = p->problem ? p->problem : "syntax error";
    if (p->error != YAML_READER_ERROR && line_has_tab(text, len, mark.line))
        return config_fail(f->path, mark, e,
            "not valid YAML: %s; indent with spaces, this line holds a tab", problem);
    return config_fail(f->path, mark, e, "not valid YAML: %s", problem);
}

struct scan {
    const struct config_file *file;
    int depth;
    int documents;
};

static int refuse_anchor(const struct scan *s, const yaml_event_t *event, struct err *e)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor)
        return config_fail(s->file->path, event->start_mark, e,
            "anchors (&%.40s) are not supported; write the value where it is needed", anchor);
    if (tag)
        return config_fail(
            s->file->path, event->start_mark, e, "tags (%.40s) are not supported; remove it", tag);
    return 0;
}

static int check_event(struct scan *s, const yaml_event_t *event, struct err *e)
{
    const char *path = s->file->path;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return config_fail(path, event->start_mark, e,
            "aliases (*%.40s) are not supported; write the value out", event->data.alias.anchor);
    case YAML_DOCUMENT_START_EVENT:
        if (++s->documents > 1)
            return config_fail(path, event->start_mark, e,
                "a second document starts here; a configuration is one document");
        return 0;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        if (++s->depth > CONFIG_DEPTH_MAX)
            return config_fail(path, event->start_mark, e,
                "nested deeper than %d levels; no configuration needs that", CONFIG_DEPTH_MAX);
        return refuse_anchor(s, event, e);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        s->depth--;
        return 0;
    default:
        return refuse_anchor(s, event, e);
    }
}

/* First pass: the events, before libyaml builds a tree that resolves aliases silently. */
static int scan_events(struct config_file *f, const char *text, size_t len, struct err *e)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    struct scan scan = {.file = f};
    int r = 0;
    bool at_end = false;
    while (r == 0 && !at_end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            r = syntax_fail(f, &parser, text, len, e);
            break;
        }
        at_end = event.type == YAML_STREAM_END_EVENT;
        r = check_event(&scan, &event, e);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return r;
}

static int load_document(struct config_file *f, const char *text, size_t len, struct err *e)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    f->has_document = yaml_parser_load(&parser, &f->document) != 0;
    int r = f->has_document ? 0 : syntax_fail(f, &parser, text, len, e);
    yaml_parser_delete(&parser);
    return r;
}

int config_file_parse(
    struct config_file *f, const char *path, const char *text, size_t len, struct err *e)
{
    *f = (struct config_file){.path = path};
    if (len > CONFIG_FILE_MAX)
        return err_set(e, -EINVAL, "%s: larger than %zu bytes; this cannot be a configuration",
            path, CONFIG_FILE_MAX);
    int r = scan_events(f, text, len, e);
    return r < 0 ? r : load_document(f, text, len, e);
}

void config_file_deinit(struct config_file *f)
{
    if (f->has_document)
        yaml_document_delete(&f->document);
    f->has_document = false;
}

yaml_node_t *config_file_root(struct config_file *f)
{
    return yaml_document_get_root_node(&f->document);
}

yaml_node_t *config_file_node(struct config_file *f, int id)
{
    return yaml_document_get_node(&f->document, id);
}
