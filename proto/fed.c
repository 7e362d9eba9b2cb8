/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/fed.h"

#include "common/util.h"
#include "proto/fed.pb-c.h"

#define CLIENT (1 << LINK_INITIATOR)
#define SERVER (1 << LINK_RESPONDER)

#define SMALL  ((size_t)256)                         /* numbers and hashes */
#define SAID   ((size_t)4 * 1024)                    /* the same with a sentence */
#define LEVELS (SMALL + (size_t)FED_SITES_MAX * 128) /* one Level is at most 109 bytes */
#define TAGS   (SMALL + (size_t)FED_SITES_MAX * 96)  /* one Tag is at most 85 bytes */
#define VECTOR (FED_CHUNK_BYTES_MAX + 64)

static const struct exchange_rule rules[] = {
    {FED_HELLO, CLIENT, EXCHANGE_HELLO_MAX, &fed__hello__descriptor},
    {FED_WELCOME, SERVER, SMALL, &fed__welcome__descriptor},
    {FED_LEVELS, CLIENT, LEVELS, &fed__levels__descriptor},
    {FED_OPEN, SERVER, (size_t)16 * 1024, &fed__open__descriptor},
    {FED_MODEL_GET, CLIENT, SMALL, &fed__model_get__descriptor},
    {FED_MODEL_CHUNK, SERVER, VECTOR, &fed__model_chunk__descriptor},
    {FED_READY, CLIENT, LEVELS, &fed__ready__descriptor},
    {FED_DECLINE, CLIENT, SAID, &fed__decline__descriptor},
    {FED_COMMIT, SERVER, FED_VIEW_BYTES_MAX + 64, &fed__commit__descriptor},
    {FED_REJECT, CLIENT, SAID + LEVELS, &fed__reject__descriptor},
    {FED_CONFIRM, CLIENT, TAGS, &fed__confirm__descriptor},
    {FED_RELAY, SERVER, SMALL, &fed__relay__descriptor},
    {FED_LOCKED, CLIENT, SMALL, &fed__locked__descriptor},
    {FED_GO, SERVER, SMALL, &fed__go__descriptor},
    {FED_CHUNK, CLIENT, VECTOR, &fed__chunk__descriptor},
    {FED_ABORT, SERVER, SAID, &fed__abort__descriptor},
    {FED_SKIP, SERVER, SAID, &fed__skip__descriptor},
    {FED_RESULT, SERVER, SMALL, &fed__result__descriptor},
    {FED_RESULT_CHUNK, SERVER, VECTOR, &fed__result_chunk__descriptor},
    {FED_DONE, CLIENT, SMALL, &fed__done__descriptor},
    {FED_LOST, CLIENT, SMALL, &fed__lost__descriptor},
    {FED_RUN_END, SERVER, SAID, &fed__run_end__descriptor},
};

const struct exchange fed_exchange = {
    .name = "fed",
    .rules = rules,
    .n = ARRAY_SIZE(rules),
    .hello = {FED_HELLO, FED_WELCOME},
    .hello_ms = 5000,
    .ping_ms = 4000,
    .silent_ms = 10000,
};
