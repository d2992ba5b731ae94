#include "capture.h"
#include "order.h"
#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* The streams in which captures began. Others that join a capture do not count: they neither end it nor take it along. */
static struct origin {
    struct origin *next;
    CUstream stream;
    const void *thread; /* NULL, but for a thread's own stream */
    CUcontext context;
} *origins;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int captures;
static pthread_rwlock_t beginning = PTHREAD_RWLOCK_INITIALIZER; /* to write: by who begins a capture; taken after the order's */
static _Thread_local char self; /* its address is the thread's name */

int capturing(void) { return atomic_load(&captures) > 0; }

static const void *thread_of(CUstream stream) { return stream == CU_STREAM_PER_THREAD ? &self : NULL; }

static int begun_in(const struct origin *o, CUstream stream, CUcontext context) {
    return context ? o->context == context : o->stream == stream && o->thread == thread_of(stream);
}

int capture_hold_off(void) {
    pthread_rwlock_rdlock(&beginning);
    if (!capturing()) return 1;
    pthread_rwlock_unlock(&beginning);
    return 0;
}

void capture_release(void) { pthread_rwlock_unlock(&beginning); }

/* Whoever had them is gone, and so are the captures. */
void capture_after_fork(void) {
    static const pthread_rwlock_t nobody_begins = PTHREAD_RWLOCK_INITIALIZER;
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    beginning = nobody_begins;
    mutex = unlocked;
    origins = NULL;
    atomic_store(&captures, 0);
}

/* Of a stream, or all of a context. */
static void forget(CUstream stream, CUcontext context) {
    pthread_mutex_lock(&mutex);
    for (struct origin **link = &origins; *link;) {
        struct origin *o = *link;
        if (!begun_in(o, stream, context)) { link = &o->next; continue; }
        *link = o->next;
        free(o);
        atomic_fetch_sub(&captures, 1);
    }
    pthread_mutex_unlock(&mutex);
}

/* Its own stream goes with a thread, and nobody else can end what it captures. */
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void thread_ended(void *thread) {
    (void)thread; /* it is the one that runs this */
    forget(CU_STREAM_PER_THREAD, NULL);
}

static void make_key(void) { pthread_key_create(&key, thread_ended); }

static void watch_thread(void) {
    pthread_once(&once, make_key);
    pthread_setspecific(key, &self);
}

static void remember(CUstream stream) {
    CUcontext context = NULL;
    struct origin *o = malloc(sizeof *o);
    if (!o || !driver()->cuCtxGetCurrent || driver()->cuCtxGetCurrent(&context)) return free(o);
    forget(stream, NULL); /* a handle may come again */
    if (thread_of(stream)) watch_thread();
    pthread_mutex_lock(&mutex);
    *o = (struct origin){origins, stream, thread_of(stream), context};
    origins = o;
    atomic_fetch_add(&captures, 1);
    pthread_mutex_unlock(&mutex);
}

void capture_context_gone(CUcontext context) {
    if (context && capturing()) forget(NULL, context);
}

static CUresult begun(CUresult result, CUstream stream, struct giving *giving, int cancellation) {
    if (!result) remember(stream);
    pthread_rwlock_unlock(&beginning);
    pthread_setcancelstate(cancellation, NULL);
    order_leave(giving);
    return result;
}

static int captures_now(CUstream stream) {
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    const struct driver *d = driver();
    return d->complete && !d->cuStreamIsCapturing(stream, &status) && status != CU_STREAM_CAPTURE_STATUS_NONE;
}

/* Some errors end a capture and others do not, so the stream is asked. */
static CUresult end(CUresult result, CUstream stream) {
    if (!captures_now(stream)) forget(stream, NULL);
    return result;
}

#define BEGIN(name, standard, parameters, arguments) \
    EXPORT CUresult name parameters { \
        if (!driver()) return CUDA_ERROR_NOT_INITIALIZED; \
        int cancellation; \
        struct giving *giving = order_enter(GIVING_CAPTURE, GATE_LAUNCHES); \
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellation); \
        pthread_rwlock_wrlock(&beginning); \
        return begun(driver()->name arguments, stream ? stream : standard, giving, cancellation); \
    }
#define BEGIN_BOTH(name, parameters, arguments) \
    BEGIN(name, CU_STREAM_LEGACY, parameters, arguments) BEGIN(name##_ptsz, CU_STREAM_PER_THREAD, parameters, arguments)
#define END(name, standard) \
    EXPORT CUresult name(CUstream stream, CUgraph *graph) { \
        return driver() ? end(driver()->name(stream, graph), stream ? stream : standard) : CUDA_ERROR_NOT_INITIALIZED; \
    }

BEGIN_BOTH(cuStreamBeginCapture, (CUstream stream), (stream))
BEGIN_BOTH(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode), (stream, mode))
BEGIN_BOTH(cuStreamBeginCaptureToGraph, (CUstream stream, CUgraph graph, const void *dependencies, const void *data, size_t count, CUstreamCaptureMode mode),
           (stream, graph, dependencies, data, count, mode))
BEGIN_BOTH(cuStreamBeginRecaptureToGraph, (CUstream stream, CUstreamCaptureMode mode, CUgraph graph, void *callback, void *data), (stream, mode, graph, callback, data))
END(cuStreamEndCapture, CU_STREAM_LEGACY)
END(cuStreamEndCapture_ptsz, CU_STREAM_PER_THREAD)

/* A stream that is destroyed takes its capture along. Forgotten before its handle can be somebody else's. */
#define DESTROY(name) \
    EXPORT CUresult name(CUstream stream) { \
        const struct driver *d = driver(); \
        if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
        if (capturing()) forget(stream, NULL); \
        pools_stream_gone(stream); \
        return d->name(stream); \
    }
DESTROY(cuStreamDestroy)
DESTROY(cuStreamDestroy_v2)
