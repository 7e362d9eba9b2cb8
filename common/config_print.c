/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"
#include "common/config_value.h"

#include <errno.h>

/* Where the next line goes. */
struct printer {
    FILE *to;
    int indent;
    bool starts_item; /* the next line is the first of a list item */
};

static void print_fields(struct printer *p, const struct config_field *fields, const void *value);

static void begin_line(struct printer *p)
{
    int spaces = 2 * p->indent - (p->starts_item ? 2 : 0);
    fprintf(p->to, "%*s%s", spaces, "", p->starts_item ? "- " : "");
    p->starts_item = false;
}

static void end_line(struct printer *p, const struct config_field *field)
{
    if (field->help)
        fprintf(p->to, "  # %s", field->help);
    fputc('\n', p->to);
}

static bool is_text(const struct config_field *field)
{
    return field->type == CONFIG_STRING || field->type == CONFIG_PATH;
}

/* Has nothing to print: a text that is NULL, or an optional section that was left out. */
static bool is_unset(const struct config_field *field, const void *value)
{
    if (is_text(field))
        return *(char *const *)value == NULL;
    if (field->type != CONFIG_SECTION || field->required)
        return false;
    for (const struct config_field *f = field->fields; f->key; f++)
        if (f->required && is_text(f) && is_unset(f, (const char *)value + f->offset))
            return true;
    return false;
}

static void print_item(
    struct printer *p, const struct config_field *field, const struct config_list *list, size_t i)
{
    if (field->type == CONFIG_MAP) {
        const struct config_number *number = (const struct config_number *)list->items + i;
        begin_line(p);
        config_string_print(number->key, p->to);
        fputs(": ", p->to);
        config_double_print(number->value, p->to);
        fputc('\n', p->to);
        return;
    }
    p->starts_item = true;
    if (field->fields) {
        print_fields(p, field->fields, (const char *)list->items + i * field->element_size);
        if (p->starts_item) { /* all unset */
            begin_line(p);
            fputs("{}\n", p->to);
        }
        return;
    }
    begin_line(p);
    config_string_print(((char *const *)list->items)[i], p->to);
    fputc('\n', p->to);
}

static void print_list(
    struct printer *p, const struct config_field *field, const struct config_list *list)
{
    if (list->n == 0)
        fputs(field->type == CONFIG_MAP ? " {}" : " []", p->to);
    end_line(p, field);
    int step = field->type == CONFIG_MAP ? 1 : 2;
    p->indent += step;
    for (size_t i = 0; i < list->n; i++)
        print_item(p, field, list, i);
    p->indent -= step;
}

static bool has_lines(const struct config_field *fields, const void *value)
{
    for (const struct config_field *f = fields; f->key; f++)
        if (!is_unset(f, (const char *)value + f->offset))
            return true;
    return false;
}

static void print_section(struct printer *p, const struct config_field *field, const void *value)
{
    if (!has_lines(field->fields, value))
        fputs(" {}", p->to);
    end_line(p, field);
    p->indent++;
    print_fields(p, field->fields, value);
    p->indent--;
}

static void print_field(struct printer *p, const struct config_field *field, const void *value)
{
    if (is_unset(field, value)) {
        if (p->starts_item)
            return; /* a comment cannot begin an item */
        begin_line(p);
        fprintf(p->to, "# %s:", field->key);
        end_line(p, field);
        return;
    }
    begin_line(p);
    fprintf(p->to, "%s:", field->key);
    if (field->type == CONFIG_SECTION) {
        print_section(p, field, value);
    } else if (field->type == CONFIG_LIST || field->type == CONFIG_MAP) {
        print_list(p, field, value);
    } else {
        fputc(' ', p->to);
        config_value_print(field, value, p->to);
        end_line(p, field);
    }
}

static void print_fields(struct printer *p, const struct config_field *fields, const void *value)
{
    for (const struct config_field *f = fields; f->key; f++)
        print_field(p, f, (const char *)value + f->offset);
}

int config_print(const struct config_field *fields, const void *value, FILE *to)
{
    struct printer p = {.to = to};
    print_fields(&p, fields, value);
    return fflush(to) == 0 && !ferror(to) ? 0 : -EIO;
}
