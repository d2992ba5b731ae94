/* While the engine copies for a stream, nothing else of that stream runs: neither the driver nor the GPU knows of the copy, so
 * whoever gives the stream work meanwhile waits before the driver. While the gate is closed, whoever would use device memory
 * waits there, whatever the stream. Thread-safe. */
#ifndef TORPOR_ORDER_H
#define TORPOR_ORDER_H

#include "driver.h"

#include <stdatomic.h>
#include <stdint.h>

/* What a thread is giving work to. Its own, so that a launch touches no memory that other threads write. */
struct giving {
    struct giving *next;
    _Atomic(CUstream) stream;
    _Atomic uint64_t calls;
    _Atomic int owned;
    int within; /* so many calls within the call that is counted: a profiler's callback makes some */
    const void *frame; /* of that call; a thread that is in no deeper one has jumped out of it */
    int memory_calls, cancellation; /* within so many, and what was allowed before the first */
} __attribute__((aligned(128)));
#define GIVING_NOTHING ((CUstream)~(uintptr_t)0)
#define GIVING_MEMORY ((CUstream)~(uintptr_t)1)  /* an allocation, or a copy that finds out whose it is */
#define GIVING_CAPTURE ((CUstream)~(uintptr_t)2) /* a capture is about to begin */

/* What a closed gate holds back: kernels and what runs like them first, then everything that uses device memory. */
enum gate { GATE_OPEN, GATE_LAUNCHES, GATE_ALL };

extern _Atomic int order_holds; /* a closed gate counts as one */
struct giving *order_mine(void);
void order_wait(struct giving *mine, CUstream stream, enum gate closed);
int order_is_within(struct giving *mine, const void *frame);

/* Says first what it is about to do and looks after: who holds does it the other way round, so that one of the two sees the other.
 * closed: the gate that holds it back. */
static inline struct giving *order_enter(CUstream stream, enum gate closed) {
    struct giving *mine = order_mine();
    const void *frame = __builtin_frame_address(0);
    if (__builtin_expect(atomic_load_explicit(&mine->stream, memory_order_relaxed) != GIVING_NOTHING, 0) && order_is_within(mine, frame)) return mine;
    mine->frame = frame;
    atomic_store(&mine->stream, stream);
    if (atomic_load(&order_holds)) order_wait(mine, stream, closed);
    return mine;
}

static inline void order_leave(struct giving *mine) {
    if (__builtin_expect(mine->within, 0)) {
        mine->within--;
        return;
    }
    uint64_t calls = atomic_load_explicit(&mine->calls, memory_order_relaxed);
    atomic_store_explicit(&mine->calls, calls + 1, memory_order_relaxed);
    atomic_store_explicit(&mine->stream, GIVING_NOTHING, memory_order_release);
}

int memory_found(CUresult result); /* of allocate.h: the call may be made once more */

/* The body of a wrapper that only keeps the order. */
#define IN_ORDER(closed, stream, name, arguments) \
    const struct driver *d = driver(); \
    if (!d) return CUDA_ERROR_NOT_INITIALIZED; \
    struct giving *giving = order_enter(stream, closed); \
    CUresult answer = d->name arguments; \
    if (__builtin_expect(answer == CUDA_ERROR_OUT_OF_MEMORY, 0) && memory_found(answer)) answer = d->name arguments; \
    order_leave(giving); \
    return answer

/* From here to the release the stream of this context gets no work. 0: it cannot be had soon. Not to be nested. */
int order_hold(CUcontext context, CUstream stream);
void order_release(CUcontext context, CUstream stream);

/* For one thread at a time. */
void order_close(enum gate gate); /* from here on; those who are in a call go on */
void order_open(void);
int order_await_out(uint64_t until);      /* 0: somebody was still in a call that the closed gate would hold back */
int order_await_captures(uint64_t until); /* the same of those who begin a capture */

/* To allocate, free or ask. Until it leaves the thread is not cancelled, as it may have locks then; where it waits at the gate it may be. */
struct giving *order_enter_memory(void);     /* waits at a closed gate */
struct giving *order_enter_memory_now(void); /* NULL: it is closed */
void order_leave_memory(struct giving *mine);

void order_let_through(void); /* the calling thread, from now on: the process ends with it */
int order_is_let_through(void);

uint64_t order_calls(void); /* so many have been given so far */
void order_after_fork(void);

#endif
