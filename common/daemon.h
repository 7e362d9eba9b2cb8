/* SPDX-License-Identifier: Apache-2.0 */
/* The command line that all daemons share: --config, --check-config, --print-config, --version,
 * --help; exit codes of sysexits.h. */
#pragma once

#include "common/config.h"
#include "common/log.h"

struct daemon_program {
    const char *name;           /* "qfl-server" */
    const char *summary;        /* one sentence for --help */
    const char *default_config; /* "/etc/qfl/server.yaml" */
    const struct config_field *fields;
    size_t config_size;
    /* Checks beyond the schema (files exist, numbers fit together); NULL for none. */
    int (*check)(const void *config, const char *path, struct err *e);
    /* Builds, runs, tears down; returns the exit status (EX_OK, EX_CONFIG, EX_TEMPFAIL, ...). */
    int (*run)(const void *config, struct log *log, struct err *e);
    /* Offsets of the common fields in the configuration (see DAEMON_FIELDS). */
    size_t log_offset; /* of a struct daemon_log */
};

struct daemon_log {
    int format; /* enum log_format: text, json */
    int level;  /* enum note_level: debug, info, warning, alarm */
    char *name; /* shown in each line; default: the program's name */
};
extern const struct config_field daemon_log_fields[];

int daemon_main(const struct daemon_program *program, int argc, char **argv);
