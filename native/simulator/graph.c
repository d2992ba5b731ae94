/* Streams that record what they are given, and graphs, which give it to a stream again. */
#include "queue.h"

#include <stdlib.h>

struct capture { /* under queue_mutex, as all that streams tell of it */
    uint64_t id;
    CUstream origin; /* others join by waiting for its events */
    const void *thread;
    CUstreamCaptureMode mode;
    int invalid;
    struct op *first, *last;
    uint64_t count;
};

static _Thread_local CUstreamCaptureMode thread_mode; /* its address is the thread's name */
static uint64_t last_id;

static void discard(struct op *op) {
    while (op) {
        struct op *next = op->next;
        free(op->staged);
        free(op);
        op = next;
    }
}

void capture_take(CUstream stream, struct op *op) {
    struct capture *c = stream->capture;
    stream->recorded = ++c->count;
    if (c->invalid || !op->run) return discard(op);
    if (c->last) c->last->next = op;
    else c->first = op;
    c->last = op;
}

static struct op *end(struct capture *c) {
    struct op *ops = c->first;
    for (CUstream s = streams; s; s = s->next)
        if (s->capture == c) s->capture = NULL;
    free(c);
    return ops;
}

void capture_leave(CUstream stream) {
    if (stream->capture && stream->capture->origin == stream) discard(end(stream->capture));
    stream->capture = NULL;
}

static CUresult refuse(struct capture *c, CUresult result) {
    c->invalid = 1;
    return result;
}

static struct capture *implied_by(CUstream stream) {
    for (CUstream s = streams; s; s = s->next)
        if (stream->standard && s->context == stream->context && stream_blocks(s) && s->capture) return s->capture;
    return NULL;
}

CUresult capture_check(CUstream stream) {
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&queue_mutex);
    struct capture *implied = implied_by(stream);
    if (stream->capture && stream->capture->invalid) result = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (implied) result = refuse(implied, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    pthread_mutex_unlock(&queue_mutex);
    return result;
}

int capture_active(CUstream stream) {
    pthread_mutex_lock(&queue_mutex);
    int active = stream->capture != NULL;
    pthread_mutex_unlock(&queue_mutex);
    return active;
}

static int forbids(const struct capture *c) {
    if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED) return 0;
    if (c->thread == &thread_mode) return c->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    return c->mode == CU_STREAM_CAPTURE_MODE_GLOBAL && thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
}

CUresult capture_forbids(void) {
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&queue_mutex);
    for (CUstream s = streams; s; s = s->next)
        if (s->capture && forbids(s->capture)) result = refuse(s->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    pthread_mutex_unlock(&queue_mutex);
    return result;
}

CUresult capture_forbids_wait(CUcontext context, CUstream stream) {
    CUresult result = CUDA_SUCCESS;
    pthread_mutex_lock(&queue_mutex);
    for (CUstream s = streams; s; s = s->next)
        if (s->capture && s->context == context && (!stream || s == stream)) result = refuse(s->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    pthread_mutex_unlock(&queue_mutex);
    return result;
}

uint64_t capture_of(CUstream stream, uint64_t *number) {
    pthread_mutex_lock(&queue_mutex);
    uint64_t id = stream->capture ? stream->capture->id : 0;
    if (id) *number = stream->recorded;
    pthread_mutex_unlock(&queue_mutex);
    return id;
}

static struct capture *capture_with(uint64_t id) {
    for (CUstream s = streams; s; s = s->next)
        if (s->capture && s->capture->id == id) return s->capture;
    return NULL;
}

static CUresult join(CUstream stream, struct capture *c, CUstream from, uint64_t number) {
    if (!c) return CUDA_ERROR_CAPTURED_EVENT;
    if (stream->capture && stream->capture != c) return refuse(c, refuse(stream->capture, CUDA_ERROR_STREAM_CAPTURE_MERGE));
    if (stream->standard) return refuse(c, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    if (!stream->capture) {
        stream->capture = c;
        stream->recorded = ++c->count;
        stream->joined = 0;
    }
    if (from != stream && from->capture == c && from->recorded == number) from->joined = number;
    return CUDA_SUCCESS;
}

CUresult capture_join(CUstream stream, uint64_t id, CUstream from, uint64_t number) {
    pthread_mutex_lock(&queue_mutex);
    CUresult result = CUDA_SUCCESS;
    if (id) result = join(stream, capture_with(id), from, number);
    else if (stream->capture) result = refuse(stream->capture, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    pthread_mutex_unlock(&queue_mutex);
    return result;
}

CUresult do_cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
    if (!mode) return CUDA_ERROR_INVALID_VALUE; /* what it says is not looked at */
    CUstreamCaptureMode before = thread_mode;
    thread_mode = *mode;
    *mode = before;
    return CUDA_SUCCESS;
}

static CUresult begin(CUstream stream, CUstreamCaptureMode mode) {
    if (stream->standard) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
    struct capture *c = calloc(1, sizeof *c);
    if (!c) return CUDA_ERROR_OUT_OF_MEMORY;
    *c = (struct capture){.id = ++last_id, .origin = stream, .thread = &thread_mode, .mode = mode};
    stream->capture = c;
    stream->recorded = 0;
    return CUDA_SUCCESS;
}

CUresult do_cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
    CUstream stream;
    if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = stream_resolve(handle, &stream);
    if (result) return result;
    pthread_mutex_lock(&queue_mutex);
    result = begin(stream, mode);
    pthread_mutex_unlock(&queue_mutex);
    return result;
}

CUresult do_cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
    CUstream stream;
    if (!status) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = stream_resolve(handle, &stream);
    if (result) return result;
    pthread_mutex_lock(&queue_mutex);
    if (implied_by(stream)) result = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (!stream->capture) *status = CU_STREAM_CAPTURE_STATUS_NONE;
    else *status = stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    pthread_mutex_unlock(&queue_mutex);
    return result;
}

