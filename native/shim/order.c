#define _GNU_SOURCE
#include "order.h"
#include "capture.h"
#include "statistics.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_HOLDS = 64 };
static const uint64_t patience_ns = 5000000; /* a call that takes longer waits for the GPU */

static _Atomic(struct giving *) givings; /* never freed: those of ended threads are used again */
static struct giving nobodys = {.stream = GIVING_NOTHING}; /* of threads for which there is no memory: they go unordered */
static _Thread_local struct giving *mine __attribute__((tls_model("initial-exec")));
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct hold { CUcontext context; CUstream stream; pthread_t thread; int blocking, used; } holds[MAX_HOLDS];
_Atomic int order_holds;
static _Atomic int gate; /* enum gate; written with the mutex */
static struct giving *keeper; /* of the thread that every gate lets through; with the mutex */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of the holds and the gate */
static _Atomic uint32_t releases; /* so many: of holds and of the gate */
static _Atomic int sleepers;

/* What the thread still calls, at the end of something else of its own, gets another. */
static void thread_ended(void *ended) {
    struct giving *g = ended;
    mine = NULL;
    atomic_store(&g->stream, GIVING_NOTHING); /* where it was cancelled, it is no more */
    g->memory_calls = g->within = 0;
    atomic_store(&g->owned, 0);
}

static void make_key(void) { pthread_key_create(&key, thread_ended); }

static struct giving *unused(void) {
    for (struct giving *g = atomic_load(&givings); g; g = g->next) {
        int nobody = 0;
        if (atomic_compare_exchange_strong(&g->owned, &nobody, 1)) return g;
    }
    struct giving *g = aligned_alloc(_Alignof(struct giving), sizeof *g);
    if (!g) return &nobodys;
    *g = (struct giving){.next = atomic_load(&givings), .stream = GIVING_NOTHING, .owned = 1};
    while (!atomic_compare_exchange_weak(&givings, &g->next, g)) {}
    return g;
}

struct giving *order_mine(void) {
    if (mine) return mine;
    pthread_once(&once, make_key);
    mine = unused();
    if (mine != &nobodys) pthread_setspecific(key, mine);
    return mine;
}

static int is_blocking(CUstream stream) {
    unsigned flags = 0;
    if (stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD) return 1;
    return driver()->cuStreamGetFlags(stream, &flags) || !(flags & CU_STREAM_NON_BLOCKING);
}

/* What a thread is about to give. */
struct work {
    CUcontext context;
    CUstream stream;
    int recorded; /* it does not run now, and a stream that captures is best not asked anything else */
    enum { NO, YES, NOT_ASKED } blocking;
};

/* Whether the work, given by this thread, and the hold's copy are ordered by CUDA. NOT_ASKED: that depends on the stream. */
static int concerns(const struct hold *hold, const struct work *w) {
    if (!hold->used) return NO;
    if (w->stream == CU_STREAM_PER_THREAD && hold->stream == CU_STREAM_PER_THREAD) return pthread_equal(hold->thread, pthread_self());
    if (w->stream != CU_STREAM_LEGACY && hold->stream != CU_STREAM_LEGACY) return hold->stream == w->stream;
    if (hold->context != w->context) return NO;
    if (w->stream == hold->stream) return YES;
    return w->stream == CU_STREAM_LEGACY ? hold->blocking : (int)w->blocking;
}

static int is_recorded(CUstream stream) {
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    return capturing() && !driver()->cuStreamIsCapturing(stream, &status) && status != CU_STREAM_CAPTURE_STATUS_NONE;
}

static int is_no_stream(CUstream given) { return given == GIVING_NOTHING || given == GIVING_MEMORY || given == GIVING_CAPTURE; }

static int held(const struct work *w) {
    int held = NO;
    if (is_no_stream(w->stream) || w->recorded) return NO;
    for (int i = 0; i < MAX_HOLDS && held != YES; i++) {
        int one = concerns(&holds[i], w);
        if (one) held = one;
    }
    return held;
}

