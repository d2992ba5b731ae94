#include "queue.h"

#include <stdlib.h>

_Thread_local int null_is_per_thread;

/* The address of the byte is the thread's name while it lives; the key tells of its end. */
static _Thread_local char self;
static pthread_key_t ended;
static void thread_ended(void *thread) { streams_disown(thread); }
static void make_key(void) { pthread_key_create(&ended, thread_ended); }

CUstream stream_own(CUcontext context) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CUstream stream = stream_owned(context, &self);
    if (stream || !(stream = stream_open(context, CU_STREAM_DEFAULT))) return stream;
    pthread_once(&once, make_key);
    pthread_setspecific(ended, &self);
    pthread_mutex_lock(&queue_mutex);
    stream->owner = &self;
    pthread_mutex_unlock(&queue_mutex);
    return stream;
}

int stream_is_handle(CUstream handle) { return handle && handle != CU_STREAM_LEGACY && handle != CU_STREAM_PER_THREAD; }

CUresult do_cuStreamCreate(CUstream *stream, unsigned flags) {
    if (!stream || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
    CUstream created = stream_open(context_current(), flags);
    if (!created) return CUDA_ERROR_OUT_OF_MEMORY;
    *stream = created;
    return CUDA_SUCCESS;
}

CUresult do_cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
    (void)priority; /* nothing here competes */
    return do_cuStreamCreate(stream, flags);
}

CUresult do_cuStreamDestroy_v2(CUstream handle) {
    CUstream stream;
    if (!stream_is_handle(handle) || stream_resolve(handle, &stream)) return CUDA_ERROR_INVALID_HANDLE;
    stream_close(stream);
    return CUDA_SUCCESS;
}

static CUresult find_to_wait(CUstream handle, CUstream *stream) {
    CUresult result = stream_find(handle, stream);
    return result ? result : capture_forbids_wait((*stream)->context, *stream);
}

CUresult do_cuStreamSynchronize(CUstream handle) {
    CUstream stream;
    CUresult result = find_to_wait(handle, &stream);
    if (result) return result;
    if (stream->standard) op_perform(op_new(stream, NULL), stream); /* takes the blocking streams along */
    else op_wait(stream, stream_last(stream));
    pools_settle();
    return (CUresult)atomic_load(&stream->context->sticky);
}

CUresult do_cuStreamQuery(CUstream handle) {
    CUstream stream;
    CUresult result = find_to_wait(handle, &stream);
    if (result) return result;
    if (!op_done(stream, UINT64_MAX)) return CUDA_ERROR_NOT_READY;
    return (CUresult)atomic_load(&stream->context->sticky);
}

/* A capture does not survive the question. Seen with drivers 580, but not what is answered. */
CUresult do_cuStreamGetFlags(CUstream handle, unsigned *flags) {
    CUstream stream;
    if (!flags) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = stream_resolve(handle, &stream);
    if (!result) result = capture_forbids_wait(stream->context, stream);
    if (result) return result;
    *flags = stream->flags;
    return CUDA_SUCCESS;
}

CUresult do_cuStreamGetCtx(CUstream handle, CUcontext *context) {
    CUstream stream;
    if (!context) return CUDA_ERROR_INVALID_VALUE;
    CUresult result = stream_resolve(handle, &stream);
    if (result) return result;
    *context = stream->context;
    return CUDA_SUCCESS;
}

static void call_back(struct op *op) {
    in_host_function = 1;
    if (op->callback) op->callback(op->stream, (CUresult)atomic_load(&op->context->sticky), op->pointer);
    else op->function(op->pointer);
    in_host_function = 0;
}

static CUresult submit_call(CUstream handle, CUstreamCallback callback, CUhostFn function, void *data) {
    CUstream stream;
    CUresult result = stream_find(handle, &stream);
    if (!result && callback) result = capture_forbids_wait(stream->context, stream); /* only host functions are captured */
    if (result) return result;
    struct op *op = op_new(stream, call_back);
    op->callback = callback;
    op->function = function;
    op->pointer = data;
    op->stream = handle;
    op_submit(op, stream);
    return CUDA_SUCCESS;
}

CUresult do_cuStreamAddCallback(CUstream stream, CUstreamCallback callback, void *data, unsigned flags) {
    if (!callback || flags) return CUDA_ERROR_INVALID_VALUE;
    return submit_call(stream, callback, NULL, data);
}

CUresult do_cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data) {
    if (!function) return CUDA_ERROR_INVALID_VALUE;
    return submit_call(stream, NULL, function, data);
}
