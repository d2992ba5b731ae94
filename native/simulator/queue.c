/* Streams: a queue and a thread each. Numbers of submission order the NULL stream against the blocking ones. */
#define _GNU_SOURCE
#include "queue.h"

#include <stdlib.h>
#include <time.h>

pthread_mutex_t queue_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER;
CUstream streams;
static uint64_t last_number;

static int finished_up_to(CUstream stream, uint64_t number) { return !stream->head || stream->head->number > number; }

int stream_blocks(CUstream stream) { return !stream->standard && !(stream->flags & CU_STREAM_NON_BLOCKING); }

/* The legacy rule: the NULL stream waits for what blocking streams were given before, and they for it. */
static int legacy_order_allows(CUstream stream, uint64_t number) {
    if (!stream->standard && !stream_blocks(stream)) return 1;
    for (CUstream other = streams; other; other = other->next) {
        if (other == stream || other->context != stream->context) continue;
        if (stream->standard ? !stream_blocks(other) : !other->standard) continue;
        if (!finished_up_to(other, number)) return 0;
    }
    return 1;
}

static int runnable(CUstream stream) {
    struct op *op = stream->head;
    if (!op) return 0;
    if (op->wait_stream && !finished_up_to(op->wait_stream, op->wait_number)) return 0;
    return legacy_order_allows(stream, op->number);
}

static void sleep_us(long us) {
    struct timespec time = {us / 1000000, us % 1000000 * 1000};
    while (us > 0 && nanosleep(&time, &time)) {}
}

static void wake_all(void) {
    for (CUstream s = streams; s; s = s->next)
        if (s->head) pthread_cond_signal(&s->changed);
    pthread_cond_broadcast(&finished);
}

static void finish_head(CUstream stream) {
    struct op *op = stream->head;
    stream->head = op->next;
    if (!stream->head) stream->tail = NULL;
    free(op->staged);
    free(op);
    wake_all();
}

static void *work(void *argument) {
    CUstream stream = argument;
    pthread_mutex_lock(&queue_mutex);
    for (;;) {
        while (!runnable(stream)) pthread_cond_wait(&stream->changed, &queue_mutex);
        struct op *op = stream->head;
        int prompt = op->prompt;
        pthread_mutex_unlock(&queue_mutex);
        if (!prompt) sleep_us(driver.delay_us);
        if (op->run) op->run(op);
        pthread_mutex_lock(&queue_mutex);
        finish_head(stream);
    }
    return NULL;
}

static CUstream unused(void) {
    for (CUstream s = streams; s; s = s->next)
        if (!s->alive && !s->head) return s;
    CUstream s = calloc(1, sizeof *s);
    if (!s) return NULL;
    pthread_cond_init(&s->changed, NULL);
    s->next = streams;
    return streams = s;
}

CUstream stream_open(CUcontext context, unsigned flags) {
    pthread_mutex_lock(&queue_mutex);
    CUstream s = unused();
    if (s && !s->started) s->started = thread_start(work, s);
    if (s && !s->started) s = NULL;
    if (s) {
        s->context = context;
        s->flags = flags;
        s->alive = 1;
        s->standard = 0;
        s->owner = NULL;
    }
    pthread_mutex_unlock(&queue_mutex);
    return s;
}

void stream_make_standard(CUstream stream) {
    pthread_mutex_lock(&queue_mutex);
    stream->standard = 1;
    pthread_mutex_unlock(&queue_mutex);
}