static int kept_out(enum gate closed) { return atomic_load(&gate) >= (int)closed; }

/* A new hold comes after the mutex, and sees the stream. */
static int try_to_go(struct giving *giving, const struct work *w, enum gate closed) {
    pthread_mutex_lock(&mutex);
    int waits = kept_out(closed) && giving != keeper ? YES : held(w);
    if (!waits) atomic_store(&giving->stream, w->stream);
    pthread_mutex_unlock(&mutex);
    return waits;
}

/* The call around it is counted, and the gate waits for that: this one waits for no gate. Threads without a record of their own are not told apart. */
int order_is_within(struct giving *giving, const void *frame) {
    if (giving == &nobodys) return 0;
    if (frame < giving->frame) return giving->within++, 1;
    giving->within = 0; /* it has jumped */
    return 0;
}

/* With no lock, and on a word alone: a thread that is cancelled here, or that jumps out of a signal handler, leaves nothing behind. */
static void sleep_until_release(uint32_t seen) {
    int type;
    atomic_fetch_add(&sleepers, 1);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
    syscall(SYS_futex, &releases, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    pthread_setcanceltype(type, NULL);
    atomic_fetch_sub(&sleepers, 1);
}

static void wake_sleepers(void) {
    atomic_fetch_add(&releases, 1);
    if (atomic_load(&sleepers)) syscall(SYS_futex, &releases, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* The driver is asked with no lock: it does not answer while a controller has locked it. */
void order_wait(struct giving *giving, CUstream stream, enum gate closed) {
    struct work w = {.stream = stream, .blocking = NOT_ASKED};
    atomic_store(&giving->stream, GIVING_NOTHING); /* a thread that closes the gate need not wait for this one */
    driver()->cuCtxGetCurrent(&w.context);
    for (;;) {
        uint32_t seen = atomic_load(&releases);
        w.recorded = !is_no_stream(stream) && is_recorded(stream);
        int waits = try_to_go(giving, &w, closed);
        if (waits == NO) return;
        if (waits == NOT_ASKED) w.blocking = is_blocking(stream) ? YES : NO;
        else sleep_until_release(seen);
    }
}


static int may_concern(CUstream given, CUstream stream) {
    if (is_no_stream(given)) return 0;
    return given == stream || given == CU_STREAM_LEGACY || stream == CU_STREAM_LEGACY;
}

/* Until no other thread is in a call that it began before the hold. */
static int await_others(CUstream stream) {
    uint64_t until = clock_ns() + patience_ns;
    for (struct giving *g = atomic_load(&givings); g; g = g->next)
        while (g != mine && may_concern(atomic_load(&g->stream), stream)) {
            if (clock_ns() > until) return 0;
            sched_yield();
        }
    return 1;
}

static int add(struct hold new) {
    int added = 0;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < MAX_HOLDS && !added; i++)
        if (!holds[i].used) holds[i] = new, added = 1;
    if (added) atomic_fetch_add(&order_holds, 1);
    pthread_mutex_unlock(&mutex);
    return added;
}

void order_release(CUcontext context, CUstream stream) {
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < MAX_HOLDS; i++) {
        struct hold *hold = &holds[i];
        if (!hold->used || hold->context != context || hold->stream != stream || !pthread_equal(hold->thread, pthread_self())) continue;
        hold->used = 0;
        atomic_fetch_sub(&order_holds, 1);
        break;
    }
    pthread_mutex_unlock(&mutex);
    wake_sleepers();
}

int order_hold(CUcontext context, CUstream stream) {
    if (!add((struct hold){context, stream, pthread_self(), is_blocking(stream), 1})) return 0;
    if (await_others(stream)) return 1;
    order_release(context, stream);
    return 0;
}

void order_close(enum gate new) {
    pthread_mutex_lock(&mutex);
    if (atomic_exchange(&gate, new) == GATE_OPEN) atomic_fetch_add(&order_holds, 1);
    pthread_mutex_unlock(&mutex);
}

void order_open(void) {
    pthread_mutex_lock(&mutex);
    if (atomic_exchange(&gate, GATE_OPEN) != GATE_OPEN) atomic_fetch_sub(&order_holds, 1);
    pthread_mutex_unlock(&mutex);
    wake_sleepers();
}

void order_let_through(void) {
    struct giving *me = order_mine();
    pthread_mutex_lock(&mutex);
    keeper = me;
    pthread_mutex_unlock(&mutex);
}

int order_is_let_through(void) {
    struct giving *me = order_mine();
    pthread_mutex_lock(&mutex);
    int let_through = keeper == me;
    pthread_mutex_unlock(&mutex);
    return let_through;
}

static int await_while(int (*inside)(CUstream given), uint64_t until) {
    static const struct timespec nap = {0, 50000};
    for (struct giving *g = atomic_load(&givings); g; g = g->next)
        while (inside(atomic_load(&g->stream))) {
            if (clock_ns() > until) return 0;
            nanosleep(&nap, NULL);
        }
    return 1;
}

static int is_something(CUstream given) { return given != GIVING_NOTHING; }
static int is_capture(CUstream given) { return given == GIVING_CAPTURE; }
int order_await_out(uint64_t until) { return await_while(is_something, until); }
int order_await_captures(uint64_t until) { return await_while(is_capture, until); }

static struct giving *uncancelled(struct giving *giving) {
    if (giving != &nobodys && !giving->memory_calls++) pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &giving->cancellation);
    return giving;
}

