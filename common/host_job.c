/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: run on libuv's worker threads, given back to the core. */
#include "common/host_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct work {
    uv_work_t request;
    struct host *host;
    struct job *job; /* owned */
    LIST_ENTRY(work) next;
};

static void on_work(uv_work_t *request)
{
    struct work *w = request->data;
    w->job->run(w->job);
}

static void on_done(uv_work_t *request, int status)
{
    struct work *w = request->data;
    struct host *h = w->host;
    struct event event = {.kind = EVENT_JOB, .job = w->job};
    LIST_REMOVE(w, next);
    h->jobs--;
    free(w);
    (void)host_feed(h, &event); /* frees the job when the host ends; so also a cancelled one */
}

void host_run_job(struct host *h, struct job *job)
{
    struct work *w = calloc(1, sizeof(*w));
    if (!w) {
        job->free(job);
        host_fail(h, -ENOMEM);
        return;
    }
    w->request.data = w;
    w->host = h;
    w->job = job;
    LIST_INSERT_HEAD(&h->works, w, next);
    h->jobs++;
    int r = uv_queue_work(&h->loop, &w->request, on_work, on_done);
    assert(r == 0); /* fails for a missing callback only */
    (void)r;
}

void host_cancel_jobs(struct host *h)
{
    struct work *w;
    LIST_FOREACH(w, &h->works, next)
    (void)uv_cancel((uv_req_t *)&w->request); /* one that runs goes on */
}