CUresult stream_resolve(CUstream handle, CUstream *stream) {
    CUcontext context = context_current();
    *stream = context->standard;
    if (handle == CU_STREAM_PER_THREAD || (!handle && null_is_per_thread)) {
        *stream = stream_own(context);
        return *stream ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (!stream_is_handle(handle)) return CUDA_SUCCESS;
    CUresult result = CUDA_ERROR_INVALID_HANDLE;
    pthread_mutex_lock(&queue_mutex);
    for (CUstream s = streams; s; s = s->next)
        if (s == handle && s->alive && !s->standard) *stream = s, result = CUDA_SUCCESS;
    pthread_mutex_unlock(&queue_mutex);
    return result;
}

CUresult stream_find(CUstream handle, CUstream *stream) {
    CUresult result = stream_resolve(handle, stream);
    return result ? result : capture_check(*stream);
}

CUstream stream_owned(CUcontext context, const void *owner) {
    CUstream found = NULL;
    pthread_mutex_lock(&queue_mutex);
    for (CUstream s = streams; s; s = s->next)
        if (s->alive && s->owner == owner && s->context == context) found = s;
    pthread_mutex_unlock(&queue_mutex);
    return found;
}

static void close_stream(CUstream stream) {
    capture_leave(stream);
    stream->owner = NULL;
    stream->alive = 0; /* what it was given still runs */
}

void stream_close(CUstream stream) {
    pthread_mutex_lock(&queue_mutex);
    close_stream(stream);
    pthread_mutex_unlock(&queue_mutex);
}

void streams_disown(const void *owner) {
    pthread_mutex_lock(&queue_mutex);
    for (CUstream s = streams; s; s = s->next)
        if (s->owner == owner) close_stream(s);
    pthread_mutex_unlock(&queue_mutex);
}

struct op *op_new(CUstream stream, void (*run)(struct op *)) {
    struct op *op = calloc(1, sizeof *op);
    if (!op) abort();
    op->run = run;
    op->stream = stream;
    op->context = stream->context;
    return op;
}

uint64_t op_submit(struct op *op, CUstream stream) {
    pthread_mutex_lock(&queue_mutex);
    if (stream->capture) {
        capture_take(stream, op);
        pthread_mutex_unlock(&queue_mutex);
        return 0;
    }
    uint64_t number = op->number = ++last_number;
    if (stream->tail) stream->tail->next = op;
    else stream->head = op;
    stream->tail = op;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&queue_mutex);
    return number;
}

uint64_t stream_last(CUstream stream) {
    pthread_mutex_lock(&queue_mutex);
    uint64_t number = stream->tail ? stream->tail->number : 0;
    pthread_mutex_unlock(&queue_mutex);
    return number;
}

void op_wait(CUstream stream, uint64_t number) {
    pthread_mutex_lock(&queue_mutex);
    while (!finished_up_to(stream, number)) pthread_cond_wait(&finished, &queue_mutex);
    pthread_mutex_unlock(&queue_mutex);
}

int op_done(CUstream stream, uint64_t number) {
    pthread_mutex_lock(&queue_mutex);
    int done = finished_up_to(stream, number);
    pthread_mutex_unlock(&queue_mutex);
    return done;
}

CUresult op_perform(struct op *op, CUstream stream) {
    CUcontext context = stream->context;
    op->prompt = 1;
    op_wait(stream, op_submit(op, stream));
    return (CUresult)atomic_load(&context->sticky);
}

void op_failed(struct op *op, CUresult error) {
    int none = CUDA_SUCCESS;
    atomic_compare_exchange_strong(&op->context->sticky, &none, (int)error);
}

static int all_finished(CUcontext context, uint64_t number) {
    for (CUstream s = streams; s; s = s->next)
        if ((!context || s->context == context) && !finished_up_to(s, number)) return 0;
    return 1;
}

uint64_t streams_last(void) {
    pthread_mutex_lock(&queue_mutex);
    uint64_t number = last_number;
    pthread_mutex_unlock(&queue_mutex);
    return number;
}

int streams_done(CUcontext context, uint64_t number) {
    pthread_mutex_lock(&queue_mutex);
    int done = all_finished(context, number);
    pthread_mutex_unlock(&queue_mutex);
    return done;
}

void streams_wait_until(CUcontext context, uint64_t number) {
    pthread_mutex_lock(&queue_mutex);
    while (!all_finished(context, number)) pthread_cond_wait(&finished, &queue_mutex);
    pthread_mutex_unlock(&queue_mutex);
}

void streams_wait(CUcontext context) { streams_wait_until(context, streams_last()); }

int streams_idle(void) {
    pthread_mutex_lock(&queue_mutex);
    int idle = all_finished(NULL, UINT64_MAX);
    pthread_mutex_unlock(&queue_mutex);
    return idle;
}

void streams_close(CUcontext context) {
    streams_wait(context);
    pthread_mutex_lock(&queue_mutex);
    for (CUstream s = streams; s; s = s->next)
        if (s->context == context) close_stream(s);
    pthread_mutex_unlock(&queue_mutex);
}
