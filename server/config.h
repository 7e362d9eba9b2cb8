/* SPDX-License-Identifier: Apache-2.0 */
/* server.yaml, and what the core is given from it. */
#pragma once

#include "common/config_tls.h"
#include "common/daemon.h"
#include "server/aggregator.h"

struct server_run_config {
    char *task;
    char *trainer;
    char *model; /* path of the first model */
    uint64_t rounds;
    uint64_t min_clients;
    double wait_s;
    int start; /* enum server_start */
    bool exit;
    uint64_t q;
    double clip;
    int rounding; /* enum rounding */
    uint64_t chunk_words;
    uint64_t attempts;
    struct config_list settings; /* struct config_number */
};

enum server_start { SERVER_START_AUTO, SERVER_START_MANUAL };

struct server_deadlines_config {
    double ready_s;
    double confirm_s;
    double locked_s;
    double upload_s;
    double key_wait_s;
    double done_s;
};

struct server_config {
    char *federation;
    char *site;
    char *listen;
    struct config_tls tls;
    char *state;
    char *control;
    uint64_t keep_checkpoints;
    struct config_list roster; /* char * */
    struct server_run_config run;
    struct server_deadlines_config deadlines;
    struct daemon_log log;
};

extern const struct config_field server_fields[];

/* Names, the model file, and whether q, roster and model fit together. */
int server_config_check(const void *config, const char *path, struct err *e) must_check;

/* What the core borrows while it lives. */
struct server_terms {
    struct aggregator_config aggregator; /* seed still to be filled */
    Fed__Params params;
    Fed__Setting *settings;
    Fed__Setting **setting_list;
    const char **roster; /* sorted */
    double *model;
};
int server_terms_init(
    struct server_terms *t, const struct server_config *config, struct err *e) must_check;
void server_terms_deinit(struct server_terms *t);