struct giving *order_enter_memory(void) { return uncancelled(order_enter(GIVING_MEMORY, GATE_ALL)); }

struct giving *order_enter_memory_now(void) {
    struct giving *giving = order_mine();
    const void *frame = __builtin_frame_address(0);
    if (atomic_load_explicit(&giving->stream, memory_order_relaxed) != GIVING_NOTHING && order_is_within(giving, frame)) return uncancelled(giving);
    giving->frame = frame;
    atomic_store(&giving->stream, GIVING_MEMORY);
    if (!kept_out(GATE_ALL)) return uncancelled(giving);
    atomic_store(&giving->stream, GIVING_NOTHING);
    return NULL;
}

void order_leave_memory(struct giving *giving) {
    order_leave(giving);
    if (giving != &nobodys && !--giving->memory_calls) pthread_setcancelstate(giving->cancellation, NULL);
}

uint64_t order_calls(void) {
    uint64_t sum = atomic_load(&nobodys.calls);
    for (struct giving *g = atomic_load(&givings); g; g = g->next) sum += atomic_load_explicit(&g->calls, memory_order_relaxed);
    return sum;
}

/* The other threads are gone, wherever they were. */
void order_after_fork(void) {
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    mutex = unlocked;
    atomic_store(&sleepers, 0);
    for (int i = 0; i < MAX_HOLDS; i++) holds[i].used = 0;
    atomic_store(&order_holds, 0);
    atomic_store(&gate, GATE_OPEN);
    keeper = NULL;
    for (struct giving *g = atomic_load(&givings); g; g = g->next) {
        atomic_store(&g->stream, GIVING_NOTHING);
        g->within = 0;
        if (g != mine) atomic_store(&g->owned, 0);
    }
}

#define LAUNCH(name, stream, parameters, arguments) EXPORT CUresult name parameters { IN_ORDER(GATE_LAUNCHES, stream, name, arguments); }
#define ACCESS(name, stream, parameters, arguments) EXPORT CUresult name parameters { IN_ORDER(GATE_ALL, stream, name, arguments); }
#define BUILD(name, parameters, arguments) EXPORT CUresult name parameters { IN_ORDER(GATE_ALL, GIVING_MEMORY, name, arguments); }
LAUNCHES(LAUNCH)
BUILDS(BUILD)
FILLS(ACCESS)
DEVICE_COPIES(ACCESS)
