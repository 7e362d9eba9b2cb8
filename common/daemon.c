/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon.h"

#include "common/secret.h"
#include "common/util.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define DESCRIPTORS_WANTED ((rlim_t)8192)

const struct config_field daemon_log_fields[] = {
    {.key = "format",
        .type = CONFIG_ENUM,
        .offset = offsetof(struct daemon_log, format),
        .help = "text or json",
        .fallback = "text",
        .choices = log_format_names},
    {.key = "level",
        .type = CONFIG_ENUM,
        .offset = offsetof(struct daemon_log, level),
        .help = "debug, info, warning or alarm",
        .fallback = "info",
        .choices = log_level_names},
    {.key = "name",
        .type = CONFIG_STRING,
        .offset = offsetof(struct daemon_log, name),
        .help = "shown in each line; default: the program's name"},
    {0},
};

int daemon_exit_status(int r)
{
    switch (-r) {
    case EINVAL:
    case EPROTO:
        return EX_CONFIG;
    case ENOENT:
        return EX_NOINPUT;
    case EACCES:
    case EPERM:
        return EX_NOPERM;
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case EAGAIN:
    case EBUSY:
    case ENOSPC:
    case EDQUOT:
        return EX_TEMPFAIL;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ETIMEDOUT:
        return EX_UNAVAILABLE;
    case EBADMSG:
        return EX_DATAERR;
    default:
        return r >= 0 ? EX_OK : EX_OSERR;
    }
}

enum action { ACTION_RUN, ACTION_CHECK, ACTION_PRINT, ACTION_VERSION, ACTION_HELP };

struct arguments {
    enum action action;
    const char *config;
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check-config", no_argument, NULL, 'k'},
    {"print-config", no_argument, NULL, 'p'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void print_help(const struct daemon_program *p, FILE *to)
{
    fprintf(to,
        "Usage: %s [--config FILE] [--check-config | --print-config]\n"
        "%s\n\n"
        "  -c, --config FILE   configuration (default: %s)\n"
        "      --check-config  say whether the configuration is right, and end\n"
        "      --print-config  print the configuration in effect with all defaults, and end\n"
        "      --version       print the version, and end\n"
        "      --help          print this, and end\n\n"
        "Exit status: 0 done, 64 wrong use, 66 no configuration, 78 wrong configuration,\n"
        "75 try again later; others as in sysexits.h.\n",
        p->name, p->summary, p->default_config);
}

static int usage_fail(const struct daemon_program *p, const char *what, const char *word)
{
    fprintf(stderr, "%s: %s %s; see %s --help\n", p->name, what, word, p->name);
    return EX_USAGE;
}

/* EX_OK or EX_USAGE. */
static int parse_arguments(
    const struct daemon_program *p, struct arguments *a, int argc, char **argv)
{
    *a = (struct arguments){.config = p->default_config};
    opterr = 0;
    optind = 0;
    int c;
    while ((c = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
        if (c == 'c')
            a->config = optarg;
        else if (c == 'k')
            a->action = ACTION_CHECK;
        else if (c == 'p')
            a->action = ACTION_PRINT;
        else if (c == 'V')
            a->action = ACTION_VERSION;
        else if (c == 'h')
            a->action = ACTION_HELP;
        else if (c == ':')
            return usage_fail(p, "a value is missing after", argv[optind - 1]);
        else
            return usage_fail(p, "unknown option", argv[optind - 1]);
    }
    if (optind < argc)
        return usage_fail(p, "unexpected argument", argv[optind]);
    return EX_OK;
}

/* A daemon started with closed descriptors must not find its key file under number 2. */
static void open_standard_fds(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* A thousand connections, and the files: the usual soft limit is 1024. */
static void raise_descriptor_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= DESCRIPTORS_WANTED)
        return;
    files.rlim_cur = MIN(files.rlim_max, DESCRIPTORS_WANTED);
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static void harden(void)
{
    secret_harden_process();
    open_standard_fds();
    raise_descriptor_limit();
    umask(077);
    signal(SIGPIPE, SIG_IGN);
}

static int complain(const struct daemon_program *p, int r, const struct err *e)
{
    fprintf(stderr, "%s: %s\n", p->name, e->text[0] ? e->text : strerror(-r));
    return daemon_exit_status(r);
}

static int run(const struct daemon_program *p, const void *config)
{
    const struct daemon_log *settings =
        (const struct daemon_log *)((const char *)config + p->log_offset);
    struct err e = {""};
    struct log *log = log_new(settings->name ? settings->name : p->name,
        (enum log_format)settings->format, (enum note_level)settings->level);
    if (!log)
        return complain(p, -ENOMEM, &e);
    log_write(log, NOTE_INFO, "%s %s starts", p->name, QFL_VERSION);
    int status = p->run(config, log, &e);
    if (e.text[0])
        log_write(log, NOTE_ALARM, "%s", e.text);
    log_free(log);
    return status;
}

static int act(const struct daemon_program *p, const struct arguments *a, const void *config)
{
    struct err e = {""};
    int r = p->check ? p->check(config, a->config, &e) : 0;
    if (r == 0 && a->action == ACTION_PRINT)
        r = config_print(p->fields, config, stdout);
    if (r < 0)
        return complain(p, r, &e);
    if (a->action == ACTION_RUN)
        return run(p, config);
    if (a->action == ACTION_CHECK)
        printf("%s: the configuration is right\n", a->config);
    return EX_OK;
}

static int load_and_act(const struct daemon_program *p, const struct arguments *a)
{
    auto_free void *config = calloc(1, p->config_size);
    struct err e = {""};
    int r = config ? config_load(a->config, p->fields, config, &e) : -ENOMEM;
    if (r < 0)
        return complain(p, r, &e);
    int status = act(p, a, config);
    config_free(p->fields, config);
    return status;
}

int daemon_main(const struct daemon_program *program, int argc, char **argv)
{
    harden();
    struct arguments arguments;
    int status = parse_arguments(program, &arguments, argc, argv);
    if (status != EX_OK)
        return status;
    if (arguments.action == ACTION_VERSION) {
        printf("%s %s\n", program->name, QFL_VERSION);
        return EX_OK;
    }
    if (arguments.action == ACTION_HELP) {
        print_help(program, stdout);
        return EX_OK;
    }
    return load_and_act(program, &arguments);
}
