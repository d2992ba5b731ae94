#include "marks.h"
#include "capture.h"
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

struct line line_of(CUcontext context, CUstream stream) {
    return (struct line){context, stream, stream == CU_STREAM_PER_THREAD ? thread_number() : 0};
}

int lines_equal(const struct line *one, const struct line *other) {
    return one->stream && one->stream == other->stream && one->context == other->context && one->thread == other->thread;
}

/* A driver call that is no part of the program: in the context of the mark, and so that it does not disturb a capture. */
static CUresult call_in(CUcontext context, CUresult (*call)(const struct mark *), const struct mark *m) {
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUcontext current = NULL;
    const struct driver *d = driver();
    if (d->cuCtxGetCurrent(&current)) current = NULL;
    if (current != context && d->cuCtxPushCurrent_v2(context)) return CUDA_ERROR_INVALID_CONTEXT;
    CUresult result = d->cuThreadExchangeStreamCaptureMode(&mode);
    if (!result) {
        result = call(m);
        d->cuThreadExchangeStreamCaptureMode(&mode);
    }
    if (current != context) d->cuCtxPopCurrent_v2(&current);
    return result;
}

static struct mark *used_before(CUcontext context) {
    struct mark **link = &unused;
    while (*link && (*link)->line.context != context) link = &(*link)->next;
    struct mark *found = *link;
    if (found) *link = found->next;
    return found;
}

struct mark *mark_new(const struct line *line) {
    struct mark *m = used_before(line->context);
    CUevent event = m ? m->event : NULL;
    if (!m && !(m = malloc(sizeof *m))) return NULL;
    *m = (struct mark){.references = 1, .event = event, .line = *line, .number = ++numbers};
    return m;
}

uint64_t marks_latest(void) { return numbers; }

/* An event belongs to a context, and records streams of that one alone. */
static void record(struct mark *m) {
    const struct driver *d = driver();
    CUresult result = m->event ? CUDA_SUCCESS : d->cuEventCreate(&m->event, CU_EVENT_DISABLE_TIMING);
    if (result) m->event = NULL;
    else if (d->cuEventRecord(m->event, m->line.stream)) d->cuEventDestroy_v2(m->event), m->event = NULL;
}

void mark_record(struct mark *m) {
    CUcontext current = NULL;
    const struct driver *d = driver();
    if (!d->cuCtxGetCurrent(&current) && current == m->line.context) record(m);
    else if (!d->cuCtxPushCurrent_v2(m->line.context)) record(m), d->cuCtxPopCurrent_v2(&current);
}

/* A context whose end nobody tells would leave its events here. */
void mark_drop(struct mark *m) {
    if (!m || --m->references) return;
    if (m->event && contexts_knows(m->line.context)) {
        m->next = unused;
        unused = m;
        return;
    }
    if (m->event) driver()->cuEventDestroy_v2(m->event);
    free(m);
}

static CUresult query_event(const struct mark *m) { return driver()->cuEventQuery(m->event); }
static CUresult query_stream(const struct mark *m) { return driver()->cuStreamQuery(m->line.stream); }
static CUresult await_event(const struct mark *m) { return driver()->cuEventSynchronize(m->event); }

/* Of a thread's own stream nobody else can ask, of a destroyed one nobody at all. */
static int can_ask_stream(const struct mark *m) {
    return m->line.stream && (m->line.stream != CU_STREAM_PER_THREAD || m->line.thread == thread_number());
}

/* The legacy stream belongs to all blocking ones, and a capture of one of them would be spoiled. */
static CUresult ask_stream(const struct mark *m, CUresult (*ask)(const struct mark *)) {
    if (!can_ask_stream(m) || !capture_hold_off()) return CUDA_ERROR_NOT_READY;
    CUresult result = call_in(m->line.context, ask, m);
    capture_release();
    return result == CUDA_ERROR_INVALID_HANDLE ? CUDA_ERROR_NOT_READY : result;
}

/* An error is one of the context, which has failed or is gone, and its work with it. */
static int is_over(CUresult result) {
    return result != CUDA_ERROR_NOT_READY && (result < CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED || result > CUDA_ERROR_CAPTURED_EVENT);
}

int mark_is_done(struct mark *m, int ask) {
    if (!m || m->done) return 1;
    if (ask) m->done = is_over(m->event ? call_in(m->line.context, query_event, m) : ask_stream(m, query_stream));
    return m->done;
}

/* A stream that has no event is only asked: to wait for it would hold up captures. */
int mark_await(const struct mark *m) {
    if (m->event) return is_over(call_in(m->line.context, await_event, m));
    return is_over(ask_stream(m, query_stream));
}

void marks_context_leaves(CUcontext context) {
    for (struct mark *m; (m = used_before(context));) free(m);
}

void marks_after_fork(void) { unused = NULL; }
