#define _GNU_SOURCE
#include "gate.h"
#include "capture.h"
#include "contexts.h"
#include "order.h"
#include "statistics.h"
#include "threads.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

/* A context that does not become idle keeps whoever waits for it, so that is a thread of its own. It stays: each thread that calls
 * the driver costs memory there. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int started, waiting; /* waiting: it is to wait, and has not done so yet */
static _Atomic int wanted; /* somebody still wants to know: the next context may have begun a capture otherwise, which waiting would spoil */
static CUresult found;
static _Atomic int called_off;
enum { LOOK_NS = 10000000, FIRST_WINDOW_NS = 100000000 };

static void init(void) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
}

static CUresult wait_for(CUcontext context) {
    CUresult result = driver()->cuCtxSetCurrent(context);
    if (!result) result = driver()->cuCtxSynchronize();
    return result == CUDA_ERROR_INVALID_CONTEXT || result == CUDA_ERROR_CONTEXT_IS_DESTROYED ? CUDA_SUCCESS : result;
}

static CUresult wait_for_all(void) {
    CUcontext list[MAX_CONTEXTS];
    CUresult result = CUDA_SUCCESS;
    int count = contexts_list(list);
    for (int i = 0; i < count && !result && atomic_load(&wanted); i++) result = wait_for(list[i]);
    driver()->cuCtxSetCurrent(NULL);
    return result;
}

static void *drain_main(void *nothing) {
    CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
    thread_name("torpor-drain");
    driver()->cuThreadExchangeStreamCaptureMode(&relaxed);
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (!waiting) pthread_cond_wait(&changed, &mutex);
        pthread_mutex_unlock(&mutex);
        CUresult result = wait_for_all();
        pthread_mutex_lock(&mutex);
        found = result;
        waiting = 0;
        pthread_cond_broadcast(&changed);
    }
    return nothing;
}

static int is_over(uint64_t until) { return atomic_load(&called_off) || clock_ns() >= until; }

/* Soon enough to look whether it is called off. */
static uint64_t look_at(uint64_t until) {
    uint64_t soon = clock_ns() + LOOK_NS;
    return soon < until ? soon : until;
}

/* With the mutex. 0: it still waits. */
static int await_waiter(uint64_t until) {
    while (waiting) {
        uint64_t next = look_at(until);
        struct timespec at = {(time_t)(next / 1000000000), (long)(next % 1000000000)};
        if (pthread_cond_timedwait(&changed, &mutex, &at) == ETIMEDOUT && waiting && is_over(until)) return 0;
    }
    return 1;
}

static int await_order(int (*await)(uint64_t until), uint64_t until) {
    while (!await(look_at(until)))
        if (is_over(until)) return 0;
    return 1;
}

static enum drained drain(uint64_t until, CUresult *error) {
    pthread_once(&once, init);
    pthread_mutex_lock(&mutex);
    int done = await_waiter(until); /* of an earlier time */
    if (!started) started = thread_start(drain_main, NULL);
    found = CUDA_ERROR_OPERATING_SYSTEM;
    if (done && started) {
        waiting = 1;
        atomic_store(&wanted, 1);
        pthread_cond_broadcast(&changed);
        done = await_waiter(until);
        atomic_store(&wanted, 0);
    }
    int without = done && !started;
    *error = done ? found : CUDA_SUCCESS;
    pthread_mutex_unlock(&mutex);
    if (without) return GATE_NO_THREAD;
    return !done ? GATE_BUSY : *error ? GATE_FAILED : GATE_CLOSED;
}

/* First launches wait, as a kernel that runs may need a copy to end; then everything. */
static enum drained close_all(uint64_t until, CUresult *error) {
    order_close(GATE_LAUNCHES);
    if (!await_order(order_await_captures, until)) return GATE_BUSY;
    if (capturing()) return GATE_CAPTURE;
    enum drained drained = drain(until, error);
    if (drained != GATE_CLOSED) return drained;
    order_close(GATE_ALL);
    if (!await_order(order_await_out, until)) return GATE_BUSY;
    return drain(until, error);
}

/* Of a time in which the gate is open. */
static void await_end(uint64_t until) {
    static const struct timespec nap = {0, LOOK_NS};
    while (!is_over(until)) nanosleep(&nap, NULL);
}

/* Work that takes longer than a window is waited for with the gate open as long as it was closed before; the windows double, as what
 * has been given to the GPU ahead may take long, too. */
enum drained gate_close(uint64_t nanoseconds, CUresult *error) {
    uint64_t until = clock_ns() + nanoseconds, window = FIRST_WINDOW_NS;
    if (capturing()) return GATE_CAPTURE;
    for (;; window *= 2) {
        uint64_t now = clock_ns(), left = until > now ? until - now : 0;
        enum drained drained = close_all(now + (left > 2 * window ? window : left), error);
        if (drained == GATE_CLOSED && !atomic_load(&called_off)) return GATE_CLOSED;
        order_open();
        if (atomic_load(&called_off)) return GATE_CALLED_OFF;
        if (drained != GATE_BUSY || clock_ns() >= until) return drained;
        await_end(clock_ns() + window < until ? clock_ns() + window : until);
    }
}

void gate_call_off(int off) { atomic_store(&called_off, off); }

int gate_close_at_once(uint64_t nanoseconds) {
    order_close(GATE_ALL);
    if (order_await_out(clock_ns() + nanoseconds)) return 1;
    order_open();
    return 0;
}

void gate_open(void) { order_open(); }

/* The thread that waited is the parent's. */
void gate_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
    waiting = started = 0;
    init();
}
