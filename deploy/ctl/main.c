/* SPDX-License-Identifier: Apache-2.0 */
/* qflctl: the operator's tool. Finds the verb, runs it, prints its sentence on failure. */
#include "deploy/ctl/verb.h"

#include "common/util.h"

#include <stdio.h>
#include <sysexits.h>
#include <sys/stat.h>

static const struct verb *const verb_tables[] = {verbs_run, verbs_status, verbs_watch, verbs_keys,
    verbs_qkd, verbs_audit, verbs_pki, verbs_site, verbs_task, verbs_evaluate, verbs_keyrate};

static void print_help(FILE *to)
{
    fputs("qflctl: runs and inspects a QuNetQFL federation\n\n", to);
    for (size_t t = 0; t < ARRAY_SIZE(verb_tables); t++)
        for (const struct verb *v = verb_tables[t]; v->name; v++)
            fprintf(to, "  %-14s %s\n", v->name, v->summary);
    fputs("\nqflctl VERB --help tells the verb's options. Every verb takes --json.\n"
          "Exit status: 0, or one of sysexits.h.\n",
        to);
}

/* The number of words of argv that the verb's name takes up, or 0 if it is another verb. */
static int match_verb(const struct verb *v, int argc, char **argv)
{
    const char *rest = v->name;
    int words = 0;
    while (words < argc) {
        size_t len = strcspn(rest, " ");
        if (strlen(argv[words]) != len || strncmp(argv[words], rest, len) != 0)
            return 0;
        words++;
        rest += len;
        if (*rest == '\0')
            return words;
        rest++;
    }
    return 0;
}

static const struct verb *find_verb(int argc, char **argv, int *words)
{
    for (size_t t = 0; t < ARRAY_SIZE(verb_tables); t++)
        for (const struct verb *v = verb_tables[t]; v->name; v++)
            if ((*words = match_verb(v, argc, argv)) > 0)
                return v;
    return NULL;
}

/* No verb of this name; if it is the first word of some, these are named. */
static void print_no_verb(const char *word)
{
    const char *between = ": there are ";
    size_t len = strlen(word);
    fprintf(stderr, "qflctl: no verb \"%s\"", word);
    for (size_t t = 0; t < ARRAY_SIZE(verb_tables); t++)
        for (const struct verb *v = verb_tables[t]; v->name; v++)
            if (strncmp(v->name, word, len) == 0 && v->name[len] == ' ') {
                fprintf(stderr, "%s%s", between, v->name);
                between = ", ";
            }
    fputs("; qflctl --help lists all\n", stderr);
}

static void print_verb_help(const struct verb *v)
{
    printf("qflctl %s %s\n\n%s\n", v->name, v->usage, v->summary);
    if (strstr(v->usage, "--control"))
        puts("\n--control SOCKET names another daemon than this machine's own.");
}

static bool has_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    umask(077);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? EX_USAGE : EX_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("qflctl " QFL_VERSION);
        return EX_OK;
    }
    int words;
    const struct verb *v = find_verb(argc - 1, argv + 1, &words);
    if (!v) {
        print_no_verb(argv[1]);
        return EX_USAGE;
    }
    if (has_help(argc, argv)) {
        print_verb_help(v);
        return EX_OK;
    }
    struct err e = {0};
    argv[words] = (char *)v->name;
    int status = v->run(argc - words, argv + words, &e);
    if (status != EX_OK)
        fprintf(stderr, "qflctl: %s\n", e.text[0] ? e.text : "failed");
    return status;
}
