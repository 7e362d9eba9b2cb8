/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the aggregator to one client or to all (server/core.h). */
#include "server/core.h"

#include "common/util.h"

int send_welcome(struct aggregator *a, uint32_t conn, struct update *u)
{
    Fed__Welcome m = FED__WELCOME__INIT;
    m.version = FED_VERSION;
    m.federation = (char *)a->config.federation;
    return link_send(u, conn, FED_WELCOME, &m.base);
}

int send_open(struct aggregator *a, size_t site, struct update *u)
{
    struct session *session = site_session(a, site);
    return session ? update_send(u, session->conn, FED_OPEN, blob_ref(a->round.open)) : 0;
}

int send_commit(struct aggregator *a, size_t site, struct update *u)
{
    struct session *session = site_session(a, site);
    if (!session)
        return 0;
    const struct attempt *attempt = a->round.attempt;
    Fed__Commit m = FED__COMMIT__INIT;
    m.attempt = attempt->number;
    m.view = (ProtobufCBinaryData){attempt->bytes->len, attempt->bytes->data};
    return link_send(u, session->conn, FED_COMMIT, &m.base);
}

int send_relay(struct aggregator *a, uint32_t from, uint32_t to, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    struct session *session = site_session(a, attempt->members[to].site);
    if (!session || !graph_has(&attempt->graph, from, to))
        return 0;
    Fed__Tag tag = FED__TAG__INIT;
    tag.peer = attempt->view->members[from]->site;
    tag.tag = (ProtobufCBinaryData){GF128_BYTES, (uint8_t *)attempt_tag(attempt, from, to)};
    Fed__Relay m = FED__RELAY__INIT;
    m.attempt = attempt->number;
    m.tag = &tag;
    return link_send(u, session->conn, FED_RELAY, &m.base);
}

int send_go(struct aggregator *a, uint32_t member, struct update *u)
{
    const struct attempt *attempt = a->round.attempt;
    struct session *session = site_session(a, attempt->members[member].site);
    if (!session)
        return 0;
    Fed__Go m = FED__GO__INIT;
    m.attempt = attempt->number;
    m.from_chunk = accumulator_next(&attempt->sum, member);
    return link_send(u, session->conn, FED_GO, &m.base);
}

int send_abort(uint32_t conn, uint64_t attempt, uint32_t code, const char *reason, struct update *u)
{
    Fed__Abort m = FED__ABORT__INIT;
    m.attempt = attempt;
    m.code = code;
    m.reason = (char *)reason;
    return link_send(u, conn, FED_ABORT, &m.base);
}

int send_skip(struct aggregator *a, uint32_t conn, uint64_t round, uint64_t attempt,
    const char *reason, struct update *u)
{
    Fed__Skip m = FED__SKIP__INIT;
    m.run = (ProtobufCBinaryData){FED_RUN_BYTES, a->run.id};
    m.round = round;
    m.attempt = attempt;
    m.reason = (char *)reason;
    return link_send(u, conn, FED_SKIP, &m.base);
}

int send_run_end(struct aggregator *a, uint32_t conn, const char *reason, struct update *u)
{
    Fed__RunEnd m = FED__RUN_END__INIT;
    m.run = (ProtobufCBinaryData){FED_RUN_BYTES, a->run.id};
    m.reason = (char *)reason;
    return link_send(u, conn, FED_RUN_END, &m.base);
}

int send_all(struct aggregator *a,
    int (*send)(struct aggregator *a, struct session *session, void *arg, struct update *u),
    void *arg, struct update *u)
{
    for (size_t site = 0; site < a->config.sites; site++) {
        struct session *session = site_session(a, site);
        int r = session ? send(a, session, arg, u) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}
