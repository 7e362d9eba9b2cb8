/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML file as a tree of nodes with positions. Internal to common/config.c.
 *
 * Refuses what a configuration never needs: anchors, aliases, tags, several documents, deep nesting,
 * huge files.
 */
#pragma once

#include "common/config.h"

#include <yaml.h>

struct config_file {
    const char *path;
    yaml_document_t document;
    bool has_document;
};

/* -EINVAL with a sentence, -ENOMEM. */
int config_file_parse(struct config_file *f, const char *path, const char *text, size_t len,
    struct err *e) must_check;
void config_file_deinit(struct config_file *f);

/* The top mapping, or NULL for an empty file. */
yaml_node_t *config_file_root(struct config_file *f);
yaml_node_t *config_file_node(struct config_file *f, int id);

/* Reads a whole file. -errno with a sentence. */
int config_file_read(const char *path, char **text, size_t *len, struct err *e) must_check;

/* "path:line:column: sentence"; returns -EINVAL. */
int config_fail(const char *path, yaml_mark_t mark, struct err *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
