#include "queue.h"

#include <stdlib.h>
#include <time.h>

struct CUevent_st {
    struct CUevent_st *next; /* never freed: a destroyed one is used again */
    int alive;
    unsigned flags;
    CUcontext context; /* whose streams it records */
    CUstream stream; /* NULL: never recorded, or with all streams of its context */
    int whole;       /* that */
    uint64_t number;
    uint64_t capture; /* in which it was recorded; 0: in none */
    double milliseconds;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* taken before the queue's */
static CUevent events;

static CUevent unused(void) {
    for (CUevent e = events; e; e = e->next)
        if (!e->alive) return e;
    CUevent e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->next = events;
    return events = e;
}

CUresult do_cuEventCreate(CUevent *event, unsigned flags) {
    if (!event || flags > 7) return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&mutex);
    CUevent e = unused();
    if (e) {
        e->alive = 1;
        e->flags = flags;
        e->context = context_current();
        e->stream = NULL;
        e->whole = 0;
        e->number = e->capture = 0;
        *event = e;
    }
    pthread_mutex_unlock(&mutex);
    return e ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

/* A copy, so that nobody waits with the mutex held. */
static CUresult event_get(CUevent handle, struct CUevent_st *copy) {
    CUresult result = CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&mutex);
    for (CUevent e = events; e; e = e->next)
        if (e == handle && e->alive) *copy = *e, result = CUDA_SUCCESS;
    pthread_mutex_unlock(&mutex);
    return result;
}

CUresult do_cuEventDestroy_v2(CUevent event) {
    struct CUevent_st copy;
    if (event_get(event, &copy)) return CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&mutex);
    event->alive = 0;
    pthread_mutex_unlock(&mutex);
    return CUDA_SUCCESS;
}

void events_close(CUcontext context) {
    pthread_mutex_lock(&mutex);
    for (CUevent e = events; e; e = e->next)
        if (e->context == context) e->alive = 0;
    pthread_mutex_unlock(&mutex);
}

static void stamp(struct op *op) {
    struct timespec now;
    CUevent event = op->pointer;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&mutex);
    if (event->number == op->number) event->milliseconds = (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
    pthread_mutex_unlock(&mutex);
}

static struct op *stamp_op(CUevent event, CUstream stream) {
    struct op *op = op_new(stream, stamp);
    op->pointer = event;
    op->prompt = 1;
    return op;
}

CUresult do_cuEventRecord(CUevent event, CUstream handle) {
    CUstream stream;
    struct CUevent_st copy;
    if (event_get(event, &copy)) return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = stream_find(handle, &stream);
    if (result) return result;
    if (stream->context != copy.context) return CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&mutex);
    event->stream = stream;
    event->whole = 0;
    event->capture = capture_of(stream, &event->number);
    if (!event->capture) event->number = op_submit(stamp_op(event, stream), stream);
    pthread_mutex_unlock(&mutex);
    return CUDA_SUCCESS;
}

CUresult do_cuCtxRecordEvent(CUcontext context, CUevent event) {
    struct CUevent_st copy;
    if (event_get(event, &copy)) return CUDA_ERROR_INVALID_HANDLE;
    if (!context_known(context)) return CUDA_ERROR_INVALID_CONTEXT;
    if (copy.context != context) return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = capture_forbids_wait(context, NULL);
    if (result) return result;
    pthread_mutex_lock(&mutex);
    event->stream = NULL;
    event->whole = 1;
    event->capture = 0;
    event->number = streams_last();
    pthread_mutex_unlock(&mutex);
    return CUDA_SUCCESS;
}

static CUresult event_get_to_wait(CUevent handle, struct CUevent_st *copy, CUresult where_captured) {
    if (event_get(handle, copy)) return CUDA_ERROR_INVALID_HANDLE;
    return copy->capture ? where_captured : capture_forbids();
}

CUresult do_cuEventQuery(CUevent event) {
    struct CUevent_st copy;
    CUresult result = event_get_to_wait(event, &copy, CUDA_ERROR_CAPTURED_EVENT);
    if (result) return result;
    int done = copy.whole ? streams_done(copy.context, copy.number) : !copy.stream || op_done(copy.stream, copy.number);
    return done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult do_cuEventSynchronize(CUevent event) {
    struct CUevent_st copy;
    CUresult result = event_get_to_wait(event, &copy, CUDA_ERROR_INVALID_VALUE);
    if (result) return result;
    if (copy.whole) streams_wait_until(copy.context, copy.number);
    if (copy.stream) op_wait(copy.stream, copy.number);
    pools_settle();
    return CUDA_SUCCESS;
}

CUresult do_cuStreamWaitEvent(CUstream handle, CUevent event, unsigned flags) {
    CUstream stream;
    struct CUevent_st copy;
    if (flags) return CUDA_ERROR_INVALID_VALUE;
    if (event_get(event, &copy)) return CUDA_ERROR_INVALID_HANDLE;
    CUresult result = stream_find(handle, &stream);
    if (result || (!copy.stream && !copy.whole)) return result;
    if (copy.whole) return CUDA_ERROR_NOT_SUPPORTED; /* not simulated */
    if (copy.capture || capture_active(stream)) return capture_join(stream, copy.capture, copy.stream, copy.number);
    struct op *op = op_new(stream, NULL);
    op->wait_stream = copy.stream;
    op->wait_number = copy.number;
    op->prompt = 1;
    op_submit(op, stream);
    return CUDA_SUCCESS;
}

CUresult do_cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) {
    struct CUevent_st a, b;
    if (!milliseconds) return CUDA_ERROR_INVALID_VALUE;
    if (event_get(start, &a) || event_get(end, &b) || !a.stream || !b.stream) return CUDA_ERROR_INVALID_HANDLE;
    if (a.capture || b.capture) return CUDA_ERROR_CAPTURED_EVENT;
    if ((a.flags | b.flags) & CU_EVENT_DISABLE_TIMING) return CUDA_ERROR_INVALID_HANDLE;
    if (!op_done(a.stream, a.number) || !op_done(b.stream, b.number)) return CUDA_ERROR_NOT_READY;
    if (event_get(start, &a) || event_get(end, &b)) return CUDA_ERROR_INVALID_HANDLE; /* stamped by now */
    *milliseconds = (float)(b.milliseconds - a.milliseconds);
    return CUDA_SUCCESS;
}
