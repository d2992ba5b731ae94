#include "marks.h"
#include "contexts.h"

#include <stdatomic.h>
#include <stdlib.h>

static struct mark *unused; /* making an event takes longer than recording it */
static uint64_t numbers;

/* The calling thread's number; no other ever has it, as one would have its place in memory. */
static uint64_t thread_number(void) {
    static _Atomic uint64_t threads;
    static _Thread_local uint64_t number;
    return number ? number : (number = atomic_fetch_add(&threads, 1) + 1);
}

/* What the driver is asked on the way is no part of the program, and must not disturb a capture. */
static CUresult relaxed(CUresult (*ask)(CUevent), CUevent event) {
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    const struct driver *d = driver();
    if (d->cuThreadExchangeStreamCaptureMode(&mode)) return CUDA_ERROR_NOT_READY;
    CUresult result = ask(event);
    d->cuThreadExchangeStreamCaptureMode(&mode);
    return result;
}

static struct mark *used_before(CUcontext context) {
    struct mark **link = &unused;
    while (*link && (*link)->context != context) link = &(*link)->next;
    struct mark *found = *link;
    if (found) *link = found->next;
    return found;
}

struct mark *mark_new(CUcontext context, CUstream stream) {
    struct mark *m = used_before(context);
    CUevent event = m ? m->event : NULL;
    if (!m && !(m = malloc(sizeof *m))) return NULL;
    *m = (struct mark){.references = 1, .event = event, .context = context, .stream = stream,
                       .thread = stream == CU_STREAM_PER_THREAD ? thread_number() : 0, .number = ++numbers};
    return m;
}

void mark_record(struct mark *m) {
    const struct driver *d = driver();
    CUresult result = m->event ? CUDA_SUCCESS : d->cuEventCreate(&m->event, CU_EVENT_DISABLE_TIMING);
    if (result) m->event = NULL;
    else if ((result = d->cuEventRecord(m->event, m->stream))) d->cuEventDestroy_v2(m->event), m->event = NULL;
    if (!result) return;
    d->cuStreamSynchronize(m->stream);
    m->done = 1;
}

/* A context whose end nobody tells would leave its events here. */
void mark_drop(struct mark *m) {
    if (!m || --m->references) return;
    if (m->event && contexts_knows(m->context)) {
        m->next = unused;
        unused = m;
        return;
    }
    if (m->event) driver()->cuEventDestroy_v2(m->event);
    free(m);
}

int mark_is_done(struct mark *m, int ask) {
    if (m && !m->done && ask && m->event) m->done = relaxed(driver()->cuEventQuery, m->event) != CUDA_ERROR_NOT_READY;
    return !m || m->done || !m->event;
}

void mark_await(struct mark *m) {
    if (!mark_is_done(m, 0)) relaxed(driver()->cuEventSynchronize, m->event), m->done = 1;
}

int mark_is_before(const struct mark *m, CUcontext context, CUstream stream) {
    return !m || (m->stream == stream && m->context == context && (stream != CU_STREAM_PER_THREAD || m->thread == thread_number()));
}

int marks_are_of_one_stream(const struct mark *one, const struct mark *other) {
    return one->stream && one->stream == other->stream && one->context == other->context && one->thread == other->thread;
}

/* Its events went with it, and so did its work. */
void mark_context_gone(struct mark *m) {
    m->event = NULL;
    m->stream = NULL;
    m->done = 1;
}

void marks_context_gone(CUcontext context) {
    for (struct mark *m; (m = used_before(context));) free(m);
}

void marks_after_fork(void) { unused = NULL; }