static int unjoined(const struct capture *c) {
    for (CUstream s = streams; s; s = s->next)
        if (s->capture == c && s != c->origin && s->joined != s->recorded) return 1;
    return 0;
}

static CUresult outcome(const struct capture *c) {
    if (c->mode != CU_STREAM_CAPTURE_MODE_RELAXED && c->thread != &thread_mode) return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    return c->invalid ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : unjoined(c) ? CUDA_ERROR_STREAM_CAPTURE_UNJOINED : CUDA_SUCCESS;
}

/* In its own stream a capture ends, even by the wrong thread; in another it goes on, and is invalid. */
static CUresult finish(CUstream stream, struct op **ops) {
    struct capture *c = stream->capture;
    if (!c) return CUDA_ERROR_ILLEGAL_STATE;
    if (c->origin != stream) return refuse(c, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    CUresult result = outcome(c);
    *ops = end(c);
    return result;
}

struct recording { /* a graph, or what is made of one to be launched */
    struct recording *next;
    struct op *ops;
    int executable;
    CUstream stream; /* of the last launch: the next one waits for it */
    uint64_t number;
};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* taken before the queue's */
static struct recording *recordings;

static void *record(struct op *ops, int executable) {
    struct recording *r = calloc(1, sizeof *r);
    if (!r) return discard(ops), NULL;
    r->ops = ops;
    r->executable = executable;
    pthread_mutex_lock(&mutex);
    r->next = recordings;
    recordings = r;
    pthread_mutex_unlock(&mutex);
    return r;
}

/* With the mutex held. */
static struct recording **place(const void *handle, int executable) {
    struct recording **link = &recordings;
    while (*link && (*link != handle || (*link)->executable != executable)) link = &(*link)->next;
    return link;
}

static CUresult drop(const void *handle, int executable) {
    pthread_mutex_lock(&mutex);
    struct recording **link = place(handle, executable), *found = *link;
    if (found) *link = found->next;
    pthread_mutex_unlock(&mutex);
    if (!found) return CUDA_ERROR_INVALID_VALUE;
    discard(found->ops);
    free(found);
    return CUDA_SUCCESS;
}

CUresult do_cuStreamEndCapture(CUstream handle, CUgraph *graph) {
    CUstream stream;
    struct op *ops = NULL;
    if (!graph) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = stream_resolve(handle, &stream);
    if (result) return result;
    *graph = NULL;
    pthread_mutex_lock(&queue_mutex);
    result = finish(stream, &ops);
    pthread_mutex_unlock(&queue_mutex);
    if (result) return discard(ops), result;
    *graph = record(ops, 0);
    return *graph ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static struct op *again(const struct op *op, CUstream stream) {
    struct op *copy = op_new(stream, op->run);
    *copy = *op;
    copy->next = NULL;
    copy->stream = stream;
    copy->context = stream->context;
    return copy;
}

static struct op *copies(const struct op *ops) {
    struct op *first = NULL, **link = &first;
    for (; ops; ops = ops->next) {
        *link = again(ops, ops->stream);
        link = &(*link)->next;
    }
    return first;
}

static CUresult check(const struct op *ops) {
    CUresult result = CUDA_SUCCESS;
    for (; ops && !result; ops = ops->next) result = op_check(ops);
    return result;
}

CUresult do_cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long flags) {
    if (!executable || flags > 15) return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&mutex);
    struct recording *found = *place(graph, 0);
    CUresult result = found ? check(found->ops) : CUDA_ERROR_INVALID_VALUE;
    struct op *ops = result ? NULL : copies(found->ops);
    pthread_mutex_unlock(&mutex);
    if (result) return result;
    *executable = record(ops, 1);
    return *executable ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static void launch(struct recording *r, CUstream stream) {
    struct op *wait = op_new(stream, NULL);
    wait->wait_stream = r->stream;
    wait->wait_number = r->number;
    wait->prompt = 1;
    uint64_t number = op_submit(wait, stream);
    for (const struct op *op = r->ops; op; op = op->next) number = op_submit(again(op, stream), stream);
    r->stream = stream;
    r->number = number;
}

CUresult do_cuGraphLaunch(CUgraphExec executable, CUstream handle) {
    CUstream stream;
    CUresult result = stream_find(handle, &stream);
    if (!result) result = capture_forbids_wait(stream->context, stream); /* no graph becomes part of a capture */
    if (result) return result;
    pthread_mutex_lock(&mutex);
    struct recording *found = *place(executable, 1);
    if (found) launch(found, stream);
    pthread_mutex_unlock(&mutex);
    return found ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuGraphDestroy(CUgraph graph) { return drop(graph, 0); }
CUresult do_cuGraphExecDestroy(CUgraphExec executable) { return drop(executable, 1); }
