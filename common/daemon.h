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
    /* Builds, runs, tears down; returns the exit status (EX_OK, EX_CONFIG, EX_TEMPFAIL, ...). A
     * sentence in `e` is logged as an alarm. */
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

/* The section `log:` of a daemon's table: DAEMON_LOG_FIELD(struct server_config, log). */
#define DAEMON_LOG_FIELD(config, member)                                                           \
    {                                                                                              \
        .key = "log", .type = CONFIG_SECTION, .offset = offsetof(config, member),                  \
        .help = "what is logged, to standard error", .fields = daemon_log_fields                   \
    }

/* Hardens the process (no core dumps, umask 077, SIGPIPE ignored, descriptors 0 to 2 open), reads the
 * command line and the configuration, runs. Returns the exit status. */
int daemon_main(const struct daemon_program *program, int argc, char **argv);

/* The exit status for an error: EX_CONFIG for -EINVAL and -EPROTO, EX_NOINPUT for -ENOENT, EX_NOPERM,
 * EX_TEMPFAIL (in use, out of room, try again), EX_UNAVAILABLE (somebody else's service), EX_DATAERR
 * for -EBADMSG, else EX_OSERR. EX_OK for >= 0. */
int daemon_exit_status(int r);
